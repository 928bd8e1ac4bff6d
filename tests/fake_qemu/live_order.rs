//! The terminal while its window changes, and after an end that comes early.

use std::time::Instant;

use rustix::process::Signal;

use crate::live::{bench, open, shown, wait_for_end};
use crate::reflow::Screen;
use crate::window::{PATIENCE, Window};

/// What a change of the terminal begins and ends with.
const BEGINS: &str = "\x1b[?2026h";
const ENDS: &str = "\x1b[?2026l";

/// Waits for the end of the next change after the first `from` bytes; gives all that was written.
fn next_change(window: &mut Window, from: usize) -> String {
    let limit = Instant::now() + PATIENCE;
    loop {
        let seen = window.rest();
        if seen[from..].contains(ENDS) && seen.ends_with(ENDS) {
            return seen;
        }
        assert!(Instant::now() < limit, "{seen:?}");
        std::thread::yield_now();
    }
}

/// True if the change takes the whole view away first, as it does in a window of another width.
fn is_anew(change: &str) -> bool {
    let erased = regex::Regex::new("^\x1b\\[\\?2026h\r\x1b\\[[0-9]+A\x1b\\[K\r?\n\x1b\\[J").unwrap();
    erased.is_match(change)
}

/// One view and the lines above it, in this window.
#[track_caller]
fn assert_in_order(screen: &Screen, columns: usize) {
    let rows = screen.rows();
    let text = rows.join("\n");
    let count = |begin: &str| rows.iter().filter(|row| row.trim_start().starts_with(begin)).count();
    for begin in ["── fake ", "▶ boot-live", "deadline ", "console ", "event "] {
        assert_eq!(count(begin), 1, "{begin} at {columns} columns in\n{text}");
    }
    // The first line stands, although a narrow window breaks it.
    let first = format!("bootgate {}", env!("CARGO_PKG_VERSION"));
    assert!(text.starts_with(&first), "at {columns} columns:\n{text}");
    let (row, column) = screen.cursor();
    assert_eq!((usize::from(row), column), (rows.len(), 0), "below the view:\n{text}");
    assert!(!screen.hides_cursor());
}

/// Changes the window's size again and again. False if a change was on its way while the size changed: nobody can tell then
/// in which window it is shown.
fn stays_in_order(window: &mut Window) -> bool {
    let mut seen = window.until("hostile ::error::x");
    let mut screen = Screen::new(80, 24);
    screen.process(&seen);
    for columns in [50, 120, 34, 33, 100, 80] {
        // Right behind a change there is time until the next one.
        let next = next_change(window, seen.len());
        screen.process(&next[seen.len()..]);
        window.resize(columns, 24);
        screen.resize(columns, 24);
        seen = next_change(window, next.len());
        if !is_anew(&seen[next.len()..]) {
            return false;
        }
        screen.process(&seen[next.len()..]);
        assert_in_order(&screen, columns.into());
    }
    true
}

#[test]
fn a_window_may_become_narrow_and_wide_at_any_time() {
    let limit = Instant::now() + PATIENCE;
    loop {
        let bench = bench("live-resize");
        let mut window = open(&bench, &[]);
        let is_seen = stays_in_order(&mut window);
        window.signal(Signal::TERM);
        wait_for_end(&mut window);
        assert_eq!(window.ends(), 143);
        if is_seen {
            return;
        }
        assert!(Instant::now() < limit, "each time a change was on its way");
    }
}

#[test]
fn a_low_window_gets_fewer_rows() {
    let bench = bench("live-low");
    let mut window = open(&bench, &[]);
    window.until("hostile ::error::x");
    window.resize(80, 5);
    // No more than the window has but one, the line of the cursor.
    let written = window.until("\x1b[?2026h\r\x1b[4A");
    assert!(written.contains("▶ "), "{written:?}");
    window.signal(Signal::TERM);
    wait_for_end(&mut window);
    assert_eq!(window.ends(), 143);
}

#[test]
fn a_qemu_that_refuses_to_start_leaves_no_row_of_the_view() {
    let bench = bench("live-refused");
    bench.refuse("qemu-system-x86_64: -drive file=live.iso: Could not open the image");
    let mut window = open(&bench, &[]);
    let written = wait_for_end(&mut window);
    assert!(written.contains(BEGINS), "it was drawn: {written:?}");
    let screen = shown(&written);
    assert!(screen.contains("Could not open the image"), "{screen}");
    assert_nothing_left(&written, &screen);
    assert_eq!(window.ends(), 4);
}

/// The view is gone, and the cursor stands where the shell goes on.
#[track_caller]
fn assert_nothing_left(written: &str, screen: &str) {
    assert!(!screen.contains("▶") && !screen.contains("── fake"), "{screen}");
    let mut terminal = Screen::new(80, 24);
    terminal.process(written);
    assert_eq!(terminal.cursor().1, 0, "{screen}");
}
