//! Why a saved machine can't go on here.

use std::io;
use std::path::{Path, PathBuf};

use crate::qemu::disk::DiskError;
use crate::qemu::feature::Version;
use crate::qmp::QmpError;

use super::record::BaseImage;
use super::stored::FileFault;

/// Why a saved machine can't go on here. The checkpoint is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is no checkpoint, or none that was finished.
    #[error(
        "`{}` holds no whole checkpoint: machine.json, which is written last, is not there",
        .directory.display()
    )]
    NotWhole {
        /// The directory.
        directory: PathBuf,
    },
    /// `machine.json` can't be used.
    #[error("`{}` can't be used: {problem}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Another version of bootgate wrote it.
    #[error(
        "the checkpoint has format {found}, written by bootgate {writer}; this bootgate {} reads format {known}; use the \
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
    /// A file of it is not what was saved.
    #[error("the checkpoint is damaged: {0}; copy or download it again")]
    Damaged(#[from] FileFault),
    /// The QEMU has another version.
    #[error(
        "the machine was saved by QEMU {saved} ({line}), and this is QEMU {found}; a saved machine goes on only in the \
         same major and minor version: name one by `--qemu PATH`"
    )]
    QemuVersion {
        /// What saved it.
        saved: Version,
        /// The whole version of it.
        line: String,
        /// What is here.
        found: Version,
    },
    /// The QEMU has another machine type behind the same name.
    #[error("the machine is a `{saved}`, and this QEMU has `{found}`; name the QEMU that saved it by `--qemu PATH`")]
    MachineType {
        /// What was saved.
        saved: String,
        /// What is here.
        found: String,
    },
    /// The QEMU lacks devices that the machine has, or has some that it lacks.
    #[error(
        "the machine was saved by a QEMU with the optional devices [{saved}], and this one has [{found}]; name the QEMU \
         that saved it by `--qemu PATH`"
    )]
    Devices {
        /// What the other had.
        saved: String,
        /// What this one has.
        found: String,
    },
    /// The accelerator is another.
    #[error(
        "the machine was saved under {saved}, and here it would run under {found}; a saved machine goes on only under \
         the same accelerator{}", needs_kvm(.saved)
    )]
    Accelerator {
        /// What it ran under.
        saved: String,
        /// What there is here.
        found: String,
    },
    /// The architecture is another.
    #[error("the machine is a {saved}, and this QEMU runs {found}; name another by `--qemu PATH`")]
    Architecture {
        /// What was saved.
        saved: &'static str,
        /// What is here.
        found: &'static str,
    },
    /// A file that belongs to it is not here.
    #[error(
        "the machine needs `{}` ({} bytes, SHA-256 {}), which is not part of the checkpoint; give it by `--image FILE`",
        .image.path.display(), .image.size_bytes, .image.sha256
    )]
    NoImage {
        /// The file.
        image: Box<BaseImage>,
    },
    /// A disk refers to files outside.
    #[error("`{}` {problem}, so QEMU would open a file that is not part of the checkpoint; it is refused", .path.display())]
    Outside {
        /// The disk.
        path: PathBuf,
        /// What it does, as a clause.
        problem: &'static str,
    },
    /// The command line holds arguments that could reach anything on this host.
    #[error(
        "the machine was started with arguments of its own ({arguments}), which may open files of this host; if you \
         trust where the checkpoint comes from, allow them by `--allow-arguments`"
    )]
    Arguments {
        /// Those that are not known to be harmless.
        arguments: String,
    },
    /// A disk could not be laid out.
    #[error(transparent)]
    Disk(#[from] DiskError),
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
    /// There is no memory.
    #[error(
        "the machine was powered down before it was saved, so it has disks and no memory: `bootgate run --stage` goes on \
         with it"
    )]
    PoweredDown,
    /// QEMU refused a command, or is gone.
    #[error(transparent)]
    Qmp(#[from] QmpError),
    /// QEMU did not take the memory.
    #[error("QEMU did not take the saved memory and devices: {complaint}")]
    Incoming {
        /// Why, as far as is known.
        complaint: String,
    },
    /// It was told to stop.
    #[error("restoring the machine was cancelled")]
    Cancelled,
}

impl RestoreError {
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

    pub(super) fn fault(fault: FileFault) -> Self {
        match fault {
            FileFault::Unreadable { source, .. } if source.kind() == io::ErrorKind::Interrupted => Self::Cancelled,
            fault => Self::Damaged(fault),
        }
    }
}

fn needs_kvm(saved: &str) -> &'static str {
    if saved == "KVM" {
        ": reopen it on a host where KVM works"
    } else {
        ": set the accelerator to `tcg`"
    }
}
