//! Why a bundle could not be written or taken apart.

use std::io;
use std::path::{Path, PathBuf};

use crate::units::ByteSize;

/// Why a bundle was not written. The run's own files are as they were.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// There is a file of that name.
    #[error("`{}` is there already; remove it, or name another file", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The evidence alone is too large.
    #[error(
        "the evidence alone takes more than {}, which is all that the bundle may have; raise its limit, or take the run \
         directory as it is",
        ByteSize(*.budget_bytes)
    )]
    Budget {
        /// The limit.
        budget_bytes: u64,
    },
    /// The disk became full.
    #[error(
        "the file system is full: `{}` is not whole and may be removed; the run directory has all that it had",
        .partial.display()
    )]
    NoSpace {
        /// The unfinished file.
        partial: PathBuf,
    },
    /// A file changed while it was read.
    #[error("`{path}` changed while it was packed; is its machine still running? Pack it again when it has stopped")]
    Changed {
        /// Its path below the run directory.
        path: String,
    },
    /// The run has too many files, or one whose name can't be kept.
    #[error("the run directory can't be packed: {problem}")]
    Run {
        /// What is in the way.
        problem: String,
    },
    /// The host refused.
    #[error("can't {what} `{}`: {source}", .path.display())]
    Host {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It was told to stop.
    #[error("packing was cancelled")]
    Cancelled,
}

impl PackError {
    pub(super) fn host(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::Interrupted => Self::Cancelled,
            _ => Self::Host {
                what,
                path: path.to_owned(),
                source,
            },
        }
    }
}

/// Why a bundle was not taken apart. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The directory is there already.
    #[error("`{}` is there already; a bundle is unpacked only into a new directory", .path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// It is something else.
    #[error("`{}` is not a bundle: {problem}", .path.display())]
    NotABundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// It ends too early.
    #[error("the bundle is cut off; copy or download it again")]
    Truncated,
    /// The compressed data is damaged.
    #[error("the bundle is damaged: {problem}; copy or download it again")]
    Compression {
        /// The decoder's words.
        problem: String,
    },
    /// Another version of bootgate wrote it.
    #[error(
        "the bundle has format {found}, written by bootgate {writer}; this bootgate {} reads format {known}; use the \
         bootgate that wrote it",
        env!("CARGO_PKG_VERSION")
    )]
    Format {
        /// Its format.
        found: u64,
        /// The format that is known here.
        known: u32,
        /// Who wrote it.
        writer: String,
    },
    /// The manifest can't be believed.
    #[error("the bundle's manifest is refused: {problem}")]
    Manifest {
        /// What is wrong with it.
        problem: String,
    },
    /// An entry's name could lead elsewhere.
    #[error("the bundle has an entry `{name}`, and {problem}; it is refused")]
    Path {
        /// The name, made printable.
        name: String,
        /// What is wrong with it, as a clause.
        problem: &'static str,
    },
    /// An entry is no file.
    #[error("the bundle has an entry `{name}`, which is {kind}; a bundle holds plain files only, so it is refused")]
    Kind {
        /// The name, made printable.
        name: String,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// An entry is there twice.
    #[error("the bundle has `{name}` twice; it is refused")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// An entry that the manifest does not name.
    #[error("the bundle has an entry `{name}` that its manifest does not name; it is refused")]
    Unlisted {
        /// The name, made printable.
        name: String,
    },
    /// An entry that the manifest describes differently.
    #[error("`{name}` is not what the manifest says: {problem}; the bundle is damaged or was tampered with")]
    Damaged {
        /// The name.
        name: String,
        /// The difference, as a clause.
        problem: &'static str,
    },
    /// A file that the manifest names is not there.
    #[error("the bundle lacks `{name}`, which its manifest names; copy or download it again")]
    Missing {
        /// The name.
        name: String,
    },
    /// It is larger than it may be.
    #[error("the bundle would take {} and may take {}; if it is meant to be that large, raise the limit",
        ByteSize(*.found_bytes), ByteSize(*.limit_bytes))]
    TooLarge {
        /// What it would take.
        found_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The disk is too full.
    #[error("the bundle takes {}, and {} are free at `{}`; free some space or unpack it elsewhere",
        ByteSize(*.wanted_bytes), ByteSize(*.free_bytes), .path.display())]
    NoSpace {
        /// The directory.
        path: PathBuf,
        /// What it takes.
        wanted_bytes: u64,
        /// What is free.
        free_bytes: u64,
    },
    /// The host refused.
    #[error("can't {what} `{}`: {source}", .path.display())]
    Host {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It was told to stop.
    #[error("unpacking was cancelled")]
    Cancelled,
}

impl UnpackError {
    pub(super) fn host(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Host {
            what,
            path: path.to_owned(),
            source,
        }
    }

    /// An error of the stream itself.
    pub(super) fn stream(error: &io::Error) -> Self {
        let words = error.to_string();
        if error.kind() == io::ErrorKind::UnexpectedEof || words.contains("incomplete frame") {
            Self::Truncated
        } else {
            Self::Compression {
                problem: crate::text::terminal_line(words, 200),
            }
        }
    }
}
