//! Why an image can't be looked into.

use std::io;
use std::path::PathBuf;

use crate::diskfs::DiskFsError;
use crate::image::ImageError;
use crate::qemu::disk::FlattenError;

/// Why there is no gate file.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The file can't be read.
    #[error("`{}` can't be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// It is a directory, a pipe or a device.
    #[error("`{}` is {what}, not an image", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// It is no image that is known.
    #[error("`{}` is not an image that can be booted: {why}", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// What it is, or what was looked for.
        why: String,
        /// What makes an image of it, if that is known.
        mend: Option<String>,
    },
    /// An ISO image could not be looked into.
    #[error(transparent)]
    Iso(#[from] ImageError),
    /// A disk could not be looked into.
    #[error(transparent)]
    Disk(#[from] DiskFsError),
    /// A disk of another format could not be made a raw one.
    #[error(transparent)]
    Flatten(#[from] FlattenError),
    /// The runtime can't be started.
    #[error("the runtime can't be started: {0}")]
    Runtime(io::Error),
}

impl InitError {
    /// What to do about it.
    pub fn mend(&self) -> String {
        match self {
            Self::Unreadable { error, .. } if error.kind() == io::ErrorKind::NotFound => {
                "check the path; the image must be there before its gate file".to_owned()
            }
            Self::Unreadable { .. } => "check the file's owner and mode: `ls -l` tells".to_owned(),
            Self::NotAFile { .. } => "name the file of an ISO image, or of a raw or qcow2 disk".to_owned(),
            Self::NotAnImage { mend: Some(mend), .. } => mend.clone(),
            Self::NotAnImage { mend: None, .. } => "name an ISO image, or a raw or qcow2 disk; convert other formats \
                with `qemu-img convert -O qcow2`"
                .to_owned(),
            Self::Iso(error) => error.mend(),
            Self::Disk(error) => error.mend(),
            Self::Flatten(error) => error.mend().to_owned(),
            Self::Runtime(_) => "look at the host's limits (`ulimit -a`)".to_owned(),
        }
    }

    /// The exit code: 2 for what the caller named, 1 for an image that is damaged, 4 for the host.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable { .. }
            | Self::NotAFile { .. }
            | Self::NotAnImage { .. }
            | Self::Iso(ImageError::NotAnIso { .. }) => 2,
            Self::Flatten(FlattenError::QemuImg { .. } | FlattenError::DataFile { .. }) => 1,
            Self::Iso(error) if !matches!(error, ImageError::ToolMissing { .. } | ImageError::Io { .. }) => 1,
            Self::Iso(_) | Self::Runtime(_) | Self::Disk(_) | Self::Flatten(_) => 4,
        }
    }
}
