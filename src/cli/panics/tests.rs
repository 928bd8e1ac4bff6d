use std::fs::File;
use std::io::{Read as _, Write as _, stdin};
use std::num::NonZeroU16;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::pty::openpty;

use super::super::place::{Place, Stream, Window};
use super::super::print::{Printer, Watched};
use crate::view::Model;

/// In the environment of a process that plays the role below: the name of its thread that panics.
const THREAD: &str = "BOOTGATE_TEST_PANICS_IN";

/// No test: a program that draws a view and panics when it is told to.
#[test]
fn role_panics_at_a_terminal() {
    let Ok(name) = std::env::var(THREAD) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let window = Window {
        stream: Stream::Output,
        colour: false,
        unicode: true,
        live: true,
    };
    let place = Place {
        stream: Stream::Output,
        window: Some(window),
        quiet: false,
    };
    let watched = Watched::new(Model::of_machine("fragile", String::new(), Instant::now()));
    let printer = Printer::start(place, watched);
    printer.line("a line above the view");
    let told = || stdin().read_line(&mut String::new()).unwrap();
    told();
    let panics = || panic!("a defect");
    let panicking = std::thread::Builder::new().name(name).spawn(panics).unwrap();
    assert!(panicking.join().is_err());
    told();
    runtime.block_on(printer.finish("last words\n".to_owned(), std::future::pending()));
}

/// The role in a terminal.
struct Terminal {
    screen: File,
    seen: Vec<u8>,
    role: Child,
}

impl Terminal {
    fn open(thread: &str) -> Self {
        let pair = openpty(None, None).unwrap();
        let terminal = File::from(pair.slave);
        let stream = || Stdio::from(terminal.try_clone().unwrap());
        let mut role = Command::new(std::env::current_exe().unwrap());
        role.args([
            "--exact",
            "cli::panics::tests::role_panics_at_a_terminal",
            "--nocapture",
        ]);
        role.env(THREAD, thread).env_remove("RUST_BACKTRACE");
        // No key: the terminal would show it.
        let role = role
            .stdin(Stdio::piped())
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .unwrap();
        Self {
            screen: pair.master.into(),
            seen: Vec::new(),
            role,
        }
    }

    fn say_go(&mut self) {
        self.role.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// Reads until these were written, one behind the other; gives the screen. The test's own deadline is that of its runner.
    fn until(&mut self, words: &[&str]) -> String {
        let all_in = |seen: &[u8]| {
            let seen = String::from_utf8_lossy(seen).into_owned();
            let behind = |rest: &str, words: &&str| Some(rest.split_once(words)?.1.to_owned());
            words
                .iter()
                .try_fold(seen, |rest, words| behind(&rest, words))
                .is_some()
        };
        while !all_in(&self.seen) {
            let mut chunk = [0; 4096];
            let count = self.screen.read(&mut chunk).unwrap();
            assert!(count > 0, "no {words:?} in {:?}", String::from_utf8_lossy(&self.seen));
            self.seen.extend_from_slice(&chunk[..count]);
        }
        let size = |count| NonZeroU16::new(count).unwrap();
        let mut screen = vt100::Parser::new(size(24), size(80), 0);
        screen.process(&self.seen);
        assert!(!screen.screen().hide_cursor());
        screen.screen().contents()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.role.kill();
        let _ = self.role.wait();
    }
}

#[test]
fn a_panic_that_ends_the_program_leaves_no_row_of_the_view() {
    let mut terminal = Terminal::open(super::FIRST_THREAD);
    terminal.until(&["▶"]);
    terminal.say_go();
    let screen = terminal.until(&["a defect"]);
    assert!(screen.contains("a line above the view\n"), "{screen}");
    assert!(!screen.contains("▶") && !screen.contains("── fragile"), "{screen}");
}

#[test]
fn after_any_other_panic_the_view_goes_on_below_its_words() {
    let mut terminal = Terminal::open("worker");
    let before = terminal.until(&["▶"]);
    assert!(before.contains("── fragile"), "{before}");
    terminal.say_go();
    let screen = terminal.until(&["a defect", "▶"]);
    let (above, below) = screen.split_once("a defect").unwrap();
    assert!(!above.contains("▶") && !above.contains("── fragile"), "{screen}");
    assert_eq!(below.matches("▶").count(), 1, "{screen}");
    terminal.say_go();
    let screen = terminal.until(&["last words"]);
    assert!(!screen.contains("▶"), "{screen}");
}
