//! How a command in the guest ended. Pure.

use std::fmt;

use nix::sys::signal::Signal;

/// How a command in the guest ended, as a POSIX shell tells it.
///
/// A shell gives the status 128 + n both for a command that signal n ended and for one that exits with that number
/// itself (POSIX XCU 2.8.2); no POSIX means tells them apart, least of all when a shell in between has passed the
/// number on. Such a status is read as the signal if n is one that ends processes, because that is what it nearly
/// always is; [`Exit::status`] gives the number back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// It exited with this status.
    Status(u8),
    /// A signal ended it.
    Signal {
        /// The signal's number, as on Linux.
        number: u8,
        /// The signal's name (`SIGKILL`).
        name: &'static str,
    },
}

impl Exit {
    /// Reads the exit status that a shell reported.
    pub fn from_shell(status: u8) -> Self {
        match status.checked_sub(128).and_then(|number| Some((number, name(number)?))) {
            Some((number, name)) => Self::Signal { number, name },
            None => Self::Status(status),
        }
    }

    /// The status as the shell reported it.
    pub fn status(self) -> u8 {
        match self {
            Self::Status(status) => status,
            Self::Signal { number, .. } => 128 + number,
        }
    }

    /// True for status 0.
    pub fn success(self) -> bool {
        self == Self::Status(0)
    }
}

/// The name of a signal whose default action ends a process.
fn name(number: u8) -> Option<&'static str> {
    use Signal::{SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH};
    let signal = Signal::try_from(i32::from(number)).ok()?;
    let harmless = [SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH];
    (!harmless.contains(&signal)).then(|| signal.as_str())
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exit status {status}"),
            Self::Signal { name, .. } => write!(f, "killed by {name} (exit status {})", self.status()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_kept() {
        for status in 0..=255 {
            assert_eq!(Exit::from_shell(status).status(), status);
        }
    }

    #[test]
    fn signals_are_named() {
        assert_eq!(Exit::from_shell(137).to_string(), "killed by SIGKILL (exit status 137)");
        assert_eq!(Exit::from_shell(143).to_string(), "killed by SIGTERM (exit status 143)");
        assert_eq!(Exit::from_shell(128), Exit::Status(128));
        assert_eq!(Exit::from_shell(128 + 17), Exit::Status(145), "SIGCHLD ends no process");
        assert_eq!(Exit::from_shell(255), Exit::Status(255));
        assert!(Exit::from_shell(0).success());
    }
}
