//! Hides inline secrets in the text that is shown with a mistake.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A key that holds a secret, written as anything that is not a table, up to where the value can end. It finds the
/// values that the parser could not make sense of.
static SECRET_LINE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"(?x) (?: passw | passphrase | answer | key | secret ) [\w-]* ["']? \s*=\s*
        ( """ (?s:.*?) (?: """ | \z ) | ''' (?s:.*?) (?: ''' | \z ) | [^\s{\["'] [^\n]* | ["'] [^\n]* )"#;
    Regex::new(pattern).expect("the expression is a constant that a test uses")
});

/// The text with every character of an inline secret replaced by one of the same length in UTF-8, so that all
/// positions stay what they were.
pub(super) fn masked(text: &str) -> String {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut spans = Vec::new();
    hide_in_table(root.get_ref(), false, &mut spans);
    if !errors.is_empty() {
        let lines = SECRET_LINE.captures_iter(text).filter_map(|captures| captures.get(1));
        spans.extend(lines.map(|value| value.range()));
    }
    let hidden = |at: usize| spans.iter().any(|span| span.contains(&at));
    let characters = text.char_indices().map(|(at, c)| match c {
        '\n' | '\r' => c,
        _ if hidden(at) => stand_in(c),
        _ => c,
    });
    characters.collect()
}

/// What stands in a kept copy where a secret was written.
const KEPT: &str = "{ env = \"BOOTGATE_NOT_KEPT\" }";

/// A well-formed gate file without its inline secrets: it reads as the same gate, whose secrets come from a variable that
/// nobody sets.
pub fn without_secrets(text: &str) -> String {
    let (root, _) = DeTable::parse_recoverable(text);
    let mut spans = Vec::new();
    hide_in_table(root.get_ref(), false, &mut spans);
    spans.sort_by_key(|span| span.start);
    let mut kept = text.to_owned();
    for span in spans.into_iter().rev() {
        kept.replace_range(span, KEPT);
    }
    kept
}

fn stand_in(c: char) -> char {
    match c.len_utf8() {
        1 => '*',
        2 => '·',
        3 => '•',
        _ => '\u{10101}',
    }
}

fn hide_in_table(table: &DeTable<'_>, secret: bool, spans: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let source = secret && ["env", "file"].contains(&key.get_ref().as_ref());
        hide_in_value(value, !source && (secret || names_a_secret(key.get_ref())), spans);
    }
}

fn hide_in_value(value: &Spanned<DeValue<'_>>, secret: bool, spans: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(table) => hide_in_table(table, secret, spans),
        DeValue::Array(values) => values.iter().for_each(|value| hide_in_value(value, secret, spans)),
        _ if secret => spans.push(value.span()),
        _ => {}
    }
}

/// True for the keys that hold secrets, and for slips of them: an unknown key is shown with its line.
fn names_a_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    let known = ["password", "passphrase", "passwd", "answer", "key", "secret"];
    known.iter().any(|known| key.contains(known)) || strsim::damerau_levenshtein(&key, "password") <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_in_place() {
        let text = "[ssh]\npassword = \"hunté2\" # x\nkey = { file = \"id\" }\nuser = \"root\"\n";
        let shown = masked(text);
        assert_eq!(
            shown,
            "[ssh]\npassword = *****·** # x\nkey = { file = \"id\" }\nuser = \"root\"\n"
        );
        assert_eq!(shown.len(), text.len());
    }

    #[test]
    fn a_kept_copy_reads_as_the_same_gate() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/gates/every-key.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("inline-password"));
        let kept = without_secrets(&text);
        assert!(!kept.contains("inline-password"), "{kept}");
        let shown = |text: &str| {
            let plan = crate::plan::parse(&file, text);
            let plan = crate::plan::to_json(&plan.unwrap_or_else(|errors| panic!("{}", errors.render(false))));
            plan.to_string().replace("env:BOOTGATE_NOT_KEPT", "inline")
        };
        assert_eq!(shown(&kept), shown(&text));
    }

    #[test]
    fn broken_texts_hide_them_too() {
        for text in [
            "password = \"hunter2\n",
            "password = hunter2\n",
            "u = { prompt = 'x', answer = 'hunter2 }\n",
            "key = \"\"\"\n-----BEGIN\nhunter2\n",
            "passwrod = 'hunter2'\n",
            "password = 'hunter2'\nx = [\n",
        ] {
            assert!(!masked(text).contains("hunter2"), "{text}");
        }
    }
}
