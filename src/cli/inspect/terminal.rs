//! This side of a console: the terminal's settings, the signals that end it, and standard output that never makes us wait.

use std::fs::File;
use std::io::{self, IsTerminal as _, stdout};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::procfs;
use crate::text::{ConsoleFilter, TERMINAL_IN_ORDER};

/// Bytes that are written at once: a pipe that can be written takes as many without waiting (`PIPE_BUF`, pipe(7)).
const WRITE_BYTES_MAX: usize = 4096;
/// How long a terminal may take nothing before it is left as the guest has drawn it.
const ORDER_WITHIN: Duration = Duration::from_secs(1);

/// A terminal that passes every key on as it is. Its settings come back when this is dropped.
pub(super) struct RawMode<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> RawMode<'a> {
    /// Sets the terminal. Nothing here waits for its output, which may be held back.
    pub(super) fn enter(terminal: BorrowedFd<'a>) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(terminal, OptionalActions::Now, &raw)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for RawMode<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

/// The signals that end a program, as something to wait for. They end it again by themselves when this is dropped.
pub(super) struct EndSignals {
    arrived: SignalFd,
    mask_before: SigSet,
}

impl EndSignals {
    /// Catches them. SIGHUP stays ignored where it was, as `nohup` asks for.
    pub(super) fn catch() -> io::Result<Self> {
        let mut ending = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
        if !procfs::is_ignored(rustix::process::Signal::HUP)? {
            ending.add(Signal::SIGHUP);
        }
        let mask_before = ending.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let arrived = SignalFd::new(&ending)?;
        Ok(Self { arrived, mask_before })
    }

    /// What can be polled.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.arrived.as_fd()
    }

    /// The number of one that has come.
    pub(super) fn next(&self) -> io::Result<Option<u32>> {
        Ok(self.arrived.read_signal()?.map(|signal| signal.ssi_signo))
    }
}

impl Drop for EndSignals {
    fn drop(&mut self) {
        let _ = self.mask_before.thread_set_mask();
    }
}

/// Standard output: filtered if it is a terminal, which is put in order when this is dropped.
pub(super) struct Shown {
    file: File,
    filter: Option<ConsoleFilter>,
    waiting: Vec<u8>,
}

impl Shown {
    pub(super) fn open() -> io::Result<Self> {
        let given = File::from(stdout().as_fd().try_clone_to_owned()?);
        let kind = given.metadata()?.file_type();
        // Opened anew, it can be made not to wait without making our parent's not to wait, too.
        let anew = (kind.is_fifo() || kind.is_char_device()).then(|| {
            let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
            let mut options = File::options();
            options.write(true).custom_flags(flags.bits()).open("/proc/self/fd/1")
        });
        Ok(Self {
            file: anew.and_then(Result::ok).unwrap_or(given),
            filter: stdout().is_terminal().then(ConsoleFilter::default),
            waiting: Vec::new(),
        })
    }

    /// What can be polled.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Takes a part of the console. More may come when [`is_empty`](Self::is_empty).
    pub(super) fn push(&mut self, console: &[u8]) {
        match &mut self.filter {
            Some(filter) => self.waiting.extend(filter.push(console)),
            None => self.waiting.extend_from_slice(console),
        }
    }

    /// Tells a person at a terminal that a key was lost.
    pub(super) fn ring(&mut self) {
        if self.filter.is_some() && self.waiting.is_empty() {
            self.waiting.push(0x07);
        }
    }

    /// True if nothing waits to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Writes what can be written now. False: the reader has gone away.
    pub(super) fn write(&mut self) -> io::Result<bool> {
        let now = self.waiting.len().min(WRITE_BYTES_MAX);
        match rustix::io::write(&self.file, &self.waiting[..now]) {
            Ok(count) => {
                self.waiting.drain(..count);
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(true),
            // A terminal that was hung up says that it is an error of input and output.
            Err(Errno::PIPE | Errno::IO) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if self.filter.is_none() {
            return;
        }
        let limit = Timespec::try_from(ORDER_WITHIN).ok();
        let mut output = [PollFd::new(&self.file, PollFlags::OUT)];
        if poll(&mut output, limit.as_ref()).is_ok_and(|ready| ready > 0) {
            let _ = rustix::io::write(&self.file, TERMINAL_IN_ORDER.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::openpty;
    use std::panic::AssertUnwindSafe;

    #[test]
    fn a_panic_gives_the_terminal_back() {
        let pair = openpty(None, None).unwrap();
        let settings = || nix::sys::termios::tcgetattr(&pair.slave).unwrap();
        let before = settings();
        let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let _raw = RawMode::enter(pair.slave.as_fd()).unwrap();
            assert_ne!(settings(), before);
            panic!("on purpose");
        }));
        assert_eq!(*panicked.unwrap_err().downcast::<&str>().unwrap(), "on purpose");
        assert_eq!(settings(), before);
    }
}
