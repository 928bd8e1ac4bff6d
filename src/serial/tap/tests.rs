//! The tap drains whatever the consumer, the guest's input and the disk do.

use std::path::Path;
use std::time::Duration;

use tokio::io::{DuplexStream, duplex};

use super::super::console::SendError;
use super::super::marker::{PROMPT_QUIET, Target};
use super::super::raw_log::LogLayout;
use super::*;
use crate::plan::{Pattern, Secret};

/// A tap on a stream whose other end, the guest's, is returned first.
fn tap(dir: &Path) -> (DuplexStream, Console, mpsc::Receiver<SerialNotice>) {
    let target = |id: &str, prompt| Target {
        id: id.to_owned(),
        pattern: Pattern::Text(id.to_owned()),
        prompt,
    };
    let watch = Watch::new([
        target("marker", false),
        target("panic", false),
        target("passphrase:", true),
    ])
    .unwrap();
    let log = RawLog::create(LogLayout::new(dir.join("serial.log"), 1024, 4096)).unwrap();
    let (guest, ours) = duplex(4096);
    let (console, notices) = attach(ours, watch, log);
    (guest, console, notices)
}

async fn next_match(notices: &mut mpsc::Receiver<SerialNotice>) -> Match {
    loop {
        match notices.recv().await {
            Some(SerialNotice::Match(found)) => return found,
            Some(_) => {}
            None => panic!("the tap ended without a match"),
        }
    }
}

/// Every notice until the stream ends.
async fn rest(mut notices: mpsc::Receiver<SerialNotice>) -> (Vec<SerialNotice>, TapSummary) {
    let mut before = Vec::new();
    while let Some(notice) = notices.recv().await {
        match notice {
            SerialNotice::Closed(summary) => return (before, summary),
            other => before.push(other),
        }
    }
    panic!("the tap ended without a summary");
}

#[tokio::test(start_paused = true)]
async fn what_is_told_is_on_disk_already() {
    let dir = tempfile::tempdir().unwrap();
    let (mut guest, console, mut notices) = tap(dir.path());
    assert_eq!((console.bytes_seen(), console.last_byte_at()), (0, None));
    let begun = now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    guest
        .write_all(b"hello\r\n the \x1b[1mmarker\x1b[0m\r\n")
        .await
        .unwrap();
    match notices.recv().await {
        Some(SerialNotice::FirstByte { at }) => assert_eq!(at - begun, Duration::from_secs(3)),
        other => panic!("{other:?}"),
    }
    let found = next_match(&mut notices).await;
    assert_eq!(
        (found.line.as_bytes(), found.match_offset),
        (b" the marker".as_slice(), 16)
    );
    let (file, at) = console.locate(found.match_offset).unwrap();
    let at = usize::try_from(at).unwrap();
    assert_eq!(&std::fs::read(file).unwrap()[at..at + 6], b"marker");
    assert_eq!(console.bytes_seen(), 28);
    assert_eq!(console.last_byte_at(), Some(begun + Duration::from_secs(3)));
    assert_eq!(console.tail(1), [" the marker"]);
    drop(guest);
    let (_, summary) = rest(notices).await;
    assert_eq!(
        (summary.bytes_total, summary.bytes_kept, summary.bytes_dropped),
        (28, 28, 0)
    );
    assert_eq!(summary.read_error, None);
    assert_eq!(console.send("x"), Err(SendError::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (mut guest, console, mut notices) = tap(dir.path());
    let begun = now();
    guest.write_all(b"Enter passphrase: ").await.unwrap();
    let found = next_match(&mut notices).await;
    assert_eq!(now() - begun, PROMPT_QUIET);
    assert!(found.unterminated);
    console.send_line(Secret::new("correct horse".to_owned())).unwrap();
    let mut answer = [0; 14];
    guest.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"correct horse\r");
}

#[tokio::test]
async fn a_stopped_consumer_does_not_stop_the_draining() {
    let dir = tempfile::tempdir().unwrap();
    let (mut guest, console, notices) = tap(dir.path());
    let flood = b"marker\n".repeat(1000);
    for _ in 0..100 {
        guest.write_all(&flood).await.unwrap();
    }
    guest.write_all(b"panic\n").await.unwrap();
    drop(guest);
    let (before, summary) = rest(notices).await;
    let told = |id: &str| {
        before
            .iter()
            .filter(|n| matches!(n, SerialNotice::Match(found) if found.id == id))
            .count()
    };
    assert_eq!(told("marker"), MATCHES_PER_TARGET_MAX);
    assert_eq!(told("panic"), 1, "a flood of one target hides no other");
    let dropped = 100_000 - MATCHES_PER_TARGET_MAX as u64;
    assert_eq!(
        summary.matches_dropped,
        BTreeMap::from([("marker".to_owned(), dropped)])
    );
    assert_eq!((summary.bytes_total, console.bytes_seen()), (700_006, 700_006));
    assert_eq!(summary.bytes_kept + summary.bytes_dropped, summary.bytes_total);
    assert!(summary.bytes_kept >= 1024 + 3 * 1024);
}

#[tokio::test]
async fn draining_goes_on_when_nobody_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let (mut guest, console, notices) = tap(dir.path());
    drop((console, notices));
    guest.write_all(&b"marker\n".repeat(10_000)).await.unwrap();
    guest.flush().await.unwrap();
}

#[tokio::test]
async fn a_guest_that_does_not_read_is_drained_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (mut guest, console, mut notices) = tap(dir.path());
    let input = vec![b'i'; 4096];
    let mut sent = 0;
    loop {
        match console.send(input.as_slice()) {
            Ok(()) => sent += 1,
            Err(error) => {
                assert_eq!(error, SendError::Full);
                break;
            }
        }
    }
    assert_eq!(sent, CONSOLE_INPUTS_MAX);
    guest.write_all(&b"-".repeat(100_000)).await.unwrap();
    guest.write_all(b"\nmarker\n").await.unwrap();
    assert_eq!(next_match(&mut notices).await.id, "marker");
    let mut read = vec![0; sent * input.len()];
    guest.read_exact(&mut read).await.unwrap();
    assert!(read.iter().all(|byte| *byte == b'i'));
}

#[tokio::test]
async fn a_failing_disk_is_told_once_and_does_not_stop_the_draining() {
    let dir = tempfile::tempdir().unwrap();
    let (mut guest, console, notices) = tap(dir.path());
    std::fs::create_dir(dir.path().join("serial.log.from-1024")).unwrap();
    guest.write_all(&[b'-'; 1024]).await.unwrap();
    for _ in 0..3 {
        guest.write_all(b"lost\n").await.unwrap();
        tokio::task::yield_now().await;
    }
    guest.write_all(b"marker\n").await.unwrap();
    drop(guest);
    let (before, summary) = rest(notices).await;
    let failures: Vec<_> = before
        .iter()
        .filter_map(|notice| match notice {
            SerialNotice::LogFailed { error } => Some(error.offset),
            _ => None,
        })
        .collect();
    assert_eq!(failures, [1024]);
    assert!(before.iter().any(|notice| matches!(notice, SerialNotice::Match(_))));
    assert_eq!((summary.bytes_lost, summary.bytes_kept), (22, 1024));
    assert_eq!(console.locate(1024), None);
    assert!(console.locate(1023).is_some());
}

#[test]
fn an_input_does_not_show_its_secret() {
    let input = Input::from(Secret::new("canary".to_owned()));
    assert_eq!(format!("{input:?}"), "***");
}
