//! Recorded sessions of two QEMU versions, played to the whole program: the cause is that of the recording.

use serde_json::Value;

use crate::bench::{Bench, MARKER};
use crate::player::fixture;
use crate::stories::{halfway, live};
use crate::story::{Act, Beat, Story, after_cont};

/// Pause between two repetitions: resets that are closer are one.
const AGAIN_MS: u64 = 1_500;

/// What QEMU said by itself after `cont` and before it was told to stop or to quit, at the pace of the recording.
fn said_after_cont(version: &str, name: &str) -> Vec<(u64, String)> {
    let path = fixture(&format!("qmp/{version}_x86_64/{name}.qmp.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap();
    let messages: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let word = |message: &Value, key: &str| message[key].as_str().unwrap().to_owned();
    let told = |message: &Value, command: &str| {
        message["dir"] == "tx" && word(message, "raw").contains(&format!("\"{command}\""))
    };
    let begin = messages.iter().position(|message| told(message, "cont")).unwrap();
    let end = messages
        .iter()
        .position(|message| told(message, "stop") || told(message, "quit"))
        .unwrap();
    let begin_us = messages[begin]["t_us"].as_u64().unwrap();
    let events = messages[begin..end].iter().filter(|message| {
        let raw = word(message, "raw");
        message["dir"] == "rx" && raw.contains("\"event\"") && !raw.contains("\"RESUME\"")
    });
    let paced = events.map(|message| {
        (
            (message["t_us"].as_u64().unwrap() - begin_us) / 1_000,
            word(message, "raw"),
        )
    });
    paced.collect()
}

fn beats(said: &[(u64, String)], after_ms: u64) -> impl Iterator<Item = Beat> {
    said.iter()
        .map(move |(at_ms, raw)| after_cont(after_ms + at_ms, Act::Qmp(raw.clone())))
}

#[tokio::test]
async fn each_recording_comes_to_its_cause() {
    let mut rows = Vec::new();
    for version in ["7.2.22", "10.0.2"] {
        for (name, status, verdict) in [
            ("guest-shutdown", "shutdown", "failed guest-powered-off Booting 1"),
            ("pvpanic", "guest-panicked", "failed kernel-panic Booting 1"),
            (
                "enospc-stop-cont",
                "io-error",
                "infrastructure host-disk-full Booting 4",
            ),
        ] {
            let said = said_after_cont(version, name);
            assert!(!said.is_empty(), "{version} {name}");
            let set = after_cont(said[0].0, Act::Status(status.to_owned()));
            let story = Story::new(halfway())
                .and([set])
                .and(beats(&said, 0))
                .of_version(version);
            let name = format!("{name} of {version}");
            rows.push((
                name.clone(),
                Bench::new(&name, "", &[MARKER], &[story]),
                verdict.to_owned(),
            ));
        }
        let said = said_after_cont(version, "guest-reset");
        // The two events of one reset on the way up: the run goes on. Four such resets are a loop.
        let once = Story::new(beats(&said, 0)).and(live_after(1_000)).of_version(version);
        let passed = "passed every-claim-proved Releasing 0".to_owned();
        rows.push((
            format!("one reset of {version}"),
            Bench::new("reset", "", &[MARKER], &[once]),
            passed,
        ));
        let four = (0..4).flat_map(|n| beats(&said, n * AGAIN_MS)).collect::<Vec<_>>();
        let looping = Bench::new("loop", "", &[MARKER], &[Story::new(four).of_version(version)]);
        rows.push((
            format!("loop of {version}"),
            looping,
            "failed reset-loop Booting 1".to_owned(),
        ));
    }
    let unknown = said_after_cont("10.0.2", "unknown-event");
    let panic = Story::new(halfway()).and(beats(&unknown, 10)).of_version("10.0.2");
    // One of its events is a panic of a kind that this build's types don't know.
    rows.push((
        "unknown event".to_owned(),
        Bench::new("unknown", "", &[MARKER], &[panic]),
        "failed kernel-panic Booting 1".to_owned(),
    ));
    crate::endings::all_come_to(rows).await;
}

fn live_after(ms: u64) -> Vec<Beat> {
    let mut beats = live();
    for beat in &mut beats {
        beat.after_ms += ms;
    }
    beats
}
