//! What the spans of every recorded run have in common, and of some what they say.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use bootgate::evidence::{Durability, RunDir};
use serde_json::json;

use crate::cli_support::ROOT;
use crate::spans::{Span, attributes, exported};

fn recorded() -> Vec<String> {
    let folders = std::fs::read_dir(format!("{ROOT}/fixtures/runs")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path());
    let runs = folders.filter(|path| path.join("trace.jsonl").exists());
    runs.map(|path| path.to_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn nested(spans: &[Span]) {
    let of: HashMap<_, _> = spans.iter().map(|span| (&*span.id, span)).collect();
    assert_eq!(of.len(), spans.len(), "each id is used once");
    let traces: HashSet<_> = spans.iter().map(|span| &span.trace).collect();
    assert_eq!(traces.len(), 1);
    assert_eq!(
        spans.iter().filter(|span| span.parent.is_empty()).count(),
        1,
        "one root"
    );
    for span in spans {
        assert_eq!((span.trace.len(), span.id.len()), (32, 16));
        assert!(span.from_ns <= span.to_ns, "{span:?}");
        for (at_ns, event) in &span.events {
            assert!((span.from_ns..=span.to_ns).contains(at_ns), "{event}: {span:?}");
        }
        if !span.parent.is_empty() {
            let parent = of[&*span.parent];
            assert!(
                parent.from_ns <= span.from_ns && span.to_ns <= parent.to_ns,
                "{span:?} in {parent:?}"
            );
        }
    }
}

#[test]
fn the_spans_of_every_recorded_run_lie_within_each_other() {
    let runs = recorded();
    assert!(runs.len() > 20, "{runs:?}");
    for run in runs {
        let (_, spans) = exported(&run);
        nested(&spans);
        let info = std::fs::read_to_string(format!("{run}/run.json")).unwrap();
        let info: serde_json::Value = serde_json::from_str(&info).unwrap();
        assert_eq!(
            spans[0].trace,
            info["uuid"].as_str().unwrap().replace('-', ""),
            "the run is the trace"
        );
        let result = std::fs::read_to_string(format!("{run}/result.json")).unwrap();
        let result: serde_json::Value = serde_json::from_str(&result).unwrap();
        let passed = result["verdict"]["class"] == "passed";
        assert_eq!(spans[0].status, if passed { 1 } else { 2 }, "{run}");
        assert_eq!(
            spans[0].attribute("bootgate.verdict.cause"),
            Some(&result["verdict"]["cause"])
        );
        let again = exported(&run).1;
        assert!(
            again.iter().zip(&spans).all(|(again, first)| again.id == first.id),
            "the ids stay"
        );
    }
}

/// Names, outcomes and events as a tree.
fn tree(spans: &[Span]) -> String {
    let mut text = String::new();
    for span in spans {
        let depth = match () {
            () if span.parent.is_empty() => 0,
            () if span.parent == spans[0].id => 1,
            () => 2,
        };
        let status = ["", " ok", " error"][usize::try_from(span.status).unwrap()];
        let _ = writeln!(text, "{}{}{status}", "  ".repeat(depth), span.name);
        for (_, event) in &span.events {
            let _ = writeln!(text, "{}- {event}", "  ".repeat(depth + 1));
        }
    }
    text
}

#[test]
fn a_run_that_panicked_is_read_at_a_glance() {
    let (_, spans) = exported("fixtures/runs/kernel-panic");
    insta::assert_snapshot!("kernel_panic", tree(&spans));
}

#[test]
fn a_run_says_what_it_tested_and_qemus_events_are_in_it() {
    let root = tempfile::tempdir().unwrap();
    let run = RunDir::create(root.path(), "live", "2026-01-01T12:00:00Z".parse().unwrap()).unwrap();
    let mut journal = run.trace().unwrap();
    let quote = "\u{1b}[31m::error::x".repeat(2_000);
    journal
        .append(
            &json!({"seq": 1, "t_us": 5_000_000, "kind": "transition", "stage": "boot", "from": "Preparing", "to": "Booting",
                    "event": "prepared", "wall": "2026-01-01T12:00:05Z", "evidence": {"file": "serial.log", "quote": quote}}),
            Durability::Process,
        )
        .unwrap();
    for number in 0..600 {
        let note = json!({"seq": 2 + number, "t_us": 5_500_000, "kind": "note", "what": "reset\u{1b}[2J"});
        journal.append(&note, Durability::Process).unwrap();
    }
    let end = json!({"seq": 700, "t_us": 6_000_000, "kind": "transition", "stage": "boot", "from": "Booting", "to": "Stopping"});
    journal.append(&end, Durability::Process).unwrap();
    let event = json!({"t_us": 1_000_000, "dir": "rx", "line": r#"{"event": "RESUME", "timestamp": {}}"#});
    std::fs::write(run.path().join("qmp.jsonl"), format!("{event}\n")).unwrap();
    let sha256 = "ab".repeat(32);
    run.write_result(&json!({"image": {"sha256": sha256}, "host": {"qemu_version": "7.2.22", "accelerator": "tcg"}}))
        .unwrap();
    let path = run.path().to_str().unwrap().to_owned();
    let (resource, spans) = exported(&path);
    nested(&spans);
    let resource = attributes(&resource["attributes"]);
    for (name, value) in [
        ("service.name", "bootgate"),
        ("bootgate.gate", "live"),
        ("bootgate.image.sha256", &sha256),
        ("bootgate.qemu.version", "7.2.22"),
        ("bootgate.accelerator", "tcg"),
    ] {
        assert!(
            resource.contains(&(name.to_owned(), json!(value))),
            "{name}: {resource:?}"
        );
    }
    // 12:00:00 by the wall clock is the run's zero.
    let preparing = &spans[2];
    assert_eq!(
        (preparing.name.as_str(), preparing.from_ns),
        ("Preparing", 1_767_268_800_000_000_000)
    );
    assert_eq!(preparing.events, [(1_767_268_801_000_000_000, "QMP RESUME".to_owned())]);
    let quote = preparing
        .attribute("bootgate.evidence.quote")
        .unwrap()
        .as_str()
        .unwrap();
    assert!(quote.chars().count() <= 512 && !quote.contains('\u{1b}'), "{quote}");
    assert_eq!(spans[3].events.len(), 512);
    assert!(spans[3].events.iter().all(|(_, event)| !event.contains('\u{1b}')));
}
