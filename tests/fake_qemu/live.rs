//! A person watches a run at a terminal.

use std::num::NonZeroU16;
use std::time::Instant;

use rustix::process::Signal;

use crate::bench::{Bench, MARKER};
use crate::stories::{halfway, live};
use crate::story::{Story, says};
use crate::window::{PATIENCE, Window};

/// What a guest says that wants the terminal for itself.
const HOSTILE: &str = "\x1b]0;owned\x07\x1b[?25l\x1b[?1049h\x1b[2J\x1b[6nhostile ::error::x ##[group]y";
pub(crate) const COLUMNS: u16 = 80;
pub(crate) const ROWS: u16 = 24;

/// A guest that comes as far as its kernel and then says that.
pub(crate) fn bench(name: &str) -> Bench {
    Bench::new(name, "", &[MARKER], &[Story::new(halfway()).and([says(100, HOSTILE)])])
}

pub(crate) fn open(bench: &Bench, arguments: &[&str]) -> Window {
    let window = Window::open(bench.at_a_terminal(arguments), None);
    window.resize(COLUMNS, ROWS);
    window
}

/// Hears what is no text.
#[derive(Default)]
struct Heard(Vec<String>);

impl vte::Perform for Heard {
    fn csi_dispatch(&mut self, parameters: &vte::Params, intermediates: &[u8], _: bool, action: char) {
        let parameters: Vec<_> = parameters.iter().map(|parts| parts[0].to_string()).collect();
        let kind = String::from_utf8_lossy(intermediates);
        let told = match action {
            'm' | 'A' | 'J' | 'K' => action.to_string(),
            _ => format!("{kind}{}{action}", parameters.join(";")),
        };
        self.0.push(told);
    }
    fn osc_dispatch(&mut self, _: &[&[u8]], _: bool) {
        self.0.push("OSC".to_owned());
    }
    fn esc_dispatch(&mut self, _: &[u8], _: bool, byte: u8) {
        self.0.push(format!("ESC {byte}"));
    }
    fn hook(&mut self, _: &vte::Params, _: &[u8], _: bool, _: char) {
        self.0.push("DCS".to_owned());
    }
    fn execute(&mut self, byte: u8) {
        if !matches!(byte, b'\r' | b'\n') {
            self.0.push(format!("C0 {byte}"));
        }
    }
}

/// Passes if the terminal was told nothing but where to draw and in which colour; gives what it shows.
#[track_caller]
pub(crate) fn shown(written: &str) -> String {
    let mut heard = Heard::default();
    vte::Parser::new().advance(&mut heard, written.as_bytes());
    heard.0.sort();
    heard.0.dedup();
    let ours = ["?2026h", "?2026l", "A", "J", "K", "m"];
    let strange: Vec<_> = heard.0.iter().filter(|told| !ours.contains(&told.as_str())).collect();
    assert!(strange.is_empty(), "{strange:?}");
    let size = |count| NonZeroU16::new(count).unwrap();
    let mut screen = vt100::Parser::new(size(ROWS), size(COLUMNS), 0);
    screen.process(written.as_bytes());
    assert!(!screen.screen().hide_cursor());
    screen.screen().contents()
}

#[test]
fn ctrl_c_gives_the_whole_last_words_and_the_terminal_back() {
    let bench = bench("live-ctrl-c");
    let mut window = open(&bench, &[]);
    let seen = window.until("hostile ::error::x ##\\[group]y");
    assert!(seen.contains("\x1b[36m ▶ "), "{seen:?}");
    window.press(b"\x03");
    let written = wait_for_end(&mut window);
    assert!(!written.contains("owned"), "{written:?}");
    let screen = shown(&written);
    for words in [
        "Verdict:  cancelled",
        "Cause:    cancelled",
        "  ? boot-live",
        "Evidence: ",
        "Next:     bootgate trace ",
    ] {
        assert!(screen.contains(words), "no {words} in\n{screen}");
    }
    assert!(!screen.contains("▶"), "the view is gone:\n{screen}");
    assert_eq!(window.ends(), 130);
}

/// Reads until the end of what it writes.
pub(crate) fn wait_for_end(window: &mut Window) -> String {
    let limit = Instant::now() + PATIENCE;
    loop {
        let seen = window.rest();
        if seen.contains("Next:     ") && seen.ends_with("\x1b[?2026l") {
            return seen;
        }
        assert!(Instant::now() < limit, "{seen:?}");
        std::thread::yield_now();
    }
}

#[test]
fn without_colour_and_without_unicode() {
    let bench = bench("live-plain");
    let mut command = bench.at_a_terminal(&[]);
    command.env("NO_COLOR", "1").env("LANG", "C");
    let mut window = Window::open(command, None);
    window.resize(40, ROWS);
    window.until("hostile ");
    window.signal(Signal::TERM);
    let written = wait_for_end(&mut window);
    assert!(written.is_ascii(), "{written:?}");
    let colour = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
    assert!(!colour.is_match(&written), "{written:?}");
    assert!(written.contains("\r\n > boot-live  Booting "), "{written:?}");
    assert_eq!(window.ends(), 143);
}

#[test]
fn nothing_is_drawn_for_who_wants_none() {
    for (name, value) in [("TERM", "dumb"), ("CI", "true")] {
        let bench = bench("live-none");
        let mut command = bench.at_a_terminal(&["--on-failure", "discard"]);
        command.env(name, value);
        let mut window = Window::open(command, None);
        window.until("kernel-seen");
        window.signal(Signal::INT);
        let written = window.until("bootgate trace ");
        assert!(
            !written.contains("\x1b[?2026h") && !written.contains(" ▶ "),
            "{written:?}"
        );
        assert_eq!(window.ends(), 130);
    }
    let bench = Bench::new("live-quiet", "", &[MARKER], &[Story::new(live())]);
    let mut window = open(&bench, &["--quiet"]);
    let written = window.until("bootgate trace ");
    assert!(
        written.starts_with("\r\n\x1b[1mVerdict:  \x1b[m\x1b[32mpassed ("),
        "{written:?}"
    );
    assert_eq!(window.ends(), 0);
}

#[test]
fn the_shell_has_the_terminal_while_the_run_is_stopped() {
    let bench = bench("live-stop");
    let mut window = open(&bench, &[]);
    window.until("hostile ");
    window.press(b"\x1a");
    let limit = Instant::now() + PATIENCE;
    while !window.is_stopped() {
        assert!(Instant::now() < limit);
        std::thread::yield_now();
    }
    let before = window.rest();
    assert!(
        before
            .trim_end_matches("\x1b[?2026l")
            .ends_with("\x1b[K\r\n\x1b[J\x1b[A"),
        "the view is gone: {before:?}"
    );
    window.signal(Signal::CONT);
    let limit = Instant::now() + PATIENCE;
    let after = loop {
        let after = window.rest()[before.len()..].to_owned();
        if after.contains("hostile ") {
            break after;
        }
        assert!(Instant::now() < limit);
        std::thread::yield_now();
    };
    assert!(
        !after.starts_with("\x1b[?2026h\r\x1b["),
        "what the shell has printed stays: {after:?}"
    );
    window.signal(Signal::TERM);
    wait_for_end(&mut window);
    assert_eq!(window.ends(), 143);
}
