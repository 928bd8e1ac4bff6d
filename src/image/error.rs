//! What can go wrong with an image, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::units::ByteSize;

/// Why an image could not be read, changed or judged.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A program that is needed is not installed.
    #[error("the program `{program}` is not installed")]
    ToolMissing {
        /// Its name.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A program that is needed did not do its work.
    #[error("`{program}` {how} while {doing}{}", said(complaint))]
    ToolFailed {
        /// Its name.
        program: &'static str,
        /// How it ended, as a clause.
        how: String,
        /// What it was to do, as in "listing the files".
        doing: String,
        /// What it said.
        complaint: String,
    },
    /// The host can't read or write a file.
    #[error("{doing} `{}`: {error}", path.display())]
    Io {
        /// What was tried, as in "can't read".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The image is no ISO 9660 image.
    #[error("`{}` is not an ISO 9660 image", path.display())]
    NotAnIso {
        /// The image.
        path: PathBuf,
    },
    /// The image is shorter than it says.
    #[error("`{}` is cut off: its volume is {} long, and the file {}", path.display(), ByteSize(*volume_bytes), ByteSize(*size_bytes))]
    Truncated {
        /// The image.
        path: PathBuf,
        /// The size that its descriptor names.
        volume_bytes: u64,
        /// The size that it has.
        size_bytes: u64,
    },
    /// There is no squashfs in it.
    #[error("`{}` holds no squashfs: none of its {files} files begins like one", path.display())]
    NoSquashfs {
        /// The image.
        path: PathBuf,
        /// How many files were looked at.
        files: usize,
    },
    /// The squashfs that was asked for is not there.
    #[error("there is no squashfs `{wanted}` in `{}`", path.display())]
    NotThisSquashfs {
        /// The image.
        path: PathBuf,
        /// What was asked for.
        wanted: String,
        /// What is there.
        there: String,
    },
    /// There are several.
    #[error("`{}` holds several squashfs file systems: {there}", path.display())]
    SeveralSquashfs {
        /// The image.
        path: PathBuf,
        /// Which.
        there: String,
    },
    /// The squashfs holds an image of a file system in place of files.
    #[error("the squashfs `{squashfs}` holds no system but an image of one (`{inside}`)")]
    NestedImage {
        /// The squashfs.
        squashfs: String,
        /// The image in it.
        inside: String,
    },
    /// The image says something that can't be true, or that no honest image says.
    #[error("the image is damaged or made to deceive: {0}")]
    Implausible(String),
    /// There is no sshd to enable.
    #[error("the image has no unit of an SSH server (looked for: {0})")]
    NoSshd(String),
    /// The image was changed before.
    #[error("the image is a debug image already: it holds `{0}`")]
    DebugAlready(String),
    /// The user that was asked for is not there.
    #[error("the image has no user `{0}` whose password could be set")]
    NoUser(String),
    /// Nothing was changed.
    #[error("nothing was changed in the image")]
    PatchedNothing,
    /// The new image is not what it was to be.
    #[error("the debug image is not the production image with these changes: {0}")]
    NotAsPlanned(String),
    /// There is too little space.
    #[error("{} free in `{}`, and about {} are needed", ByteSize(*free_bytes), place.display(), ByteSize(*needed_bytes))]
    Space {
        /// Where.
        place: PathBuf,
        /// How much is free.
        free_bytes: u64,
        /// How much is needed.
        needed_bytes: u64,
    },
    /// Something is there already.
    #[error("`{}` exists", .0.display())]
    Exists(PathBuf),
    /// The output would replace the production image.
    #[error("the debug image would replace the production image `{}`", .0.display())]
    SameFile(PathBuf),
}

fn said(complaint: &str) -> String {
    if complaint.is_empty() {
        String::new()
    } else {
        format!("; it said: {complaint}")
    }
}

impl ImageError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { doing, path, error }
    }

    /// What to do about it.
    pub fn mend(&self) -> String {
        match self {
            Self::ToolMissing { package, .. } => format!("install it: apt-get install {package}"),
            Self::ToolFailed { .. } | Self::Implausible(_) | Self::Truncated { .. } => {
                "check the image against its published digest, and build or fetch it again".to_owned()
            }
            Self::Io { .. } => "check the path, its owner and mode, and the free space".to_owned(),
            Self::NotAnIso { .. } => "name the ISO file of a live system".to_owned(),
            Self::NoSquashfs { .. } => "only live images whose system lies in a squashfs can be read; an image whose \
                system is all in its initial RAM disk (as the guest `tiny`) has none"
                .to_owned(),
            Self::NotThisSquashfs { there, .. } => format!("there is: {there}"),
            Self::SeveralSquashfs { .. } => "say which one with --squashfs".to_owned(),
            Self::NestedImage { .. } => "have the live image built with the system's files in the squashfs itself \
                (dracut and live-boot boot both forms), or drive the production image with `[ssh] open-by`"
                .to_owned(),
            Self::NoSshd(_) => "install an SSH server in the image, not enabled; it then serves the debug image \
                alone"
                .to_owned(),
            Self::DebugAlready(_) => "name the production image".to_owned(),
            Self::NoUser(_) => "name a user of the image with --user, or leave the password out: a key needs no entry \
                in /etc/shadow"
                .to_owned(),
            Self::PatchedNothing => "report it: an image that is not changed is no debug image".to_owned(),
            Self::NotAsPlanned(_) => "report it, with the versions of xorriso and squashfs-tools-ng".to_owned(),
            Self::Space { .. } => "free space, or write the output elsewhere".to_owned(),
            Self::Exists(_) => "remove it, name another output, or say --force".to_owned(),
            Self::SameFile(_) => "name another output with -o".to_owned(),
        }
    }
}
