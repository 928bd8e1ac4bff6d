//! What can go wrong with the files of a run.

use std::io;
use std::path::{Path, PathBuf};

/// Why evidence could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The file system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// A record is larger than the journal takes.
    #[error("a record of {size_bytes} bytes is larger than the {limit_bytes} bytes that `{}` takes", path.display())]
    RecordTooLarge {
        /// The journal.
        path: PathBuf,
        /// The size of the record.
        size_bytes: usize,
        /// The most it takes.
        limit_bytes: usize,
    },
    /// A socket in the run directory would have a path that the kernel does not take.
    #[error(
        "the socket path `{}` has {length_bytes} bytes and the kernel takes {limit_bytes}; \
         keep the runs in a directory with a shorter path", path.display()
    )]
    SocketPathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        length_bytes: usize,
        /// The most the kernel takes.
        limit_bytes: usize,
    },
    /// A run was asked for that is not there.
    #[error("there is no run `{asked}` in `{}`; {hint}", root.display())]
    NoSuchRun {
        /// What was asked for.
        asked: String,
        /// Where it was looked for.
        root: PathBuf,
        /// What there is instead.
        hint: String,
    },
    /// A path was asked for that is no run.
    #[error("`{}` is not the directory of a run: it holds no run.json", path.display())]
    NotARun {
        /// The path.
        path: PathBuf,
    },
    /// A file of the run does not hold what it should.
    #[error("`{}` is not what bootgate writes there: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// Adds to a failure what was tried and with which file.
pub(super) trait Context<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, EvidenceError>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, EvidenceError> {
        self.map_err(|source| EvidenceError::File {
            action,
            path: path.to_owned(),
            source,
        })
    }
}
