//! A checkpoint on the disk, and whether it can go on here.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::sync::watch;

use crate::plan::Arch;
use crate::qemu::disk::digest;
use crate::qemu::feature::{Accel, Features};
use crate::units::{MIB, TIB};

use super::cancel::Cancel;
use super::progress::{Phase, Progress};
use super::record::{BaseImage, FORMAT, MACHINE_FILE, Record};
use super::restore_error::RestoreError;
use super::stored::StoredFile;

/// The largest `machine.json` that is read, in bytes.
const MACHINE_FILE_BYTES_MAX: u64 = 16 * MIB;
/// The largest memory that is believed, in bytes.
const MEMORY_BYTES_MAX: u64 = TIB;
/// What a disk may be called: what the gate file allows.
const DISK_NAME_BYTES_MAX: usize = 20;

/// A checkpoint on the disk.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    root: PathBuf,
    record: Record,
}

/// Where the files are that a checkpoint needs and does not hold, in the order of [`Record::base_images`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Images(pub(super) Vec<PathBuf>);

impl Images {
    /// Where they are.
    pub fn paths(&self) -> &[PathBuf] {
        &self.0
    }
}

impl Checkpoint {
    /// Opens the checkpoint in `directory`, which lies in the run directory or where a bundle was unpacked. Nothing of it
    /// is believed that could lead elsewhere.
    pub fn open(directory: &Path) -> Result<Self, RestoreError> {
        let path = directory.join(MACHINE_FILE);
        let mut text = Vec::new();
        match File::open(&path) {
            Ok(file) => file.take(MACHINE_FILE_BYTES_MAX).read_to_end(&mut text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(RestoreError::NotWhole {
                    directory: directory.to_owned(),
                });
            }
            Err(error) => Err(error),
        }
        .map_err(RestoreError::host("read", &path))?;
        let record = read_record(&text, &path)?;
        let root = std::path::absolute(directory).map_err(RestoreError::host("resolve", directory))?;
        let root = root.parent().unwrap_or(&root).to_owned();
        Ok(Self { root, record })
    }

    /// What was saved.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Where the files that it describes are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether a QEMU can go on with it.
    pub fn check_qemu(&self, arch: Arch, features: &Features, accel: Accel) -> Result<(), RestoreError> {
        let saved = &self.record.qemu;
        if arch != self.record.arch {
            return Err(RestoreError::Architecture {
                saved: self.record.arch.as_str(),
                found: arch.as_str(),
            });
        }
        let found = features.version;
        if (saved.major, saved.minor) != (found.major, found.minor) {
            return Err(RestoreError::QemuVersion {
                saved: saved.version(),
                line: saved.version_line.clone(),
                found,
            });
        }
        if saved.machine_type != features.q35_machine {
            return Err(RestoreError::MachineType {
                saved: saved.machine_type.clone(),
                found: features.q35_machine.clone(),
            });
        }
        if !saved
            .devices
            .iter()
            .map(String::as_str)
            .eq(features.devices.iter().copied())
        {
            let found: Vec<_> = features.devices.iter().copied().collect();
            let saved: Vec<_> = saved.devices.iter().map(String::as_str).collect();
            return Err(RestoreError::Devices {
                saved: saved.join(", "),
                found: found.join(", "),
            });
        }
        if accel != self.record.accelerator {
            return Err(RestoreError::Accelerator {
                saved: self.record.accelerator.to_string(),
                found: accel.to_string(),
            });
        }
        Ok(())
    }

    /// Compares the files with their digests.
    pub async fn verify(&self, progress: watch::Sender<Progress>, cancel: &Cancel) -> Result<(), RestoreError> {
        let (cancel, _stop_when_dropped) = cancel.part();
        let files: Vec<_> = self.record.files().into_iter().cloned().collect();
        let root = self.root.clone();
        blocking(move || verify_all(&root, &files, &progress, &cancel)).await
    }

    /// Finds the files that it needs and does not hold: among `offered`, by their digests, then where they were.
    pub async fn find_images(
        &self,
        offered: Vec<PathBuf>,
        progress: watch::Sender<Progress>,
        cancel: &Cancel,
    ) -> Result<Images, RestoreError> {
        let (cancel, _stop_when_dropped) = cancel.part();
        let wanted: Vec<_> = self.record.base_images().into_iter().cloned().collect();
        blocking(move || {
            let mut found = Vec::new();
            for image in wanted {
                let places = offered.iter().chain(std::iter::once(&image.path));
                found.push(find(&image, places, &progress, &cancel)?);
            }
            Ok(Images(found))
        })
        .await
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RestoreError> + Send + 'static,
) -> Result<T, RestoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(RestoreError::Cancelled))
}

fn read_record(text: &[u8], path: &Path) -> Result<Record, RestoreError> {
    let malformed = |problem: String| RestoreError::Malformed {
        path: path.to_owned(),
        problem,
    };
    let value: Value = serde_json::from_slice(text).map_err(|e| malformed(e.to_string()))?;
    // First of all: another format may differ in anything else.
    match value["format"].as_u64() {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(found) => {
            let writer = value["bootgate_version"].as_str().unwrap_or("of an unknown version");
            return Err(RestoreError::Format {
                found,
                known: FORMAT,
                writer: crate::text::terminal_line(writer, 40),
            });
        }
        None => return Err(malformed("it names no format".to_owned())),
    }
    let record: Record = serde_json::from_value(value).map_err(|e| malformed(e.to_string()))?;
    record.validate().map_err(|fault| malformed(fault.to_string()))?;
    if record.memory_bytes == 0 || record.memory_bytes > MEMORY_BYTES_MAX {
        return Err(malformed("no machine has that much memory".to_owned()));
    }
    for disk in &record.disks {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let name = &disk.name;
        if name.is_empty() || name.len() > DISK_NAME_BYTES_MAX || !name.bytes().all(is_plain) {
            return Err(malformed("a disk has a name that no gate allows".to_owned()));
        }
        if disk.layers.is_empty() {
            return Err(malformed(format!("disk `{name}` has no file")));
        }
    }
    Ok(record)
}

pub(super) fn verify_all(
    root: &Path,
    files: &[StoredFile],
    progress: &watch::Sender<Progress>,
    cancel: &Cancel,
) -> Result<(), RestoreError> {
    let total = files.iter().map(StoredFile::data_bytes).sum();
    let mut now = Progress::of(Phase::Checking, total);
    for file in files {
        let step = &mut |bytes| advance(&mut now, bytes, progress, cancel);
        file.verify(root, step).map_err(RestoreError::fault)?;
    }
    Ok(())
}

fn advance(now: &mut Progress, bytes: u64, progress: &watch::Sender<Progress>, cancel: &Cancel) -> ControlFlow<()> {
    now.done_bytes += bytes;
    progress.send_replace(*now);
    if cancel.is_cancelled() {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

/// The first place that holds the image. Only files of its size are read.
fn find<'a>(
    image: &BaseImage,
    places: impl Iterator<Item = &'a PathBuf>,
    progress: &watch::Sender<Progress>,
    cancel: &Cancel,
) -> Result<PathBuf, RestoreError> {
    for place in places {
        let is_candidate = place
            .metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() == image.size_bytes);
        if !is_candidate {
            continue;
        }
        let now = Progress::of(Phase::Checking, image.size_bytes);
        let found = digest(place, |read| {
            let mut now = now;
            advance(&mut now, read.done_bytes, progress, cancel)
        });
        if found.map_err(RestoreError::host("read", place))? == image.sha256 {
            return std::path::absolute(place).map_err(RestoreError::host("resolve", place));
        }
    }
    Err(RestoreError::NoImage {
        image: Box::new(image.clone()),
    })
}
