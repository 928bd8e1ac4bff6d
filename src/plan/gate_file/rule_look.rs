//! What a rule looks for: lines, steps, absences, and the fixtures that it is tried on.

use std::ops::Range;

use serde_json::{Value as Json, json};

use super::container::{Choice, List};
use super::context::Context;
use super::diagnostic::Mistake;
use super::key::{Field, Group, Key, Kind, Table};
use super::number::Flag;
use super::pattern::{Expression, PlainText};
use super::reader::TableReader;
use super::schema::table_schema;
use super::unit::Size;
use super::value::wrong_type;
use super::word::{Name, Text};
use crate::plan::{Fixture, Look, Pattern, Source, Step, Until, Without};
use crate::units::ByteSize;

/// The longest name of a rule, in bytes.
pub(super) const RULE_NAME: Name = Name { max_bytes: 60 };
pub(super) const SOURCE: Choice<Source> = Choice {
    all: &Source::ALL,
    name: Source::as_str,
};

pub(super) static TEXT: Key<PlainText> = Key::optional("text", PlainText, "A text that the line contains.");
pub(super) static REGEX: Key<Expression> = Key::optional(
    "regex",
    Expression,
    "A regular expression that matches in the line (Rust's `regex` syntax; not anchored).",
);
pub(super) static PROMPT: Key<Flag> = Key::default(
    "prompt",
    Flag,
    "false",
    "True for a prompt: the line is looked at as soon as the console is silent, though it has not ended.",
);
static RULE: Key<Name> = Key::optional(
    "rule",
    RULE_NAME,
    "The name of a rule of one line: what that rule finds.",
);
static SOURCES: Key<List<Choice<Source>>> = Key::optional(
    "sources",
    List(SOURCE),
    "Where the line may stand. Default: the rule's own sources.",
);
static WITHIN: Key<Size> = Key::optional(
    "within",
    Size {
        min: ByteSize(1),
        granule: ByteSize(1),
        granule_reason: "",
    },
    "How far behind the step before it the line may stand, if both stand in one stream. Default: anywhere in the stage.",
);
static UNTIL: Key<Choice<Until>> = Key::default(
    "until",
    Choice {
        all: &Until::ALL,
        name: Until::as_str,
    },
    "\"match\"",
    "Until when it must be absent: until the last step, or until the stage's end, where the rule then becomes certain.",
);
static STEP: Table = Table {
    title: "a step",
    doc: "One of the things that must be seen, in this order, in lines of their own.",
    keys: &[&TEXT, &REGEX, &RULE, &PROMPT, &SOURCES, &WITHIN],
    group: Group::ExactlyOne(&["text", "regex", "rule"]),
};
static WITHOUT: Table = Table {
    title: "`without`",
    doc: "What must not be seen in the stage.",
    keys: &[&TEXT, &REGEX, &RULE, &SOURCES, &UNTIL],
    group: Group::ExactlyOne(&["text", "regex", "rule"]),
};
static FILE: Key<Text> = Key::required(
    "file",
    Text { example: "panic.log" },
    "A file with the lines; its path is relative to the rules file.",
);
static FIXTURE: Table = Table {
    title: "a fixture",
    doc: "Lines that the rule is tried on.",
    keys: &[&FILE],
    group: Group::None,
};

/// A step whose sources may still be those of its rule, and its place.
pub(super) struct RawStep {
    look: Look,
    within: Option<ByteSize>,
    pub(super) has_within: bool,
    pub(super) span: Range<usize>,
}

impl RawStep {
    pub(super) fn resolve(self, sources: &[Source]) -> Step {
        Step {
            look: with_sources(self.look, sources),
            within: self.within,
        }
    }
}

pub(super) fn with_sources(mut look: Look, rules: &[Source]) -> Look {
    if let Look::Line { sources, .. } = &mut look
        && sources.is_empty()
    {
        rules.clone_into(sources);
    }
    look
}

/// The pattern of a table that has `text` or `regex`.
pub(super) fn pattern(table: &TableReader<'_>) -> Option<Pattern> {
    table.take(&TEXT).or_else(|| table.take(&REGEX))
}

fn look(table: &TableReader<'_>, prompt: bool) -> Option<Look> {
    if table.has(&RULE) {
        return table.take(&RULE).map(Look::Rule);
    }
    let sources = if table.has(&SOURCES) {
        table.take(&SOURCES)?
    } else {
        Vec::new()
    };
    if table.has(&SOURCES) && sources.is_empty() {
        let label = "name at least one, or leave the key out";
        table.report(Mistake::new(table.span(&SOURCES), "`sources` is empty", label));
    }
    Some(Look::Line {
        sources,
        pattern: pattern(table)?,
        prompt,
    })
}

/// A step.
pub(super) struct StepTable;

impl Kind for StepTable {
    type Out = RawStep;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<RawStep> {
        let table = TableReader::open(field, &STEP, cx)?;
        Some(RawStep {
            look: look(&table, table.take(&PROMPT)?)?,
            within: table.take(&WITHIN),
            has_within: table.has(&WITHIN),
            span: field.value.span(),
        })
    }

    fn example(&self) -> String {
        "{ text = \"text of the line\" }".to_owned()
    }

    fn schema(&self) -> Json {
        table_schema(&STEP)
    }

    fn table(&self) -> Option<&'static Table> {
        Some(&STEP)
    }
}

/// What must not be seen.
pub(super) struct WithoutTable;

impl Kind for WithoutTable {
    type Out = Without;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<Without> {
        let table = TableReader::open(field, &WITHOUT, cx)?;
        Some(Without {
            look: look(&table, false)?,
            until: table.take(&UNTIL)?,
        })
    }

    fn example(&self) -> String {
        "{ text = \"text of the line\" }".to_owned()
    }

    fn schema(&self) -> Json {
        table_schema(&WITHOUT)
    }

    fn table(&self) -> Option<&'static Table> {
        Some(&WITHOUT)
    }
}

/// A fixture: lines, or a file with lines.
pub(super) struct FixtureForm;

impl Kind for FixtureForm {
    type Out = Fixture;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<Fixture> {
        let value = field.value.get_ref();
        if let Some(lines) = value.as_str() {
            return Some(Fixture::Lines(lines.to_owned()));
        }
        if !value.is_table() {
            cx.report(wrong_type(field, "a text of one or more lines, or `{ file = \"…\" }`"));
            return None;
        }
        let table = TableReader::open(field, &FIXTURE, cx)?;
        table.take(&FILE).map(Fixture::File)
    }

    fn example(&self) -> String {
        "\"text of the line\"".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [{ "type": "string" }, table_schema(&FIXTURE)] })
    }

    fn table(&self) -> Option<&'static Table> {
        Some(&FIXTURE)
    }
}
