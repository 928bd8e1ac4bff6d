//! Patterns for lines: a plain text, or a regular expression.

use std::ops::Range;

use serde_json::{Value as Json, json};

use super::context::Context;
use super::diagnostic::Mistake;
use super::key::{Field, Group, Key, Kind, Table};
use super::reader::TableReader;
use super::schema::table_schema;
use super::value::{bad_value, string, wrong_type};
use super::word::Name;
use crate::plan::{MarkerPlan, Pattern};

/// The most memory that one compiled expression may take, in bytes. The matcher compiles ten of this size together.
const REGEX_MAX_BYTES: usize = 1 << 20;

static TEXT: Key<PlainText> = Key::optional("text", PlainText, "A text that the line contains.");
static REGEX: Key<Expression> = Key::optional(
    "regex",
    Expression,
    "A regular expression that matches in the line (Rust's `regex` syntax; not anchored).",
);
static MARKER_NAME: Key<Name> = Key::optional(
    "name",
    Name { max_bytes: 40 },
    "The name that the trace calls the marker by. Without it: the pattern itself.",
);
static PATTERN: Table = Table {
    title: "a pattern",
    doc: "What a line looks like.",
    keys: &[&TEXT, &REGEX],
    group: Group::ExactlyOne(&["text", "regex"]),
};
static MARKER: Table = Table {
    title: "a marker",
    doc: "A line that says that the live system is up.",
    keys: &[&MARKER_NAME, &TEXT, &REGEX],
    group: Group::ExactlyOne(&["text", "regex"]),
};

/// A text that a line contains.
pub(super) struct PlainText;

impl Kind for PlainText {
    type Out = Pattern;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<Pattern> {
        let text = string(field, "a text", cx)?;
        if text.trim().is_empty() {
            let label = "every line would match; write a text that only the right line has";
            cx.report(bad_value(field, "the pattern is empty", label));
            return None;
        }
        if text.contains(['\n', '\r']) {
            let message = "the pattern holds a line break";
            cx.report(bad_value(
                field,
                message,
                "patterns look at one line at a time: this never matches",
            ));
            return None;
        }
        Some(Pattern::Text(text.to_owned()))
    }

    fn example(&self) -> String {
        "\"text of the line\"".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "minLength": 1 })
    }
}

/// A regular expression.
pub(super) struct Expression;

impl Kind for Expression {
    type Out = Pattern;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<Pattern> {
        let text = string(field, "a regular expression in quotes", cx)?;
        // The parser of the `regex` crate: only it knows where in the expression the mistake is.
        if let Err(error) = regex_syntax::parse(text) {
            cx.report(regex_mistake(&error, text, field, cx));
            return None;
        }
        let compiled = match regex::RegexBuilder::new(text).size_limit(REGEX_MAX_BYTES).build() {
            Ok(compiled) => compiled,
            Err(error) => {
                let message = "the regular expression can't be used";
                let label = error.to_string().replace('\n', " ");
                cx.report(bad_value(field, message, label));
                return None;
            }
        };
        if compiled.is_match("") {
            let message = "the regular expression matches the empty line";
            let label = "every line would match; say more of what the line holds";
            cx.report(bad_value(field, message, label));
            return None;
        }
        Some(Pattern::Regex(text.to_owned()))
    }

    fn example(&self) -> String {
        "'^Reached target'".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "minLength": 1, "format": "regex" })
    }
}

/// The mistake at its place inside the expression, if the string has no escapes that move it.
fn regex_mistake(error: &regex_syntax::Error, text: &str, field: &Field<'_>, cx: &Context<'_>) -> Mistake {
    let (what, inner) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span()),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span()),
        other => return bad_value(field, "the regular expression does not compile", other.to_string()),
    };
    let message = format!("the regular expression does not compile: {what}");
    let whole = field.value.span();
    let written = cx.text.get(whole.clone()).unwrap_or_default();
    match written.find(text) {
        Some(quote) => {
            let start = whole.start + quote;
            let end = (start + inner.end.offset).max(start + inner.start.offset);
            Mistake::new(start + inner.start.offset..end, message, "here")
        }
        None => Mistake::new(
            whole,
            message,
            format!("at character {} of the text", inner.start.column),
        ),
    }
}

/// A pattern: a string is a plain text, a table says which it is.
pub(super) struct LinePattern;

impl Kind for LinePattern {
    type Out = Pattern;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<Pattern> {
        let value = field.value.get_ref();
        if value.is_str() {
            return PlainText.read(field, cx);
        }
        if !value.is_table() {
            cx.report(wrong_type(field, "a text, or a table like `{ regex = '…' }`"));
            return None;
        }
        let table = TableReader::open(field, &PATTERN, cx)?;
        let (text, regex) = (table.take(&TEXT), table.take(&REGEX));
        text.or(regex)
    }

    fn example(&self) -> String {
        PlainText.example()
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [PlainText.schema(), table_schema(&PATTERN)] })
    }

    fn table(&self) -> Option<&'static Table> {
        Some(&PATTERN)
    }
}

/// A marker: a pattern with an optional name. It comes with its place, for complaints about the name.
pub(super) struct Marker;

impl Kind for Marker {
    type Out = (MarkerPlan, Range<usize>);

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<Self::Out> {
        let value = field.value.get_ref();
        let (name, pattern) = if value.is_table() {
            let table = TableReader::open(field, &MARKER, cx)?;
            let (text, regex) = (table.take(&TEXT), table.take(&REGEX));
            (table.take(&MARKER_NAME), text.or(regex)?)
        } else {
            (None, LinePattern.read(field, cx)?)
        };
        let name = name.unwrap_or_else(|| match &pattern {
            Pattern::Text(text) | Pattern::Regex(text) => text.clone(),
        });
        Some((MarkerPlan { name, pattern }, field.value.span()))
    }

    fn example(&self) -> String {
        PlainText.example()
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [PlainText.schema(), table_schema(&MARKER)] })
    }

    fn table(&self) -> Option<&'static Table> {
        Some(&MARKER)
    }
}
