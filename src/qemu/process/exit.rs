//! How a process ended.

use super::oom::OomEvidence;
use crate::text::Untrusted;
use rustix::process::WaitIdStatus;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// How much of the end of standard error an [`ExitReport`] carries, in bytes.
pub(super) const STDERR_TAIL_BYTES_MAX: u64 = 4096;

/// The way in which a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It returned this exit code.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// The signal's number on this host.
        number: i32,
        /// The signal's name, like `SIGABRT`; `a real-time signal` for one without a name.
        name: &'static str,
        /// True if the kernel says that it wrote a core dump.
        core: bool,
    },
    /// It has ended, but the kernel did not tell us how; the text says why.
    Unknown(String),
}

impl Exit {
    pub(super) fn from_status(status: &WaitIdStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(number)) => Self::Signal {
                number,
                name: nix::sys::signal::Signal::try_from(number).map_or("a real-time signal", |signal| signal.as_str()),
                core: status.dumped(),
            },
            (None, None) => Self::Unknown("waitid(2) reported neither an exit code nor a signal".to_owned()),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal { name, core, .. } => {
                let core = if *core { ", core dumped" } else { "" };
                write!(f, "killed by {name}{core}")
            }
            Self::Unknown(why) => write!(f, "ended in an unknown way: {why}"),
        }
    }
}

/// What is known about a process that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitReport {
    /// How it ended.
    pub status: Exit,
    /// The last signal that we sent to it. `None` together with [`Exit::Signal`] means that somebody else ended it.
    pub our_signal: Option<i32>,
    /// What makes us think that the kernel killed it for lack of memory. Only looked for after a SIGKILL that was not ours.
    pub oom_killed: Option<OomEvidence>,
    /// The last 4 KiB of what it wrote to standard output and standard error.
    pub stderr_tail: Untrusted,
    /// The time from its start to its end.
    pub ran_for: Duration,
}

/// The end of what was added to `path` behind its first `start_bytes` bytes.
pub(super) fn tail_of(path: &Path, start_bytes: u64) -> io::Result<Untrusted> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let start = end.saturating_sub(STDERR_TAIL_BYTES_MAX).max(start_bytes);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(STDERR_TAIL_BYTES_MAX).read_to_end(&mut tail)?;
    Ok(Untrusted::new(tail))
}
