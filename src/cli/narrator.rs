//! Progress that is told while a run goes on.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

/// Lines that may wait to be printed. A run of an hour has some hundred.
const LINES_MAX: usize = 4096;

/// Prints lines on a thread of its own. Whoever tells them never waits: not for a terminal that was stopped (Ctrl-S), not
/// for a pipe that nobody reads. What finds no room is left out and counted; what nobody can read any more is dropped.
pub(super) struct Narrator {
    lines: SyncSender<String>,
    thread: Option<JoinHandle<()>>,
    left_out: usize,
}

impl Narrator {
    /// Starts to print to `stream`. Without a thread nothing is told, and the run goes on.
    pub(super) fn start(stream: impl Write + Send + 'static) -> Self {
        let (lines, received) = sync_channel(LINES_MAX);
        let thread = thread::Builder::new().name("narrator".to_owned());
        Self {
            lines,
            thread: thread.spawn(move || print(stream, &received)).ok(),
            left_out: 0,
        }
    }

    /// Tells a line.
    pub(super) fn tell(&mut self, line: &str) {
        let line = match self.left_out {
            0 => format!("{line}\n"),
            left_out => format!("({left_out} lines left out)\n{line}\n"),
        };
        match self.lines.try_send(line) {
            Ok(()) => self.left_out = 0,
            Err(TrySendError::Full(_)) => self.left_out += 1,
            Err(TrySendError::Disconnected(_)) => {}
        }
    }

    /// Waits until all that was told is printed.
    pub(super) fn finish(self) {
        drop(self.lines);
        if let Some(thread) = self.thread {
            let _ = thread.join();
        }
    }
}

fn print(mut stream: impl Write, lines: &Receiver<String>) {
    for line in lines {
        if stream.write_all(line.as_bytes()).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, ErrorKind};
    use std::sync::{Arc, Mutex};

    /// A stream that takes nothing before it is let go.
    struct Stopped {
        go: Receiver<()>,
        seen: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stopped {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.go.recv();
            self.seen.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stopped_terminal_stops_nobody() {
        let (release, go) = sync_channel(0);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut narrator = Narrator::start(Stopped { go, seen: seen.clone() });
        for number in 0..LINES_MAX + 10 {
            narrator.tell(&number.to_string());
        }
        let left_out = narrator.left_out;
        assert!((9..=10).contains(&left_out), "{left_out}");
        release.send(()).unwrap();
        drop(release);
        narrator.finish();
        let text = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), LINES_MAX + 10 - left_out);
    }

    #[test]
    fn the_next_line_says_how_many_were_left_out() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (release, go) = sync_channel(0);
        drop(release);
        let mut narrator = Narrator::start(Stopped { go, seen: seen.clone() });
        narrator.left_out = 7;
        narrator.tell("on");
        narrator.finish();
        assert_eq!(*seen.lock().unwrap(), b"(7 lines left out)\non\n");
    }

    #[test]
    fn a_closed_pipe_ends_the_printing_alone() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut narrator = Narrator::start(Closed);
        for _ in 0..2 * LINES_MAX {
            narrator.tell("x");
        }
        narrator.finish();
    }
}
