//! A person at a terminal.

use std::io::{ErrorKind, Write as _, pipe};
use std::time::Duration;

use rustix::process::Signal;

use bootgate::text::TERMINAL_IN_ORDER;

use crate::holder::{Holder, PATIENCE};
use crate::window::Window;

const DETACH: &[u8] = b"\x1d";
/// What takes nothing for so long takes nothing.
const STANDSTILL: Duration = Duration::from_millis(500);

#[test]
fn keys_reach_the_guest_as_they_are_and_its_output_is_harmless() {
    let holder = Holder::new("paused", b"early\x1b]0;title\x07 \x1b[31mred\x1b[m\r\n");
    let mut window = Window::open(holder.attach(), None);
    let mut guest = holder.console();
    let seen = window.until("red");
    assert!(seen.contains("Ctrl-] detaches"), "{seen}");
    assert!(seen.contains("stands still (paused)"), "{seen}");
    assert!(seen.contains(" resume`"), "{seen}");
    assert!(seen.contains("early \x1b[31mred"), "{seen:?}");
    window.is_raw();

    let keys = b"root\r\x03\x04\x11\x13\x1a\x1c\x7f\x1b[A\xc3\xa4\x00";
    window.press(keys);
    guest.reads(keys);
    guest.prints(b"la\x1b[6nter\r\n");
    window.until("\r\nlater\r\n");

    window.press(b"last\x1dnobody's");
    guest.reads(b"last");
    guest.is_left();
    let seen = window.until("pause or quit");
    assert!(seen.contains(&format!(
        "later\r\n{TERMINAL_IN_ORDER}detached; next: bootgate inspect "
    )));
    assert_eq!(window.ends(), 0);
}

#[test]
fn a_running_guest_needs_no_resuming() {
    let holder = Holder::new("running", b"login: ");
    let mut window = Window::open(holder.attach(), None);
    let mut guest = holder.console();
    assert!(!window.until("login: ").contains("stands still"));
    window.press(DETACH);
    guest.is_left();
    window.until("detached; next: ");
    assert_eq!(window.ends(), 0);
}

#[test]
fn it_is_left_while_nobody_reads_what_is_typed() {
    let holder = Holder::new("paused", b"deaf\r\n");
    let mut window = Window::open(holder.attach(), None);
    let guest = holder.console();
    window.until("deaf");
    // More than the socket and all that may wait hold together.
    for _ in 0..1024 {
        window.press(&[b'x'; 1024]);
    }
    window.until("\x07");
    window.press(DETACH);
    window.until("detached; next: ");
    assert_eq!(window.ends(), 0);
    drop(guest);
}

#[test]
fn it_is_left_while_the_terminal_shows_nothing() {
    let holder = Holder::new("running", b"flood\r\n");
    let mut window = Window::open(holder.attach(), None);
    let mut guest = holder.console();
    window.until("flood");
    // Nobody looks at the screen until it takes nothing more, and the console with it.
    assert_eq!(guest.floods(STANDSTILL), ErrorKind::WouldBlock);
    window.press(DETACH);
    // Only the last words have to wait for the screen.
    assert_ne!(guest.floods(PATIENCE), ErrorKind::WouldBlock);
    window.until("detached; next: ");
    assert_eq!(window.ends(), 0);
}

#[test]
fn the_end_of_the_holder_is_the_end_of_the_console() {
    let holder = Holder::new("running", b"up\r\n");
    let mut window = Window::open(holder.attach(), None);
    let mut guest = holder.console();
    window.until("up");
    // Never read: the connection is reset when the holder dies.
    window.press(b"unread");
    guest.prints(b"last words\r\n");
    window.until("last words");
    drop(guest);
    let seen = window.until("next: bootgate inspect ");
    assert!(
        seen.contains("the console has ended with its machine or its holder"),
        "{seen}"
    );
    assert_eq!(window.ends(), 0);
}

#[test]
fn a_signal_gives_the_terminal_back() {
    for (signal, code) in [(Signal::HUP, 129), (Signal::INT, 130), (Signal::TERM, 143)] {
        let holder = Holder::new("running", b"up\r\n");
        let mut window = Window::open(holder.attach(), None);
        let mut guest = holder.console();
        window.until("up");
        window.is_raw();
        window.signal(signal);
        guest.is_left();
        window.until(TERMINAL_IN_ORDER);
        assert_eq!(window.ends(), code);
    }
}

#[test]
fn only_standard_input_may_be_a_pipe() {
    let holder = Holder::new("running", b"up\x1b]0;title\x07\r\n");
    let (input, mut keys) = pipe().unwrap();
    let mut window = Window::open(holder.attach(), Some(input.into()));
    let mut guest = holder.console();
    assert!(!window.until("up\r").contains("Ctrl-]"));
    keys.write_all(b"a\x1db").unwrap();
    guest.reads(b"a\x1db");
    guest.ends();
    window.until(TERMINAL_IN_ORDER.trim_end());
    window.until("the console has ended");
    assert_eq!(window.ends(), 0);
}
