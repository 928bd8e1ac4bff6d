//! A trace in the forms of its viewers, and beside another.

use std::path::PathBuf;

use bootgate::report::{Comparison, Timeline, chrome_trace, mermaid_gantt};
use proptest::prelude::*;
use serde_json::{Value, json};

fn recorded(run: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/runs")
        .join(run)
        .join("trace.jsonl");
    let text = std::fs::read_to_string(path).expect("a recorded run");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn a_recorded_failure_in_each_form() {
    let records = recorded("wrong-passphrase");
    insta::assert_snapshot!("mermaid", mermaid_gantt("a-run", &records));
    let chrome = chrome_trace("a-run", &records);
    let brief = |event: &Value| {
        format!(
            "{} {} {} {}",
            event["ph"], event["cat"], event["name"], event["args"]["event"]
        )
    };
    let events = chrome["traceEvents"].as_array().expect("events");
    insta::assert_snapshot!("chrome", events.iter().map(brief).collect::<Vec<_>>().join("\n"));
}

#[test]
fn two_recorded_runs_are_compared() {
    let (good, bad) = (recorded("encrypted"), recorded("wrong-passphrase"));
    let json = Comparison::new(("good", &good), ("bad", &bad)).to_json();
    let difference = &json["first_difference"];
    assert_eq!(
        (&difference["stage"], &difference["state"]),
        (&json!("installed"), &json!("Unlocking"))
    );
    assert_eq!(
        (&difference["a_left_by"], &difference["b_left_by"]),
        (&json!("passphrase-accepted"), &json!("console-rule"))
    );
    let same = Comparison::new(("good", &good), ("good", &good));
    assert_eq!(same.to_json()["first_difference"], Value::Null);
    assert!(
        same.to_text()
            .ends_with("Both went through the same states, each left by the same event.\n")
    );
}

/// Records that a reader may meet: whole ones, and whatever else is JSON.
fn records() -> impl Strategy<Value = Vec<Value>> {
    let word = || {
        prop_oneof![
            Just("boot"),
            Just("install"),
            Just("Booting"),
            Just("Finished"),
            Just("\u{1b}[2J::error::x:y")
        ]
    };
    let kind = prop_oneof![
        Just("transition"),
        Just("stage-began"),
        Just("stage-ended"),
        Just("verdict"),
        Just("note"),
        Just("?")
    ];
    let record = (any::<u32>(), kind, word(), word(), word()).prop_map(|(t_us, kind, stage, from, to)| {
        json!({"t_us": t_us, "kind": kind, "stage": stage, "from": from, "to": to, "what": to, "outcome": from, "event": to})
    });
    let anything = prop_oneof![
        Just(json!(null)),
        Just(json!([1])),
        Just(json!({"t_us": "late", "kind": 7}))
    ];
    prop::collection::vec(prop_oneof![9 => record, 1 => anything], 0..60)
}

proptest! {
    /// A viewer nests slices by their times: each lies within its stage, and no two of one level overlap.
    #[test]
    fn states_lie_within_stages_without_gaps(records in records()) {
        let timeline = Timeline::new(&records);
        let mut at_us = 0;
        for stage in &timeline.stages {
            for span in &stage.states {
                prop_assert_eq!(span.from_us, at_us);
                prop_assert!(span.to_us >= span.from_us);
                at_us = span.to_us;
            }
        }
        prop_assert!(at_us <= timeline.end_us);
        prop_assert!(timeline.moments.iter().all(|moment| moment.at_us <= timeline.end_us));
    }

    #[test]
    fn what_a_guest_says_is_no_syntax(records in records()) {
        let chart = mermaid_gantt("::error::\u{1b}]0;x", &records);
        let harmless = !chart.contains('\u{1b}') && !chart.contains("::");
        prop_assert!(harmless);
        for line in chart.lines().skip(4) {
            let name = line.trim().split(" :").next().unwrap_or_default();
            prop_assert!(!name.contains([':', ';', '#', ',', '<']), "{}", line);
        }
        let chrome = chrome_trace("run", &records);
        prop_assert!(chrome["traceEvents"].as_array().is_some_and(|events| events.len() >= 3));
    }

    #[test]
    fn a_run_is_itself(records in records()) {
        let same = Comparison::new(("a", &records), ("b", &records));
        prop_assert_eq!(same.to_json()["first_difference"].clone(), Value::Null);
    }
}
