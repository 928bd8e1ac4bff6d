//! The JSON Schemas of `result.json` and `trace.jsonl`: what bootgate writes fits them, and they allow nothing else.

use std::path::{Path, PathBuf};

use bootgate::driver::record_json;
use bootgate::machine::{Cause, DeadlineKind, EvidenceRef, Record, State, Verdict};
use bootgate::plan::Evidence;
use bootgate::text::Redactor;
use serde_json::{Value, json};

use crate::json_schema::misfits;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn schema(name: &str) -> Value {
    serde_json::from_str(&read(&fixtures().join(name))).unwrap()
}

pub(crate) fn result_schema() -> Value {
    schema("result.schema.json")
}

pub(crate) fn trace_schema() -> Value {
    schema("trace.schema.json")
}

fn assert_fits(schema: &Value, value: &Value, what: &str) {
    assert_eq!(misfits(schema, value), [""; 0], "{what}");
}

/// A record as a line of a trace.
fn line(record: &Record) -> Value {
    let mut line = json!({"seq": 1, "t_us": 2, "wall": "2026-01-02T03:04:05Z"});
    let record = record_json(&crate::plan(), record, &Redactor::new(std::iter::empty()));
    line.as_object_mut().unwrap().extend(record);
    line
}

#[test]
fn every_class_of_result_fits() {
    for class in crate::all_classes() {
        let mut result = crate::result(class);
        // What the end of a run adds (`bootgate run`).
        result["bundle"] = json!({"path": "runs/a.tar.zst", "machine": true});
        result["skipped"] = Value::Null;
        assert_fits(&result_schema(), &result, class.as_str());
    }
    assert_fits(
        &result_schema(),
        &serde_json::from_str(include_str!("../browser/result.json")).unwrap(),
        "the result of the page's tests",
    );
}

#[test]
fn every_kind_of_record_fits() {
    for record in crate::records() {
        assert_fits(&trace_schema(), &line(&record), &format!("{record:?}"));
    }
    for class in crate::all_classes() {
        let decided = Record::Decided(Box::new(crate::verdict(class)));
        assert_fits(&trace_schema(), &line(&decided), class.as_str());
    }
    for cause in Cause::ALL {
        let verdict = Verdict::of(*cause, "detail".to_owned(), 0, State::Booting);
        assert_fits(&trace_schema(), &line(&Record::Decided(Box::new(verdict))), cause.id());
    }
}

#[test]
fn every_recorded_run_fits() {
    // Of a result they keep the verdict.
    let result = result_schema();
    let mut verdicts = json!({ "$ref": "#/$defs/verdict" });
    verdicts["$defs"] = result["$defs"].clone();
    let trace = trace_schema();
    let runs = std::fs::read_dir(fixtures().join("runs")).unwrap().map(Result::unwrap);
    let runs: Vec<_> = runs.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    assert!(runs.len() > 30);
    for run in runs {
        let name = run.display().to_string();
        let recorded: Value = serde_json::from_str(&read(&run.join("result.json"))).unwrap();
        assert_fits(&verdicts, &recorded["verdict"], &name);
        for line in read(&run.join("trace.jsonl")).lines() {
            assert_fits(&trace, &serde_json::from_str(line).unwrap(), &name);
        }
    }
}

/// Each object of a document, by its path.
fn objects(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.push(path.to_owned());
            for (key, value) in map {
                objects(value, &format!("{path}/{key}"), found);
            }
        }
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                objects(value, &format!("{path}/{at}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn a_field_that_no_schema_knows_is_seen_wherever_it_is() {
    let known_failure = crate::result(bootgate::machine::Class::KnownFailure);
    let mut result = known_failure;
    result["bundle"] = json!({"missing": "a signal came"});
    result["skipped"] = json!({"stage": "a", "class": "failed", "cause": "b", "title": "c", "see": "d"});
    let documents = crate::records()
        .into_iter()
        .map(|record| line(&record))
        .map(|line| (trace_schema(), line));
    let documents: Vec<_> = documents.chain([(result_schema(), result)]).collect();
    let mut places = 0;
    for (schema, document) in documents {
        assert_fits(&schema, &document, "the document itself");
        let mut paths = Vec::new();
        objects(&document, "", &mut paths);
        for path in paths {
            let mut changed = document.clone();
            changed.pointer_mut(&path).unwrap()["unheard-of"] = json!(1);
            assert_ne!(
                misfits(&schema, &changed),
                [""; 0],
                "{path}: a new field goes unseen in {document}"
            );
            places += 1;
        }
    }
    assert!(places > 30, "{places}");
}

/// The words of an `enum`, wherever it stands.
fn words(schema: &Value, place: &str) -> Vec<String> {
    let words = schema
        .pointer(place)
        .and_then(Value::as_array)
        .unwrap_or_else(|| panic!("{place}"));
    words.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_words_are_those_of_the_code() {
    let states = State::ALL.map(|state| state.name().to_owned());
    let kinds = DeadlineKind::ALL.map(|kind| kind.name().to_owned());
    let levels = [
        Evidence::Process,
        Evidence::Firmware,
        Evidence::Kernel,
        Evidence::Userspace,
        Evidence::Marker,
        Evidence::Login,
        Evidence::Installed,
        Evidence::InstalledKernel,
        Evidence::Target,
    ];
    for schema in [result_schema(), trace_schema()] {
        assert_eq!(words(&schema, "/$defs/state/enum"), states);
    }
    assert_eq!(words(&trace_schema(), "/$defs/deadline/properties/kind/enum"), kinds);
    assert_eq!(
        words(&result_schema(), "/$defs/level/enum"),
        levels.map(|level| level.as_str().to_owned())
    );
    let mut classes = words(&result_schema(), "/$defs/verdict/properties/class/enum");
    let mut known: Vec<_> = crate::all_classes()
        .into_iter()
        .map(|class| class.as_str().to_owned())
        .collect();
    classes.sort();
    known.sort();
    assert_eq!(classes, known);
    assert_eq!(
        result_schema()["properties"]["version"]["const"],
        crate::result(bootgate::machine::Class::Passed)["version"]
    );
}

/// Evidence without a place, and one with all that there can be.
#[test]
fn evidence_of_every_form_fits() {
    for evidence in [EvidenceRef::file("ssh/install.log"), crate::forms::evidence()] {
        let note = Record::Note {
            state: State::Held,
            what: "note",
            detail: String::new(),
            evidence: Some(evidence),
        };
        assert_fits(&trace_schema(), &line(&note), "a note");
    }
}
