//! What may come over QMP and the console without ending a run, and what ends it without harm.

use serde_json::json;

use crate::bench::{Bench, MARKER};
use crate::stories::{halfway, live};
use crate::story::{Act, Story, after_cont, at_start, event, on};

const PASSED: &str = "passed every-claim-proved Releasing 0";
const MIB: u64 = 1024 * 1024;

#[tokio::test]
async fn unknown_events_and_garbage_change_nothing() {
    let line = |at, line: &str| after_cont(at, Act::Qmp(line.to_owned()));
    let beats = vec![
        after_cont(5, event("FROM_THE_FUTURE", json!({"answer": 42}))),
        after_cont(6, event("MIGRATION", json!({"status": "failing"}))),
        line(7, "this is not JSON"),
        line(8, "[]"),
        line(9, "{}"),
        line(10, ""),
        line(11, r#"{"return": {}, "id": 4711}"#),
        line(12, r#"{"return": {}}"#),
        line(
            13,
            r#"{"error": {"class": "GenericError", "desc": "JSON parse error"}}"#,
        ),
        line(14, r#"{"QMP": {"version": {}, "capabilities": []}}"#),
        line(15, r#"{"event": 1}"#),
        line(16, "\u{1b}]0;title\u{7}\u{202e}::error::x ##[group]y"),
        // Merged and repeated events say no more than one.
        after_cont(17, event("RESUME", json!(null))),
        after_cont(18, event("RESUME", json!(null))),
        after_cont(
            19,
            event("RESET", json!({"guest": false, "reason": "host-qmp-system-reset"})),
        ),
        after_cont(
            20,
            event(
                "BLOCK_IO_ERROR",
                json!({"device": "x", "action": "report", "operation": "read"}),
            ),
        ),
        at_start(Act::Qmp("before any greeting".to_owned())),
    ];
    let finished = Bench::new("garbage", "", &[MARKER], &[Story::new(live()).and(beats)])
        .run()
        .await;
    let finished = finished.comes_to(PASSED);
    assert!(finished.records("qmp-protocol").len() >= 8, "{}", finished.printed);
    assert!(
        !finished.printed.contains(['\u{1b}', '\u{7}', '\u{202e}']),
        "{:?}",
        finished.printed
    );
}

#[tokio::test]
async fn each_version_passes_and_every_state_is_in_the_trace_in_order() {
    for version in ["7.2.22", "10.0.2"] {
        let story = Story::new(live()).of_version(version);
        let finished = Bench::new(version, "", &[MARKER], &[story])
            .run()
            .await
            .comes_to(PASSED);
        assert_eq!(finished.states(), ["Booting", "Exiting", "Releasing", "Finished"]);
        let marker = finished.records("marker-seen");
        let transition = marker.iter().find(|record| record["kind"] == "transition").unwrap();
        assert_eq!(transition["confirmed_by"], "query-status: running");
        let (offset, console) = (
            transition["evidence"]["offset_bytes"].as_u64().unwrap(),
            finished.file("serial.log"),
        );
        assert!(console[usize::try_from(offset).unwrap()..].starts_with(b"LIVE-READY"));
        let told = finished.result["host"]["qemu_version"].as_str().unwrap();
        assert!(told.contains(version), "{told}");
    }
}

#[tokio::test]
async fn a_marker_is_seen_however_it_is_written() {
    for (text, chunk_bytes) in [
        ("LIVE-READY\r\n", 1),
        ("\u{1b}[0;32mLIVE-\u{1b}[1mREADY\u{1b}[0m\r\n", 1),
        ("noise\rLIVE-READY\r\n", 3),
        ("caf\u{e9} LIVE-READY\n", 2),
    ] {
        let story = Story::new(halfway()).and([after_cont(60, Act::Serial(text.to_owned(), chunk_bytes))]);
        Bench::new(text, "", &[MARKER], &[story]).run().await.comes_to(PASSED);
    }
}

#[tokio::test]
async fn a_line_without_end_ends_the_session_and_not_the_memory() {
    let flood = on("cont", 50, Act::QmpFlood(256 * MIB));
    let finished = Bench::new("flood", "", &[MARKER], &[Story::new(halfway()).and([flood])])
        .run()
        .await;
    let finished = finished.comes_to("infrastructure qmp-lost Booting 4");
    let transcript = finished.file("qmp.jsonl").len() as u64;
    assert!(transcript < MIB, "{transcript} bytes of transcript");
}

#[tokio::test]
async fn a_flood_of_events_does_not_hide_a_death() {
    let mut beats = halfway();
    let status = event("RTC_CHANGE", json!({"offset": 1, "qom-path": "/machine"}));
    let flood = vec![status; 4_000].into_iter().map(|act| match act {
        Act::Qmp(line) => line,
        _ => String::new(),
    });
    beats.push(after_cont(50, Act::Qmp(flood.collect::<Vec<_>>().join("\r\n"))));
    beats.push(after_cont(60, Act::Status("guest-panicked".to_owned())));
    beats.push(after_cont(61, event("GUEST_PANICKED", json!({"action": "pause"}))));
    let finished = Bench::new("events", "", &[MARKER], &[Story::new(beats)]).run().await;
    finished.comes_to("failed kernel-panic Booting 1");
}

#[tokio::test]
async fn a_late_answer_is_no_answer() {
    // The status is asked for when the marker is seen, and answered when nobody waits any more.
    let mut late = on(
        "query-status",
        10_500,
        Act::Qmp(r#"{"return": {"status": "running", "running": true}, "id": 4}"#.to_owned()),
    );
    late.nth = 2;
    // The first time it is asked before the guest's first instruction.
    let beats = [on("query-status", 0, Act::Deaf("query-status".to_owned())), late];
    let stage = MARKER.replace("20s", "60s");
    let finished = Bench::new("late", "", &[&stage], &[Story::new(live()).and(beats)])
        .run()
        .await;
    finished.comes_to("infrastructure qemu-unresponsive Booting 4");
}
