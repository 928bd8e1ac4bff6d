//! A guest that writes as fast as it can, to a tap whose consumer is stopped.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use bootgate::plan::Pattern;
use bootgate::serial::marker::{Target, Watch};
use bootgate::serial::raw_log::{LogLayout, RawLog};
use bootgate::serial::tap::{MATCHES_PER_TARGET_MAX, SerialNotice, attach};
use bootgate::triage::{Source, builtin, targets};
use bootgate::units::{KIB, MIB};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// How much the process may grow while the flood passes.
const GROWTH_BYTES_MAX: u64 = 8 * MIB;
const FLOOD_BYTES: u64 = 100 * MIB;
const MARKERS: u64 = 1000;
/// How much text that is not ASCII is searched for a word.
const WORDS_BYTES: usize = 10_000_000;

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4 * KIB
}

/// Half of the flood in lines, a marker in every so many of them; half as one line without end, a marker behind it.
fn flood(mut guest: &UnixStream) {
    let filler = b"\x1b[32mfiller \xe2\x9c\x93\x1b[0m <b>line</b> ::error::x ##[group]y\xff\r\n".repeat(1400);
    let per_marker = FLOOD_BYTES / 2 / MARKERS;
    for _ in 0..MARKERS {
        guest
            .write_all(&filler[..usize::try_from(per_marker).unwrap()])
            .unwrap();
        guest.write_all(b"\r\nthe \x1b[1mmarker\x1b[0m\r\n").unwrap();
    }
    let endless = vec![b'.'; 1 << 20];
    for _ in 0..FLOOD_BYTES / 2 / MIB {
        guest.write_all(&endless).unwrap();
    }
    guest.write_all(b"the end").unwrap();
}

#[tokio::test]
async fn a_flood_is_drained_in_bounded_memory_and_no_marker_is_missed() {
    let directory = tempfile::tempdir().unwrap();
    let target = |id: &str| Target {
        id: id.to_owned(),
        pattern: Pattern::Text(format!("the {id}")),
        prompt: false,
    };
    let watch = Watch::new([target("marker"), target("end")]).unwrap();
    let log = RawLog::create(LogLayout::new(directory.path().join("serial.log"), MIB, MIB)).unwrap();
    let (guest, ours) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let (console, mut notices) = attach(tokio::net::UnixStream::from_std(ours).unwrap(), watch, log);
    let before = resident_bytes();
    let writer = tokio::task::spawn_blocking(move || flood(&guest));
    writer.await.unwrap();

    let mut told = 0;
    let mut end_seen = false;
    let summary = loop {
        match notices.recv().await {
            Some(SerialNotice::Match(found)) if found.id == "end" => end_seen = true,
            Some(SerialNotice::Match(_)) => told += 1,
            Some(SerialNotice::Closed(summary)) => break summary,
            Some(_) => {}
            None => panic!("the tap ended without a summary"),
        }
    };
    let growth = resident_bytes().saturating_sub(before);
    assert!(growth <= GROWTH_BYTES_MAX, "grew by {growth} bytes");
    assert!(end_seen);
    assert_eq!(told, MATCHES_PER_TARGET_MAX as u64);
    assert_eq!(summary.matches_dropped.get("marker"), Some(&(MARKERS - told)));
    assert_eq!(summary.bytes_total, console.bytes_seen());
    assert_eq!(summary.bytes_kept + summary.bytes_dropped, summary.bytes_total);
    assert!(summary.bytes_total >= FLOOD_BYTES);
    assert!((MIB..=2 * MIB).contains(&summary.bytes_kept));
}

/// How long this thread computes to look for the built-in rules and a pattern of a gate's own in a console that is not in
/// English, and how often it finds the pattern.
fn search(pattern: &str) -> (Duration, usize) {
    let own = Target {
        id: "own".to_owned(),
        pattern: Pattern::Regex(pattern.to_owned()),
        prompt: false,
    };
    let rules = targets(&builtin(), &[Source::Serial]);
    let mut watch = Watch::new(rules.into_iter().chain([own])).unwrap();
    let text = "Démarrage du système: vérification «réussie» ✓ 漢字\r\n".repeat(1000);
    let computed = || {
        getrusage(UsageWho::RUSAGE_THREAD)
            .unwrap()
            .user_time()
            .num_microseconds()
    };
    let (now, began, mut found) = (Instant::now(), computed(), 0);
    for _ in 0..WORDS_BYTES / text.len() {
        watch.feed(text.as_bytes(), now, |_| found += 1);
    }
    watch.feed("panické: panic!\r\n".as_bytes(), now, |_| found += 1);
    (Duration::from_micros((computed() - began).cast_unsigned()), found)
}

#[test]
fn a_word_of_a_gates_own_is_looked_for_as_quickly_in_any_language() {
    let (quick, ascii_found) = search(r"(?-u:\b)panic[!](?-u:\B)");
    let (took, found) = search(r"\bpanic\b");
    assert_eq!((ascii_found, found), (1, 1), "`panické` is another word");
    assert!(
        took < quick * 3 / 2,
        "{took:?}, but {quick:?} with ASCII word boundaries"
    );
}
