//! Every form of output, as a person or a program gets it, with a guest that means harm.

mod ci;
#[path = "../support/ci_log.rs"]
mod ci_log;
mod forms;
#[path = "../support/hostile.rs"]
mod hostile;
#[path = "../support/json_schema.rs"]
mod json_schema;
mod junit;
mod noise;
#[path = "../support/oracles.rs"]
mod oracles;
mod outcomes;
mod page;
mod programs;
mod schemas;
mod screen;
mod trace;

use std::path::Path;
use std::time::Duration;

use bootgate::driver::record_json;
use bootgate::machine::{Class, Record};
use bootgate::report::{ResultInputs, record_line, result_json, trace_table, verdict_block};
use bootgate::text::{Redactor, printable_json};
use forms::{HOSTILE, plan, records};
use outcomes::{info, outcome, verdict};

/// Where the run is said to lie.
const RUN: &str = "runs/fake-20260102T030405Z-01234567";

fn lines_of_records() -> Vec<String> {
    let lines = records().into_iter().zip(0_u32..).map(|(record, n)| {
        let at = Duration::from_millis(u64::from(n) * 1_234);
        record_line(&plan(), at, &record).unwrap_or_else(|| "(no line)".to_owned())
    });
    lines.collect()
}

fn traced() -> Vec<serde_json::Value> {
    let redactor = Redactor::new(std::iter::empty());
    let json = records().into_iter().zip(0_u64..).map(|(record, n)| {
        let mut line = record_json(&plan(), &record, &redactor);
        line.insert("t_us".to_owned(), (n * 1_234_567).into());
        serde_json::Value::Object(line)
    });
    json.collect()
}

fn all_classes() -> Vec<Class> {
    let bad = [
        Class::Failed,
        Class::KnownFailure,
        Class::Infrastructure,
        Class::Untestable,
    ];
    let rest = [Class::Passed, Class::Internal, Class::Cancelled];
    bad.into_iter().chain(rest).collect()
}

fn result(class: Class) -> serde_json::Value {
    let (plan, outcome) = (plan(), outcome(class));
    result_json(&ResultInputs {
        plan: &plan,
        info: &info(),
        outcome: &outcome,
        image_sha256: Some("00".repeat(32)),
        gate_sha256: &"11".repeat(32),
    })
}

fn junit_of(class: Class) -> String {
    junit::of(&outcome(class))
}

fn block(class: Class) -> String {
    verdict_block(&plan(), &outcome(class), Path::new(RUN))
}

#[test]
fn there_is_a_record_of_every_variant() {
    let kinds: std::collections::BTreeSet<_> = records()
        .iter()
        .map(|record| match record {
            Record::Transition { .. } => "transition",
            Record::Note { .. } => "note",
            Record::DeadlineNear { .. } => "deadline-near",
            Record::StageBegan { .. } => "stage-began",
            Record::StageEnded { .. } => "stage-ended",
            Record::Decided(_) => "decided",
        })
        .collect();
    assert_eq!(kinds.len(), 6);
}

#[test]
fn the_lines_of_a_run() {
    insta::assert_snapshot!("record_lines", lines_of_records().join("\n"));
}

#[test]
fn the_table_of_a_trace() {
    insta::assert_snapshot!("trace_table", trace_table(&traced(), false));
    insta::assert_snapshot!("trace_table_with_notes", trace_table(&traced(), true));
}

#[test]
fn the_last_words_for_each_class() {
    let blocks: Vec<_> = all_classes().into_iter().map(block).collect();
    insta::assert_snapshot!("verdict_blocks", blocks.concat());
}

#[test]
fn the_result_for_programs() {
    insta::assert_snapshot!("result_failed", printable_json(&result(Class::Failed), true));
    insta::assert_snapshot!("result_passed", printable_json(&result(Class::Passed), true));
}

#[test]
fn the_report_for_test_viewers() {
    for class in [Class::Failed, Class::Infrastructure, Class::Passed] {
        insta::assert_snapshot!(format!("junit_{}", class.as_str()), junit_of(class));
    }
}

/// What of a text could act: on a terminal, on the runner of GitHub Actions, or on who reads it.
fn harm(text: &str) -> Option<String> {
    let acts = |c: char| {
        let invisible = ['\u{ad}', '\u{61c}', '\u{feff}', '\u{fffe}', '\u{ffff}'];
        let ranges = [
            '\u{200b}'..='\u{200f}',
            '\u{2028}'..='\u{202e}',
            '\u{2060}'..='\u{206f}',
        ];
        (c.is_control() && c != '\n') || invisible.contains(&c) || ranges.iter().any(|range| range.contains(&c))
    };
    if let Some(c) = text.chars().find(|c| acts(*c)) {
        return Some(format!("{c:?}"));
    }
    let obeyed = |line: &&str| line.trim_start().starts_with("::") || line.contains("##[");
    text.lines().find(obeyed).map(str::to_owned)
}

#[test]
fn nothing_of_a_hostile_guest_acts() {
    assert!(harm(HOSTILE).is_some() && harm("a ##[b").is_some() && harm(" ::b").is_some());
    let mut forms = vec![
        ("record lines", lines_of_records().join("\n")),
        ("table", trace_table(&traced(), true)),
    ];
    forms.extend(
        traced()
            .iter()
            .map(|record| ("trace --json", printable_json(record, false))),
    );
    for class in all_classes() {
        forms.push(("verdict", block(class)));
        forms.push(("result", printable_json(&result(class), true)));
    }
    for (form, text) in &forms {
        assert_eq!(harm(text), None, "{form}:\n{text}");
    }
    // A viewer shows the report; XML allows few controls, and whoever shows it escapes the rest.
    for class in all_classes() {
        let control = junit_of(class)
            .chars()
            .find(|c| (c.is_control() && *c != '\n') || *c == '\u{fffe}' || *c == '\u{202e}');
        assert_eq!(control, None, "{class:?}");
    }
}

#[test]
fn one_record_is_one_line() {
    for line in lines_of_records() {
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}
