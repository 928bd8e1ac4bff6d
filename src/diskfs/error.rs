//! What can go wrong on the way to a file on a guest's disk.

use std::io;
use std::path::PathBuf;

use super::kind::Kind;
use crate::text::terminal_name;

/// Characters of a guest's path in a message.
const PATH_CHARS_MAX: usize = 200;

/// Why something on a guest's disk could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DiskFsError {
    /// The image can't be read.
    #[error("can't read the disk image `{}`: {source}", .path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// What was written is not a place on a disk.
    #[error("`{}` is no place on a disk; write `/etc/fstab` or, with the number of a volume, `2:/etc/fstab`",
        terminal_name(.written, PATH_CHARS_MAX))]
    NotAPlace {
        /// What was written.
        written: String,
    },
    /// The disk has no volume of that number.
    #[error("the disk has no volume {number}; it has {have}")]
    NoVolume {
        /// What was asked for.
        number: u32,
        /// The volumes that there are.
        have: String,
    },
    /// No volume of the disk can be read.
    #[error("no volume of this disk can be read: {have}")]
    NothingReadable {
        /// The volumes that there are.
        have: String,
    },
    /// Several volumes have that path.
    #[error("`{}` is on the volumes {volumes}", shown(.path))]
    Ambiguous {
        /// What was asked for.
        path: Vec<u8>,
        /// The volumes' numbers.
        volumes: String,
    },
    /// The path is not there.
    #[error("there is no `{}` on {place}", shown(.path))]
    NotThere {
        /// What was asked for.
        path: Vec<u8>,
        /// The volume, or all of them.
        place: String,
    },
    /// A directory was needed.
    #[error("`{}` is not a directory", shown(.path))]
    NotADirectory {
        /// What was asked for.
        path: Vec<u8>,
    },
    /// A file with content was needed.
    #[error("`{}` is {what} and not a file", shown(.path))]
    NotAFile {
        /// What was asked for.
        path: Vec<u8>,
        /// What it is.
        what: &'static str,
    },
    /// Symbolic links lead in a circle, or to no end.
    #[error("the symbolic links of `{}` lead to no end", shown(.path))]
    Links {
        /// What was asked for.
        path: Vec<u8>,
    },
    /// The file system contradicts itself, or ends too early.
    #[error("the {kind} file system of volume {number} is damaged: {what}")]
    Damaged {
        /// The kind of the file system.
        kind: Kind,
        /// The volume.
        number: u32,
        /// What was found.
        what: String,
    },
    /// No reader for this file system, or for a feature that it uses.
    #[error("volume {number} is {}, which is not read here{}", .kind.described(),
        if .why.is_empty() { String::new() } else { format!(" ({why})") })]
    Unsupported {
        /// The kind of the file system.
        kind: Kind,
        /// The volume.
        number: u32,
        /// What about it is not read, if not all of it.
        why: String,
    },
    /// The other reader was there and could not do it.
    #[error("guestfish {how}{}", if .complaint.is_empty() { String::new() } else { format!(": {complaint}") })]
    Guestfish {
        /// How it ended, as a clause.
        how: String,
        /// What it said.
        complaint: String,
    },
    /// A bound was reached. What was read or written by then is kept.
    #[error("stopped at the limit of {0}")]
    Limit(String),
    /// The host could not take what was read.
    #[error("can't write `{}`: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl DiskFsError {
    /// What a person does about it.
    pub fn mend(&self) -> String {
        match self {
            Self::Image { .. } => "look whether the run's directory is whole".to_owned(),
            Self::NotAPlace { .. } => "write the path from its root".to_owned(),
            Self::NoVolume { .. } | Self::NotThere { .. } => "`disk ls` without a path lists the volumes".to_owned(),
            Self::Ambiguous { path, .. } => format!("name the volume, as in `1:{}`", shown(path)),
            Self::NotADirectory { .. } => "use `disk cat` for a file".to_owned(),
            Self::NotAFile { .. } => "use `disk ls` for a directory; devices and sockets have no content".to_owned(),
            Self::Links { .. } => "`disk ls` shows where each link leads".to_owned(),
            Self::NothingReadable { .. } | Self::Damaged { .. } => {
                "a guest that was stopped while it wrote may not have made its file system yet: `resume`, and look again \
                 or look from within over `ssh`"
                    .to_owned()
            }
            Self::Unsupported { kind, .. } => kind.mend().to_owned(),
            Self::Guestfish { .. } => "look from within: `resume`, then `ssh`".to_owned(),
            Self::Limit(_) => "ask for less at a time, or give a higher limit".to_owned(),
            Self::Write { .. } => "choose a new directory on a file system with room".to_owned(),
        }
    }
}

fn shown(path: &[u8]) -> String {
    terminal_name(path, PATH_CHARS_MAX)
}
