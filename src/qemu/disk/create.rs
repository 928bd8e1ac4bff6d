//! Making and removing disk files.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::plan::DiskFormat;
use crate::qemu::binary::{BinaryError, locate, said};
use crate::qemu::child::{self, Limits};
use crate::units::ByteSize;

/// How long `qemu-img create` may take. It writes some 200 kB.
const QEMU_IMG_DEADLINE: Duration = Duration::from_secs(60);
const QEMU_IMG_OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Why a disk file could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The file is there already. It may belong to another run, so it is not touched.
    #[error("`{}` exists already; a disk is never taken over from another run", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
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
    /// There is no `qemu-img`, which makes qcow2 files.
    #[error("qcow2 files are made by `qemu-img`: {0}")]
    NoQemuImg(BinaryError),
    /// `qemu-img` failed.
    #[error("`qemu-img create` for `{}` {how}{}", .path.display(), said(.complaint))]
    QemuImg {
        /// The file.
        path: PathBuf,
        /// How it ended, as a clause.
        how: String,
        /// What it said.
        complaint: String,
    },
    /// QEMU takes file names as JSON, and JSON is UTF-8.
    #[error("the path `{}` is not UTF-8, and QEMU takes no other", .path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
}

impl DiskError {
    /// What a person does about it.
    pub fn mend(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "remove it, or use another run directory",
            Self::Host { .. } => "check the directory's permissions and the space on its file system (`df -h`)",
            Self::NoQemuImg(_) => {
                "install it (Debian and Ubuntu: `apt install qemu-utils`; Fedora: `dnf install qemu-img`; \
                 Arch: `pacman -S qemu-img`), or use `format = \"raw\"`"
            }
            Self::QemuImg { .. } => "mend what `qemu-img` complains about",
            Self::NotUtf8 { .. } => "rename it",
        }
    }
}

fn host(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    move |source| match source.kind() {
        io::ErrorKind::AlreadyExists => DiskError::Exists {
            path: path.to_path_buf(),
        },
        _ => DiskError::Host {
            what,
            path: path.to_path_buf(),
            source,
        },
    }
}

/// The `qemu-img` that goes with a QEMU: the one beside it, else the first in `PATH`.
pub fn qemu_img_for(qemu: &Path) -> Result<PathBuf, DiskError> {
    let beside = qemu.with_file_name("qemu-img");
    locate(&beside)
        .or_else(|_| locate(Path::new("qemu-img")))
        .map_err(DiskError::NoQemuImg)
}

/// A new file that only this user can read.
fn create_file(path: &Path) -> Result<File, DiskError> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(host("create", path))
}

/// Makes an empty disk of `size`. It takes no space until the guest writes.
pub async fn create(qemu: &Path, path: &Path, format: DiskFormat, size: ByteSize) -> Result<(), DiskError> {
    match format {
        DiskFormat::Raw => create_file(path)?
            .set_len(size.0)
            .map_err(host("set the size of", path)),
        DiskFormat::Qcow2 => {
            let mut command = Command::new(qemu_img_for(qemu)?);
            command.args(["create", "-q", "-f", "qcow2"]);
            run_qemu_img(command, path, Some(size)).await
        }
    }
}

/// Makes a qcow2 overlay that takes the writes meant for `base`. The base is not touched, and its format is written
/// down, never guessed: a guest that writes a qcow2 header into a raw disk must not get to read host files.
pub async fn create_overlay(qemu: &Path, path: &Path, base: &Path, base_format: DiskFormat) -> Result<(), DiskError> {
    let base = absolute(base)?;
    let filename = base.to_str().ok_or_else(|| DiskError::NotUtf8 { path: base.clone() })?;
    let node = json!({ "driver": base_format.as_str(), "file": { "driver": "file", "filename": filename } });
    let mut command = Command::new(qemu_img_for(qemu)?);
    command.args([
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        base_format.as_str(),
        "-b",
        &format!("json:{node}"),
    ]);
    run_qemu_img(command, path, None).await
}

/// QEMU resolves a relative name against the overlay, and takes what stands before a colon for a protocol.
fn absolute(path: &Path) -> Result<PathBuf, DiskError> {
    std::path::absolute(path).map_err(host("resolve", path))
}

/// Makes `path` with `qemu-img create`, which replaces what is there; so the file is claimed first.
async fn run_qemu_img(mut command: Command, path: &Path, size: Option<ByteSize>) -> Result<(), DiskError> {
    drop(create_file(path)?);
    command
        .arg("--")
        .arg(absolute(path)?)
        .args(size.map(|size| size.0.to_string()));
    let limits = Limits {
        deadline: QEMU_IMG_DEADLINE,
        stdout_bytes_max: QEMU_IMG_OUTPUT_BYTES_MAX,
    };
    let finished = child::run(command, limits)
        .await
        .map_err(host("start qemu-img for", path))?;
    if finished.succeeded() {
        return Ok(());
    }
    // What was claimed and is of no use; the complaint of qemu-img matters more than this one's.
    let _ = fs::remove_file(path);
    Err(DiskError::QemuImg {
        path: path.to_path_buf(),
        how: finished.how(),
        complaint: finished.complaint(),
    })
}

/// Removes a disk file. One that is gone already is no error.
pub fn remove(path: &Path) -> Result<(), DiskError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(host("remove", path)(error)),
        _ => Ok(()),
    }
}
