//! A pseudo-terminal, and the program in it.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bootgate::procfs::{ProcessGrip, ProcessIdentity};
use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use rustix::termios::{Winsize, tcsetwinsize};

/// How long anything here may be awaited.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal's window: what a person sees, and their keyboard.
pub(crate) struct Window {
    screen: File,
    terminal: File,
    before: Termios,
    seen: Vec<u8>,
    process: Child,
    grip: ProcessGrip,
}

impl Window {
    /// Starts a command with all its streams here, but for standard input if that is given.
    pub(crate) fn open(mut command: Command, input: Option<Stdio>) -> Self {
        let pair = openpty(None, None).unwrap();
        let terminal = File::from(pair.slave);
        let before = tcgetattr(&terminal).unwrap();
        let stream = || Stdio::from(terminal.try_clone().unwrap());
        command.stdin(input.unwrap_or_else(stream));
        let process = command.stdout(stream()).stderr(stream()).spawn().unwrap();
        let grip = ProcessGrip::take(ProcessIdentity::of(process.id()).unwrap());
        Self {
            screen: pair.master.into(),
            terminal,
            before,
            seen: Vec::new(),
            process,
            grip: grip.unwrap().expect("it waits for a person"),
        }
    }

    /// Makes the window this large.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.terminal, size).unwrap();
    }

    /// The state of its process, as `/proc` tells it: `T` if it is stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        stat.rsplit_once(") ")
            .is_some_and(|(_, fields)| fields.starts_with('T'))
    }

    /// Reads what is still on its way to the screen.
    pub(crate) fn rest(&mut self) -> String {
        let mut chunk = [0; 4096];
        let nothing = Timespec::default();
        loop {
            let mut screen = [PollFd::new(&self.screen, PollFlags::IN)];
            if poll(&mut screen, Some(&nothing)).unwrap() == 0 {
                return String::from_utf8_lossy(&self.seen).into_owned();
            }
            match self.screen.read(&mut chunk) {
                Ok(count) if count > 0 => self.seen.extend_from_slice(&chunk[..count]),
                _ => return String::from_utf8_lossy(&self.seen).into_owned(),
            }
        }
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &[u8]) {
        self.screen.write_all(keys).unwrap();
    }

    /// Waits until the screen has shown these words; gives all that it has shown.
    #[track_caller]
    pub(crate) fn until(&mut self, words: &str) -> String {
        let limit = Instant::now() + PATIENCE;
        loop {
            let seen = String::from_utf8_lossy(&self.seen);
            if seen.contains(words) {
                return seen.into_owned();
            }
            let left = Timespec::try_from(limit.saturating_duration_since(Instant::now())).unwrap();
            let mut screen = [PollFd::new(&self.screen, PollFlags::IN)];
            assert!(poll(&mut screen, Some(&left)).unwrap() > 0, "no `{words}` in {seen:?}");
            let mut chunk = [0; 4096];
            let count = self.screen.read(&mut chunk).unwrap();
            self.seen.extend_from_slice(&chunk[..count]);
        }
    }

    /// Passes if every key is passed on as it is and none is shown by the terminal itself.
    #[track_caller]
    pub(crate) fn is_raw(&self) {
        let now = tcgetattr(&self.terminal).unwrap();
        assert!(
            !now.local_flags
                .intersects(LocalFlags::ISIG | LocalFlags::ECHO | LocalFlags::ICANON)
        );
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.grip.signal(signal).unwrap();
    }

    /// Waits for the program's end: its exit code. The terminal must be as it was before.
    #[track_caller]
    pub(crate) fn ends(self) -> i32 {
        self.ends_with_all().0
    }

    /// The same, with all that the screen has shown.
    #[track_caller]
    pub(crate) fn ends_with_all(mut self) -> (i32, String) {
        assert!(self.grip.wait_until_gone(PATIENCE).unwrap(), "it does not end");
        let seen = self.rest();
        assert_eq!(tcgetattr(&self.terminal).unwrap(), self.before);
        (self.process.wait().unwrap().code().expect("no signal kills it"), seen)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // A failed test leaves nothing running.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
