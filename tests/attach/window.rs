//! A pseudo-terminal, and the program in it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use bootgate::procfs::{ProcessGrip, ProcessIdentity};
use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use crate::holder::PATIENCE;

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
    pub(crate) fn ends(mut self) -> i32 {
        assert!(self.grip.wait_until_gone(PATIENCE).unwrap(), "it does not end");
        assert_eq!(tcgetattr(&self.terminal).unwrap(), self.before);
        self.process.wait().unwrap().code().expect("no signal kills it")
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // A failed test leaves nothing running.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
