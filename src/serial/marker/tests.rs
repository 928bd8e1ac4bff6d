//! The watch sees the same whatever the chunks, and sees what has no end.

use proptest::prelude::*;

use super::super::splitter::SERIAL_LINE_BYTES_MAX;
use super::*;

fn target(id: &str, pattern: &str) -> Target {
    Target {
        id: id.to_owned(),
        pattern: Pattern::Regex(pattern.to_owned()),
        prompt: false,
    }
}

fn prompt(id: &str, text: &str) -> Target {
    Target {
        id: id.to_owned(),
        pattern: Pattern::Text(text.to_owned()),
        prompt: true,
    }
}

fn targets() -> Vec<Target> {
    vec![
        target("marker", "LIVE SYSTEM READY"),
        target("line", "^LIVE SYSTEM READY$"),
        target("word", r"\bREADY\b"),
        prompt("prompt", "passphrase:"),
    ]
}

fn watch(targets: Vec<Target>) -> Watch {
    Watch::new(targets).unwrap()
}

fn after(start: Instant, ms: u64) -> Instant {
    start + Duration::from_millis(ms)
}

/// Everything that a watch finds in chunks that come at once, the end of the stream included.
fn found<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Match> {
    let mut watch = watch(targets());
    let mut matches = Vec::new();
    let now = Instant::now();
    for chunk in chunks {
        watch.feed(chunk, now, |found| matches.push(found));
    }
    watch.finish(|found| matches.push(found));
    matches
}

fn ids(matches: &[Match]) -> Vec<&str> {
    matches.iter().map(|found| found.id.as_str()).collect()
}

#[test]
fn a_match_quotes_its_line_and_its_place() {
    let raw = b"boot\r\n[\x1b[1mLIVE \x1b[0mSYSTEM READY] at last\r\n";
    let matches = found([raw.as_slice()]);
    assert_eq!(ids(&matches), ["marker", "word"]);
    assert_eq!(matches[0].line.as_bytes(), b"[LIVE SYSTEM READY] at last");
    assert_eq!((matches[0].line_offset, matches[0].match_offset), (6, 11));
    assert_eq!(matches[0].quote_offset, 6);
    assert!(!matches[0].unterminated);
}

#[test]
fn a_long_line_is_quoted_around_the_match() {
    let raw = [
        &b"x".repeat(5000),
        b"LIVE SYSTEM READY".as_slice(),
        &b"y".repeat(5000),
        b"\n",
    ]
    .concat();
    let matches = found([raw.as_slice()]);
    let line = matches[0].line.as_bytes();
    assert_eq!(line.len(), MATCH_LINE_BYTES_MAX);
    assert!(line.windows(17).any(|part| part == b"LIVE SYSTEM READY"));
    assert_eq!((matches[0].line_offset, matches[0].match_offset), (0, 5000));
    let quoted_from = usize::try_from(matches[0].quote_offset).unwrap();
    assert!(raw[quoted_from..].starts_with(line));
}

#[test]
fn a_prompt_is_seen_once_the_console_is_silent() {
    let mut watch = watch(targets());
    let start = Instant::now();
    let mut matches = Vec::new();
    watch.feed(b"Enter passphrase: ", start, |found| matches.push(found));
    assert_eq!(watch.next_quiet_at(), Some(start + PROMPT_QUIET));
    watch.quiet(after(start, 149), |found| matches.push(found));
    assert_eq!(matches, []);
    watch.quiet(after(start, 150), |found| matches.push(found));
    assert_eq!(ids(&matches), ["prompt"]);
    assert!(matches[0].unterminated);
    assert_eq!(watch.next_quiet_at(), None);
    watch.feed(b"\r\n", after(start, 300), |found| matches.push(found));
    assert_eq!(matches.len(), 1, "once in a line");
    watch.feed(b"Enter passphrase: ", after(start, 400), |_| {});
    watch.quiet(after(start, 600), |found| matches.push(found));
    assert_eq!(matches.len(), 2, "again in the next line");
}

#[test]
fn a_marker_is_seen_though_its_line_grows_for_ever() {
    let mut watch = watch(targets());
    let start = Instant::now();
    let mut matches = Vec::new();
    watch.feed(b"LIVE SYSTEM READY passphrase:", start, |found| matches.push(found));
    for ms in (50..=1000).step_by(50) {
        watch.feed(b".", after(start, ms), |found| matches.push(found));
        watch.quiet(after(start, ms), |found| matches.push(found));
    }
    // The prompt may go on and `word` could still become another word: only the marker is certain.
    assert_eq!(ids(&matches), ["marker"]);
    watch.quiet(after(start, 1150), |found| matches.push(found));
    assert_eq!(ids(&matches), ["marker", "word", "prompt"]);
}

#[test]
fn a_marker_across_the_cut_of_a_long_line_is_seen_once() {
    for shift in 0..40 {
        let mut raw = vec![b'-'; SERIAL_LINE_BYTES_MAX - shift];
        raw.extend(b"LIVE SYSTEM READY");
        raw.extend(vec![b'-'; 10_000]);
        let matches = found([raw.as_slice()]);
        assert_eq!(ids(&matches), ["marker", "word"], "{shift}");
        assert_eq!(matches[0].match_offset, (SERIAL_LINE_BYTES_MAX - shift) as u64);
    }
}

#[test]
fn a_marker_is_seen_at_every_offset_of_a_chunk() {
    for at in 0..200 {
        let raw = [&b"\n".repeat(at), b"LIVE SYSTEM READY\n".as_slice()].concat();
        for size in [1, 7, 64, 97] {
            let matches = found(raw.chunks(size));
            assert_eq!(ids(&matches), ["marker", "line", "word"], "at {at} in chunks of {size}");
            assert_eq!(matches[0].match_offset, at as u64);
        }
    }
}

#[test]
fn a_bad_pattern_is_named() {
    let error = Watch::new([target("broken", "a(")]).unwrap_err().to_string();
    assert!(
        error.starts_with("the pattern /a(/ of `broken` is not a usable regular expression"),
        "{error}"
    );
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => prop::sample::select(vec![
            "LIVE SYSTEM READY", "LIVE \x1b[32mSYSTEM", " READY", "\r", "\n", "\r\n", "passphrase:", "\x1b[0m", "\x1b]0;", "\x07", "x",
            "\x1b[2J\x1b[1;1H", " ", "✓",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn chunks_make_no_difference(raw in hostile(), size in 1usize..50) {
        let whole = found([raw.as_slice()]);
        prop_assert_eq!(&whole, &found(raw.chunks(1)));
        prop_assert_eq!(&whole, &found(raw.chunks(size)));
    }

    #[test]
    fn silences_find_the_same_text_once_in_each_line(raw in hostile(), size in 1usize..50) {
        let places = |matches: &[Match]| {
            let mut places: Vec<_> = matches.iter().filter(|found| found.id == "marker" || found.id == "prompt")
                .map(|found| (found.id.clone(), found.line_offset, found.match_offset)).collect();
            places.sort();
            places
        };
        let mut watch = watch(targets());
        let mut matches = Vec::new();
        let mut now = Instant::now();
        for chunk in raw.chunks(size) {
            watch.feed(chunk, now, |found| matches.push(found));
            now += PROMPT_QUIET;
            watch.quiet(now, |found| matches.push(found));
        }
        watch.finish(|found| matches.push(found));
        prop_assert_eq!(places(&matches), places(&found([raw.as_slice()])));
    }
}
