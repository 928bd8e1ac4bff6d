//! Hostile console output is found, and shown without acting, in every place.

use std::path::Path;
use std::time::Instant;

use bootgate::plan::Pattern;
use bootgate::serial::marker::{Match, Target, Watch};
use bootgate::text::{Untrusted, actions_log, json_text, lines, markdown_fence, terminal_line, xml_text};

const MARKER: &str = "HOSTILE MARKER";

fn files() -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile");
    let files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    assert!(files.len() >= 10, "the hostile inputs are missing");
    files
}

fn found(raw: &[u8], chunk_bytes: usize) -> Vec<Match> {
    let target = Target {
        id: "marker".to_owned(),
        pattern: Pattern::Text(MARKER.to_owned()),
        prompt: false,
    };
    let mut watch = Watch::new([target]).unwrap();
    let mut matches = Vec::new();
    let now = Instant::now();
    for chunk in raw.chunks(chunk_bytes) {
        watch.feed(chunk, now, |found| matches.push(found));
    }
    watch.finish(|found| matches.push(found));
    matches
}

/// Nothing but characters that print: no control, nothing that turns, hides or joins.
fn only_prints(line: &str) -> bool {
    line.chars()
        .all(|c| matches!(c, ' '..='~') || !c.is_ascii() && c.escape_debug().count() == 1)
}

#[test]
fn the_marker_is_found_whatever_stands_around_it() {
    for (name, raw) in files() {
        let whole = found(&raw, usize::MAX);
        assert_eq!(whole.len(), 1, "{name}");
        assert_eq!(found(&raw, 1), whole, "{name}");
        let at = usize::try_from(whole[0].match_offset).unwrap();
        assert_eq!(raw[at], b'H', "{name}");
    }
}

#[test]
fn no_place_lets_it_act() {
    for (name, raw) in files() {
        let guest = Untrusted::new(raw);
        assert!(only_prints(&terminal_line(&guest, usize::MAX)), "{name}");
        assert!(lines(&guest).iter().all(|line| only_prints(line)), "{name}");
        for line in actions_log(&guest, 200).lines() {
            assert!(
                only_prints(line) && line.starts_with("| ") && !line.contains("##["),
                "{name}: {line}"
            );
        }
        assert!(xml_text(&guest).lines().all(only_prints), "{name}");
        let block = markdown_fence(&guest);
        let fence: String = block.chars().take_while(|c| *c == '`').collect();
        assert_eq!(block.matches(&fence).count(), 2, "{name}");
        assert!(serde_json::to_string(&json_text(&guest)).is_ok(), "{name}");
    }
}

#[test]
fn debug_output_of_a_match_is_ascii() {
    for (name, raw) in files() {
        let debug = format!("{:?}", found(&raw, usize::MAX));
        assert!(debug.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{name}: {debug}");
    }
}
