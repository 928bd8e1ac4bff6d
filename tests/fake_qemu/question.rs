//! A question on the console ends the run in seconds, and what only looks like one does not.

use std::time::Duration;

use crate::bench::{Bench, MARKER};
use crate::endings::all_come_to;
use crate::stories::halfway;
use crate::story::{Act, Beat, Story, after_cont, says};

/// From the question to the verdict.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// Longer than it takes to tell a question, and shorter than the stage.
const LATER_MS: u64 = 6_000;

fn open(after_ms: u64, text: &str) -> Beat {
    after_cont(after_ms, Act::Serial(text.to_owned(), 0))
}

#[tokio::test]
async fn a_question_is_told_with_its_line_in_seconds() {
    let story = Story::new(halfway()).and([open(100, "Proceed? [y/N] ")]);
    let finished = Bench::new("question", "", &[MARKER], &[story]).run().await;
    let finished = finished.comes_to("failed waiting-for-input Booting 1");
    let verdict = &finished.result["verdict"];
    assert_eq!(verdict["evidence"]["quote"], "Proceed? [y/N] ", "{verdict:#}");
    let offset = verdict["evidence"]["offset_bytes"].as_u64().unwrap();
    let console = finished.file("serial.log");
    assert_eq!(&console[usize::try_from(offset).unwrap()..], b"Proceed? [y/N] ");
    let by = verdict["confirmed_by"].to_string();
    assert!(by.contains("no disk is used and the virtual CPUs are idle"), "{by}");
    let at = |name: &str| finished.records(name)[0]["t_us"].as_u64().unwrap();
    // The fake's question comes 70 ms after its kernel.
    let took = Duration::from_micros(at("input-awaited") - at("kernel-seen"));
    assert!(took < TOLD_WITHIN, "{took:?}");
}

#[tokio::test]
async fn what_goes_on_is_no_question() {
    let rows = [
        ("a service that starts", vec![open(100, "Starting sshd: ")]),
        ("a login prompt", vec![open(100, "\r\nfake login: ")]),
        ("a countdown", vec![open(100, "Press any key to stop, in 9 seconds: ")]),
        (
            "a question whose disk works",
            vec![after_cont(90, Act::DiskWorks), open(100, "Proceed? [y/N] ")],
        ),
        (
            "a question that was answered",
            vec![open(100, "Proceed? [y/N] "), open(2_000, "y\r\nproceeding")],
        ),
        (
            "questions that are asked again and again",
            (0..3).map(|n| open(100 + n * 1_900, "\r\nRetry? ")).collect(),
        ),
    ];
    let mut rows: Vec<_> = rows
        .map(|(name, beats)| {
            let story = Story::new(halfway()).and(beats).and([says(LATER_MS, "\r\nLIVE-READY")]);
            (name, story)
        })
        .into();
    let boot_loader = Story::new([open(50, "boot: "), says(LATER_MS, "\r\nLIVE-READY")]);
    rows.push(("a boot loader", boot_loader));
    let row = |(name, story): (&str, Story)| {
        let bench = Bench::new(name, "", &[MARKER], &[story]);
        (
            name.to_owned(),
            bench,
            "passed every-claim-proved Releasing 0".to_owned(),
        )
    };
    all_come_to(rows.into_iter().map(row).collect()).await;
}
