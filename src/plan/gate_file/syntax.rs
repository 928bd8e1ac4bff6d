//! From text to a TOML document, with the parser's complaints in our words.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, Error};

use super::diagnostic::Mistake;
use super::mask::masked;

/// A document, with the mistakes that did not hinder reading the rest of it.
pub(super) struct Document<'a> {
    pub(super) root: Spanned<DeTable<'a>>,
    pub(super) mistakes: Vec<Mistake>,
}

/// Parses the text. A value without quotes and a key written twice leave the rest readable; any other mistake in the
/// syntax is reported alone, because what the parser makes of the text behind it is a guess.
pub(super) fn read(text: &str) -> Result<Document<'_>, Box<Mistake>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut mistakes = Vec::new();
    if !errors.is_empty() {
        let shown = masked(text);
        for error in &errors {
            match soft_mistake(error, text, &shown) {
                Some(mistake) => mistakes.push(mistake),
                None => return Err(Box::new(hard_mistake(error))),
            }
        }
    }
    Ok(Document {
        root,
        mistakes: without_consequences(mistakes, text),
    })
}

/// A mistake behind which the document can still be read. `shown` is the text without its secrets.
fn soft_mistake(error: &Error, text: &str, shown: &str) -> Option<Mistake> {
    let span = error.span()?;
    let written = text.get(span.clone())?;
    match error.message() {
        "duplicate key" => {
            let message = format!("`{written}` is written twice");
            let mistake = Mistake::new(span.clone(), message, "the second one");
            let list = header_of(&span, text).is_some() && ["stage", "disk"].contains(&written);
            let help = || format!("each {written} is a table of its own: write `[[{written}]]` every time");
            Some(if list { mistake.help(help()) } else { mistake })
        }
        message if message.starts_with("string values must be quoted") && !written.is_empty() => {
            let bare = written.trim_matches(['“', '”', '‘', '’', '`', '"']);
            let secret = shown.get(span.clone()) != Some(written);
            let label = if secret {
                "put it in quotes".to_owned()
            } else {
                format!("write `\"{bare}\"`")
            };
            Some(Mistake::new(span, "a value that is text must be in quotes", label))
        }
        _ => None,
    }
}

/// A table written twice makes all its keys be written twice: only the table is worth a word.
fn without_consequences(mistakes: Vec<Mistake>, text: &str) -> Vec<Mistake> {
    let headers: Vec<_> = mistakes
        .iter()
        .filter_map(|mistake| header_of(&mistake.span, text))
        .collect();
    let table_of = |at: usize| text[..at].rfind("\n[").map_or(0, |newline| newline + 1);
    let consequence =
        |mistake: &Mistake| header_of(&mistake.span, text).is_none() && headers.contains(&table_of(mistake.span.start));
    mistakes.into_iter().filter(|mistake| !consequence(mistake)).collect()
}

/// Where the line of a table header starts, if the span lies in one.
fn header_of(span: &Range<usize>, text: &str) -> Option<usize> {
    let start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    text[start..span.start].trim_start().starts_with('[').then_some(start)
}

fn hard_mistake(error: &Error) -> Mistake {
    let message = error.message();
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let (what, label) = match what {
        "string values must be quoted" => ("the key has no value", "a value is missing here".to_owned()),
        "key with no value" => ("the key has no value", "expected `=` and a value".to_owned()),
        "unexpected key or value" => ("one line holds one key", "expected the end of the line".to_owned()),
        "missing comma between array elements" => (
            "a list is not closed, or a comma is missing in it",
            "expected `,` or `]` before this".to_owned(),
        ),
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
    Mistake::new(error.span().unwrap_or(0..0), what, label).help(help)
}
