//! What programs read of a run, whatever its guest says: traces, results, and the recording of the console.

use std::time::{Duration, Instant};

use bootgate::driver::record_json;
use bootgate::machine::{Class, EvidenceRef, Record, State};
use bootgate::report::{ResultInputs, chrome_trace, mermaid_gantt, result_json, trace_table};
use bootgate::serial::cast::{CAST_BYTES_MAX, Cast};
use bootgate::text::{Redactor, Untrusted, printable_json};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::ci::saying;
use crate::ci_log::assert_harmless;
use crate::forms::plan;
use crate::hostile::{bytes_of_any_length, text};
use crate::json_schema::misfits;
use crate::oracles::{assert_cast, assert_chrome};
use crate::outcomes::info;
use crate::schemas::{result_schema, trace_schema};

/// A trace in which everything that may be somebody's text is this one.
fn trace(text: &str) -> Vec<Value> {
    let evidence = EvidenceRef {
        file: text.to_owned(),
        offset_bytes: Some(1),
        quote: Some(Untrusted::new(text)),
    };
    let transition = Record::Transition {
        stage: 0,
        from: State::Booting,
        to: State::MarkerSeen,
        event: "marker-seen",
        confirmed_by: Some(text.to_owned()),
        detail: text.to_owned(),
        evidence: Some(evidence.clone()),
        deadline_left: None,
    };
    let note = Record::Note {
        state: State::Booting,
        what: "note",
        detail: text.to_owned(),
        evidence: Some(evidence),
    };
    let decided = Record::Decided(Box::new(saying(Class::KnownFailure, text).verdict));
    let records = [Record::StageBegan { stage: 0 }, transition, note, decided];
    let lines = records.iter().zip(0_u64..).map(|(record, n)| {
        let mut line = json!({"seq": n + 1, "t_us": n, "wall": "2026-01-02T03:04:05Z"});
        let record = record_json(&plan(), record, &Redactor::new(std::iter::empty()));
        line.as_object_mut().unwrap().extend(record);
        line
    });
    lines.collect()
}

/// Some text: evidence without a file is none.
fn something() -> impl Strategy<Value = String> {
    text().prop_filter("some text", |text| !text.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn a_trace_can_be_read_by_every_viewer(text in something()) {
        let (records, form) = (trace(&text), trace_schema());
        for record in &records {
            let line = printable_json(record, false);
            assert_harmless("jsonl", &line);
            let read: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(&read, record);
            prop_assert_eq!(misfits(&form, &read), [""; 0]);
        }
        assert_chrome(&printable_json(&chrome_trace("run", &records), false));
        for (form, shown) in [("mermaid", mermaid_gantt(&text, &records)), ("table", trace_table(&records, true))] {
            assert_harmless(form, &shown);
            prop_assert!(shown.len() < 16 * 1024, "{} bytes", shown.len());
        }
    }

    #[test]
    fn a_result_can_be_read(text in something()) {
        let (plan, outcome) = (plan(), saying(Class::KnownFailure, &text));
        let result = result_json(&ResultInputs {
            plan: &plan,
            info: &info(),
            outcome: &outcome,
            image_sha256: None,
            gate_sha256: &"11".repeat(32),
        });
        let line = printable_json(&result, true);
        assert_harmless("result", &line);
        let mut read: Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(&read, &result);
        (read["bundle"], read["skipped"]) = (Value::Null, Value::Null);
        prop_assert_eq!(misfits(&result_schema(), &read), [""; 0]);
    }

    #[test]
    fn a_recording_can_be_played(parts in prop::collection::vec(bytes_of_any_length(), 0..9)) {
        let (place, began) = (tempfile::tempdir().unwrap(), Instant::now());
        let path = place.path().join("serial.cast");
        let mut cast = Cast::create(&path, "a run", began, 0).unwrap();
        for (part, number) in parts.iter().zip(0..) {
            cast.bytes(part, began + Duration::from_millis(number));
        }
        let recorded = std::fs::read_to_string(path).unwrap();
        assert_cast(&recorded);
        prop_assert!(recorded.len() as u64 <= CAST_BYTES_MAX);
    }
}
