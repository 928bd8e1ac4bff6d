//! The records of `trace.jsonl`, from the recorded runs and the generated diagrams.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use crate::pages::top;

use super::markdown::{MADE, code, table};

/// What each field says. A recorded run with another field fails the test.
const FIELDS: &[(&str, &str)] = &[
    ("seq", "number of the record, from 1"),
    (
        "t_us",
        "time since the run began, in microseconds, on a clock that only goes forward",
    ),
    ("wall", "the wall clock, RFC 3339"),
    ("kind", "which record it is"),
    ("stage", "the stage; in a transition, the one that the new state serves"),
    ("state", "the state in which it happened"),
    ("from", "the state before"),
    ("to", "the state after"),
    ("event", "what decided it"),
    ("confirmed_by", "the second signal, where the event alone is not enough"),
    ("detail", "particulars, as a sentence"),
    (
        "evidence",
        "`file` in the run's directory, `offset_bytes` in it, and the line as `quote`",
    ),
    (
        "deadline",
        "`kind` of the deadline that was closest, and `left_ms` of it",
    ),
    ("what", "the note's name"),
    (
        "outcome",
        "how the stage ended: `passed`, `failed`, `not-tested`, `undecided`, `not-reached`, `skipped`",
    ),
    ("reached", "the level of evidence that the stage has reached"),
    ("class", "the verdict's class"),
    ("cause", "the verdict's [cause](causes.md)"),
    (
        "symptom",
        "the cause that the machine saw by itself, where a rule knew a better one",
    ),
    ("rule", "the rule that named the cause"),
    ("title", "the cause as a sentence"),
];

/// The kinds of records.
const KINDS: &[(&str, &str)] = &[
    ("stage-began", "a stage begins"),
    ("transition", "the machine goes from one state to another"),
    ("note", "something worth knowing that changed no state"),
    ("deadline-near", "most of a deadline is used up"),
    ("stage-ended", "a stage has ended"),
    ("verdict", "the verdict is decided; it never changes afterwards"),
];

pub(super) fn page() -> String {
    let records = recorded();
    let mut page = format!(
        "{MADE}\n# Trace\n\n`trace.jsonl` in a run's directory has one JSON object a line, written before anything is done about it. A killed run's\n\
         trace reads up to its last whole line. `bootgate trace` shows it in [other forms](../how-to/read-a-run.md).\n"
    );
    let _ = write!(page, "\n## Records\n\n{}", kinds(&records));
    let fields = FIELDS
        .iter()
        .map(|(name, meaning)| vec![code(name), (*meaning).to_owned()]);
    let _ = write!(page, "\n## Fields\n\n{}", table(&["field", "meaning"], fields));
    let _ = write!(
        page,
        "\n## Events of transitions\n\nFrom [state-diagrams/transitions.csv](../../state-diagrams/transitions.csv), which is the machine's own walk.\n\n{}",
        events()
    );
    let _ = write!(
        page,
        "\n## Notes\n\nWith an example of its `detail` where a recorded run has one.\n\n{}",
        notes(&records)
    );
    let _ = write!(
        page,
        "\n## Deadlines\n\n`scaled`: multiplied by the gate's `timeout-scale`, which is 4 under TCG.\n\n{}",
        deadlines()
    );
    page
}

fn files(folder: &str, name: &str) -> Vec<String> {
    let mut paths: Vec<_> = std::fs::read_dir(top().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let paths = paths
        .into_iter()
        .map(|path| if path.is_dir() { path.join(name) } else { path });
    paths.filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

fn recorded() -> Vec<Value> {
    let traces = files("fixtures/runs", "trace.jsonl");
    let lines = traces
        .iter()
        .flat_map(|trace| trace.lines().filter(|line| line.starts_with('{')));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn kinds(records: &[Value]) -> String {
    let mut fields: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for record in records {
        let keys = record.as_object().unwrap().keys().map(String::as_str);
        fields.entry(record["kind"].as_str().unwrap()).or_default().extend(keys);
    }
    let known: BTreeSet<_> = FIELDS.iter().map(|(name, _)| *name).collect();
    for (kind, fields) in &fields {
        assert!(
            KINDS.iter().any(|(name, _)| name == kind),
            "a record of kind {kind} has no row"
        );
        assert!(fields.is_subset(&known), "a field of {kind} has no row: {fields:?}");
    }
    let rows = KINDS.iter().map(|(kind, meaning)| {
        let has = &fields[kind];
        let shown = FIELDS
            .iter()
            .filter(|(name, _)| has.contains(name) && !["seq", "t_us", "wall", "kind"].contains(name));
        let shown: Vec<_> = shown.map(|(name, _)| code(name)).collect();
        vec![code(kind), (*meaning).to_owned(), shown.join(", ")]
    });
    table(&["kind", "when", "fields beside `seq`, `t_us`, `wall`, `kind`"], rows)
}

fn csv(name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(top().join("state-diagrams").join(name)).unwrap();
    let lines = text.lines().skip(1);
    lines.map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn events() -> String {
    let mut events: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in csv("transitions.csv") {
        events.entry(row[2].clone()).or_default().insert(row[0].clone());
    }
    let rows = events.into_iter().map(|(event, from)| {
        let from: Vec<_> = from.into_iter().collect();
        vec![code(&event), from.join(", ")]
    });
    table(&["event", "leads out of"], rows)
}

fn notes(records: &[Value]) -> String {
    let call = regex::Regex::new(r#"\bnote\(\s*(?:[\w:().]+,\s*)?"([a-z][a-z-]+)""#).unwrap();
    let sources = ["src/machine", "src/driver"]
        .iter()
        .flat_map(|folder| files(folder, "mod.rs"));
    let mut notes: BTreeMap<String, String> = BTreeMap::new();
    for source in sources {
        for found in call.captures_iter(&source) {
            notes.entry(found[1].to_owned()).or_default();
        }
    }
    assert!(notes.len() > 20, "{notes:?}");
    for record in records.iter().filter(|record| record["kind"] == "note") {
        let example = notes.entry(record["what"].as_str().unwrap().to_owned()).or_default();
        if let Some(detail) = record["detail"].as_str().filter(|_| example.is_empty()) {
            *example = detail.replace(['<', '>'], "");
        }
    }
    table(
        &["note", "example"],
        notes.into_iter().map(|(note, example)| vec![code(&note), example]),
    )
}

fn deadlines() -> String {
    let mut kinds: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>, String)> = BTreeMap::new();
    for row in csv("deadlines.csv") {
        let entry = kinds.entry(row[1].clone()).or_default();
        entry.0.insert(row[0].clone());
        entry.1.insert(row[2].clone());
        entry.2.clone_from(&row[4]);
    }
    let rows = kinds.into_iter().map(|(kind, (states, limits, scaled))| {
        let list = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(", ");
        vec![code(&kind), list(limits), scaled, list(states)]
    });
    table(&["deadline", "limit", "scaled", "in"], rows)
}
