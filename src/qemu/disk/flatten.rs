//! A disk of several layers, or of a format of QEMU's own, as one raw file.
//!
//! By `qemu-img convert`: QEMU's own reader knows every feature that its writer uses, and calling it is less code than
//! reading qcow2. It copies what is allocated and leaves the rest a hole.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::create::{DiskError, qemu_img_for};
use super::space::{allocated_bytes, free_bytes};
use crate::plan::DiskFormat;
use crate::qemu::binary::said;
use crate::qemu::child::{self, Limits};
use crate::units::{ByteSize, MIB};

/// How long `qemu-img convert` may take. It copies some 500 MiB/s.
const CONVERT_DEADLINE: Duration = Duration::from_secs(600);
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// What is left free on the host's disk.
const HEADROOM_BYTES: u64 = 64 * MIB;

/// A file of a disk's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The file.
    pub path: PathBuf,
    /// Its format, which is never guessed.
    pub format: DiskFormat,
}

/// Why a disk could not be made one raw file.
#[derive(Debug, thiserror::Error)]
pub enum FlattenError {
    /// No layers, or a raw file on top of another.
    #[error("a disk's layers are qcow2 files and at most one raw file, which is the lowest")]
    NotAChain,
    /// The image names a file that holds its data. It could name any file of the host.
    #[error("`{}` keeps its data in another file, which bootgate never makes", .path.display())]
    DataFile {
        /// The file.
        path: PathBuf,
    },
    /// The host has no room.
    #[error("`{}` needs up to {}, and {} are free", .path.display(), ByteSize(*.needs_bytes), ByteSize(*.free_bytes))]
    NoSpace {
        /// The file that was to be made.
        path: PathBuf,
        /// What all layers take.
        needs_bytes: u64,
        /// What is free.
        free_bytes: u64,
    },
    /// The host refused.
    #[error("can't read or write `{}`: {source}", .path.display())]
    Host {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// There is no `qemu-img`.
    #[error(transparent)]
    NoQemuImg(DiskError),
    /// `qemu-img` failed.
    #[error("`qemu-img convert` for `{}` {how}{}", .path.display(), said(.complaint))]
    QemuImg {
        /// The file that was to be made.
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

impl FlattenError {
    /// What a person does about it.
    pub fn mend(&self) -> &'static str {
        match self {
            Self::NotAChain | Self::DataFile { .. } => "give the disk's own files, its newest overlay first",
            Self::NoSpace { .. } => "make room (`df -h`), or point TMPDIR at a larger file system",
            Self::Host { .. } => "check the directory's permissions and the space on its file system (`df -h`)",
            Self::NoQemuImg(error) => error.mend(),
            Self::QemuImg { .. } => "mend what `qemu-img` complains about",
            Self::NotUtf8 { .. } => "rename it",
        }
    }
}

/// Copies the content of a disk into the new raw file `into`, which only this user can read. `layers` is the whole chain,
/// newest first: what an image's header says of its backing file is not followed, so that no header can name a file of the
/// host. A QEMU that has the files open is not disturbed; its guest must be stopped.
pub async fn flatten(qemu: &Path, layers: &[Layer], into: &Path) -> Result<(), FlattenError> {
    let host = |path: &Path| {
        let path = path.to_path_buf();
        move |source| FlattenError::Host { path, source }
    };
    let chain = chain(layers)?;
    let mut needs_bytes = HEADROOM_BYTES;
    for layer in layers {
        needs_bytes += allocated_bytes(&layer.path).map_err(host(&layer.path))?;
    }
    let into = std::path::absolute(into).map_err(host(into))?;
    let dir = into.parent().unwrap_or(Path::new("/"));
    let free_bytes = free_bytes(dir).map_err(host(dir))?;
    if free_bytes < needs_bytes {
        return Err(FlattenError::NoSpace {
            path: into,
            needs_bytes,
            free_bytes,
        });
    }
    convert(qemu, &chain, &into).await
}

/// Copies the first sector of a disk, 512 bytes, into the new raw file `into`. `layers` is as for [`flatten`].
pub async fn first_sector(qemu: &Path, layers: &[Layer], into: &Path) -> Result<(), FlattenError> {
    let sector = json!({ "driver": "raw", "offset": 0, "size": 512, "file": chain(layers)? });
    convert(qemu, &sector, into).await
}

async fn convert(qemu: &Path, source: &Value, into: &Path) -> Result<(), FlattenError> {
    let host = |source| FlattenError::Host {
        path: into.to_path_buf(),
        source,
    };
    let mut command = Command::new(qemu_img_for(qemu).map_err(FlattenError::NoQemuImg)?);
    let mut claim = OpenOptions::new();
    claim.write(true).create_new(true).mode(0o600);
    drop(claim.open(into).map_err(host)?);
    command.args(["convert", "-q", "-U", "-O", "raw", "--"]);
    command.arg(format!("json:{source}")).arg(into);
    let limits = Limits {
        deadline: CONVERT_DEADLINE,
        stdout_bytes_max: OUTPUT_BYTES_MAX,
    };
    // The half of a copy is of no use, whatever ended it.
    let half = RemoveOnDrop(into);
    let finished = child::run(command, limits).await.map_err(host)?;
    if !finished.succeeded() {
        return Err(FlattenError::QemuImg {
            path: into.to_path_buf(),
            how: finished.how(),
            complaint: finished.complaint(),
        });
    }
    std::mem::forget(half);
    Ok(())
}

struct RemoveOnDrop<'a>(&'a Path);

impl Drop for RemoveOnDrop<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0);
    }
}

/// The chain as QEMU's block options, every layer with its backing file or with none.
fn chain(layers: &[Layer]) -> Result<Value, FlattenError> {
    let mut below = Value::Null;
    for (depth, layer) in layers.iter().rev().enumerate() {
        let absolute = std::path::absolute(&layer.path).map_err(|source| FlattenError::Host {
            path: layer.path.clone(),
            source,
        })?;
        let filename = absolute.to_str().ok_or_else(|| FlattenError::NotUtf8 {
            path: layer.path.clone(),
        })?;
        let file = json!({ "driver": "file", "filename": filename, "locking": "off" });
        below = match layer.format {
            DiskFormat::Raw if depth == 0 => json!({ "driver": "raw", "file": file }),
            DiskFormat::Raw => return Err(FlattenError::NotAChain),
            DiskFormat::Qcow2 => {
                refuse_data_file(&layer.path)?;
                json!({ "driver": "qcow2", "file": file, "backing": below })
            }
        };
    }
    if below.is_null() {
        return Err(FlattenError::NotAChain);
    }
    Ok(below)
}

/// The bit of the header that says so (QEMU's docs/interop/qcow2.txt). What is no qcow2 is left to `qemu-img`.
fn refuse_data_file(path: &Path) -> Result<(), FlattenError> {
    const EXTERNAL_DATA: u8 = 1 << 2;
    let mut header = [0; 80];
    let read = File::open(path).and_then(|file| file.read_at(&mut header, 0));
    read.map_err(|source| FlattenError::Host {
        path: path.to_path_buf(),
        source,
    })?;
    // `incompatible_features`, the last byte of a big-endian number at 72; version 2 ends before it.
    let version = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    if version >= 3 && header[79] & EXTERNAL_DATA != 0 {
        return Err(FlattenError::DataFile {
            path: path.to_path_buf(),
        });
    }
    Ok(())
}
