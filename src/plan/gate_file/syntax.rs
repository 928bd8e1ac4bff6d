//! From text to a TOML document, with the parser's complaints in our words.

use toml::Spanned;
use toml::de::{DeTable, Error};

use super::diagnostic::Mistake;

/// A document, with the mistakes that did not hinder reading the rest of it.
pub(super) struct Document<'a> {
    pub(super) root: Spanned<DeTable<'a>>,
    pub(super) mistakes: Vec<Mistake>,
}

/// Parses the text. A value without quotes and a key written twice leave the rest readable; any other mistake in the
/// syntax is reported alone, because what the parser makes of the text behind it is a guess.
pub(super) fn read(text: &str) -> Result<Document<'_>, Box<Mistake>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let first_hard = errors.iter().find(|error| soft_mistake(error, text).is_none());
    if let Some(error) = first_hard {
        return Err(Box::new(hard_mistake(error, text)));
    }
    let mistakes = errors.iter().filter_map(|error| soft_mistake(error, text)).collect();
    Ok(Document { root, mistakes })
}

/// A mistake behind which the document can still be read.
fn soft_mistake(error: &Error, text: &str) -> Option<Mistake> {
    let span = error.span()?;
    let written = text.get(span.clone())?;
    match error.message() {
        "duplicate key" => {
            let mistake = Mistake::new(span.clone(), format!("`{written}` is written twice"), "the second one");
            let in_header = text[..span.start].trim_end().ends_with('[');
            let list = in_header && ["stage", "disk"].contains(&written);
            Some(if list {
                mistake.help(format!("each {written} is a table of its own: `[[{written}]]`"))
            } else {
                mistake
            })
        }
        message if message.starts_with("string values must be quoted") && !written.is_empty() => {
            let bare = written.trim_matches(['“', '”', '‘', '’', '`', '"']);
            Some(Mistake::new(
                span,
                "a text stands in quotes",
                format!("write `\"{bare}\"`"),
            ))
        }
        _ => None,
    }
}

fn hard_mistake(error: &Error, text: &str) -> Mistake {
    let span = error.span().unwrap_or(0..0);
    let message = error.message();
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let (what, label) = match what {
        "string values must be quoted" => ("the key has no value", "a value is missing here".to_owned()),
        "key with no value" => ("the key has no value", "expected ` = ` and a value".to_owned()),
        "unexpected key or value" => ("one line holds one key", "expected the end of the line".to_owned()),
        "invalid basic string" | "invalid literal string" => (
            "the text has no closing quote on its line",
            format!("expected {expected}"),
        ),
        "missing escaped value" => (
            "the text holds a `\\` that escapes nothing",
            "write `\\\\`, or put the text in single quotes".to_owned(),
        ),
        _ if expected.is_empty() || expected == "nothing" => (what, "here".to_owned()),
        _ => (what, format!("expected {expected}")),
    };
    let help = "this is a mistake in the TOML itself; what stands behind it was not checked";
    Mistake::new(span.start..span.end.min(text.len()), what, label).help(help)
}
