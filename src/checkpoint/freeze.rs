//! Freezing the disks of a stopped machine: an overlay on top of each takes what is written from now on.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::plan::{DiskCache, DiskFormat};
use crate::qemu::argv::{BootSpec, IMAGE_NODE, LayerSpec, MachineSpec, disk_node};
use crate::qmp::{Qmp, QmpError};

use super::job::{COMMAND_WITHIN, JobError, run_job};

/// Why the disks could not be frozen. None of them is.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// QEMU refused a command.
    #[error(transparent)]
    Qmp(#[from] QmpError),
    /// An overlay could not be made.
    #[error(transparent)]
    Job(#[from] JobError),
    /// QEMU has no device of that name, or nothing is in it.
    #[error("QEMU has no disk `{device}` that could be frozen")]
    NoDevice {
        /// The device's id.
        device: String,
    },
    /// The host refused.
    #[error("can't create the overlay `{}`: {source}", .path.display())]
    Host {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// QEMU takes file names as JSON, and JSON is UTF-8.
    #[error("the path `{}` is not UTF-8, and QEMU takes no other; rename it", .path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
}

/// What is to be frozen: one disk of the machine, as it is now.
struct Disk<'a> {
    device: String,
    path: &'a Path,
    format: DiskFormat,
    cache: DiskCache,
    layers_below: usize,
}

/// An overlay that QEMU has opened and not put on top yet.
struct Overlay {
    device: String,
    node: String,
    /// The node that it goes on top of.
    over: String,
    path: PathBuf,
}

/// Puts a new qcow2 file of `directory` on top of every disk that the guest can write, all at once or none. What was
/// written so far is then never written again.
///
/// The guest must be stopped. It may be before a migration or after one: then the disks are inactive until `cont`, which
/// QEMU 7.2 and 10.0 both take well. Gives the machine as it is from now on; `machine` is what it was.
pub async fn freeze(qmp: &Qmp, machine: &MachineSpec, directory: &Path) -> Result<MachineSpec, FreezeError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| FreezeError::Host {
        path: directory.to_owned(),
        source,
    })?;
    let blocks = qmp.execute_raw("query-block", Value::Null, COMMAND_WITHIN).await?;
    let mut overlays = Vec::new();
    let mut outcome = Ok(());
    for disk in disks(machine) {
        match overlay(qmp, &disk, &blocks, directory).await {
            Ok(overlay) => overlays.push(overlay),
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    if outcome.is_ok() && !overlays.is_empty() {
        outcome = put_on_top(qmp, &overlays).await;
    }
    if let Err(error) = outcome {
        for overlay in &overlays {
            // What can't be taken back is a file that nothing uses.
            let node = json!({ "node-name": overlay.node });
            let _ = qmp.execute_raw("blockdev-del", node, COMMAND_WITHIN).await;
            let _ = std::fs::remove_file(&overlay.path);
        }
        return Err(error);
    }
    Ok(frozen(machine, &overlays))
}

fn disks(machine: &MachineSpec) -> Vec<Disk<'_>> {
    let mut disks = Vec::new();
    if let BootSpec::DiskImage { overlay, layers, .. } = &machine.boot {
        disks.push(Disk {
            device: IMAGE_NODE.to_owned(),
            path: overlay,
            format: DiskFormat::Qcow2,
            cache: DiskCache::Unsafe,
            layers_below: layers.len(),
        });
    }
    disks.extend(machine.disks.iter().map(|disk| Disk {
        device: disk_node(&disk.name),
        path: &disk.path,
        format: disk.format,
        cache: disk.cache,
        layers_below: disk.layers.len(),
    }));
    disks
}

/// Makes an overlay and opens it.
async fn overlay(qmp: &Qmp, disk: &Disk<'_>, blocks: &Value, directory: &Path) -> Result<Overlay, FreezeError> {
    let device = &disk.device;
    let inserted = inserted(blocks, device).ok_or_else(|| FreezeError::NoDevice { device: device.clone() })?;
    let over = inserted["node-name"].as_str().unwrap_or_default().to_owned();
    let size_bytes = inserted["image"]["virtual-size"].as_u64().unwrap_or_default();
    // A disk's name leaves six characters of a node's name.
    let number = disk.layers_below + 1;
    let node = format!("{device}.{number}");
    let path = directory.join(format!("{device}.{number}.qcow2"));
    let filename = path
        .to_str()
        .ok_or_else(|| FreezeError::NotUtf8 { path: path.clone() })?;
    let host = |source| FreezeError::Host {
        path: path.clone(),
        source,
    };
    let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    drop(new.map_err(host)?);
    let opened = open_overlay(qmp, disk, &node, filename, size_bytes).await;
    if opened.is_err() {
        let _ = std::fs::remove_file(&path);
    }
    opened.map(|()| Overlay {
        device: device.clone(),
        node,
        over,
        path,
    })
}

async fn open_overlay(
    qmp: &Qmp,
    disk: &Disk<'_>,
    node: &str,
    filename: &str,
    size_bytes: u64,
) -> Result<(), FreezeError> {
    let backing = disk.path.to_str().ok_or_else(|| FreezeError::NotUtf8 {
        path: disk.path.to_owned(),
    })?;
    let options = json!({
        "driver": "qcow2",
        "file": { "driver": "file", "filename": filename },
        "size": size_bytes,
        // For whoever opens the file by hand: bootgate itself always says what lies below.
        "backing-file": backing,
        "backing-fmt": disk.format.as_str(),
    });
    run_job(qmp, "blockdev-create", node, json!({ "options": options })).await?;
    let cache = json!({
        "direct": disk.cache == DiskCache::None,
        "no-flush": disk.cache == DiskCache::Unsafe,
    });
    let open = json!({
        "driver": "qcow2",
        "node-name": node,
        "discard": "unmap",
        "cache": cache,
        "file": { "driver": "file", "filename": filename, "discard": "unmap", "cache": cache },
        "backing": null,
    });
    qmp.execute_raw("blockdev-add", open, COMMAND_WITHIN).await?;
    Ok(())
}

/// What is in a device. QEMU names it by its path, in which the id is one part, with or without others below it.
fn inserted<'a>(blocks: &'a Value, device: &str) -> Option<&'a Value> {
    let is_it = |block: &&Value| {
        let path = block["qdev"].as_str().unwrap_or_default();
        path.split('/').any(|part| part == device)
    };
    let found = blocks.as_array()?.iter().find(is_it)?;
    found.get("inserted")
}

async fn put_on_top(qmp: &Qmp, overlays: &[Overlay]) -> Result<(), FreezeError> {
    let actions: Vec<_> = overlays
        .iter()
        .map(|overlay| {
            let data = json!({ "node": overlay.over, "overlay": overlay.node });
            json!({ "type": "blockdev-snapshot", "data": data })
        })
        .collect();
    qmp.execute_raw("transaction", json!({ "actions": actions }), COMMAND_WITHIN)
        .await?;
    Ok(())
}

/// The machine with the overlays as its disks.
fn frozen(machine: &MachineSpec, overlays: &[Overlay]) -> MachineSpec {
    let mut now = machine.clone();
    let new_path = |device: &str| overlays.iter().find(|o| o.device == device).map(|o| o.path.clone());
    if let BootSpec::DiskImage { overlay, layers, .. } = &mut now.boot
        && let Some(path) = new_path(IMAGE_NODE)
    {
        let below = LayerSpec {
            path: std::mem::replace(overlay, path),
            format: DiskFormat::Qcow2,
        };
        layers.insert(0, below);
    }
    for disk in &mut now.disks {
        if let Some(path) = new_path(&disk_node(&disk.name)) {
            let below = LayerSpec {
                path: std::mem::replace(&mut disk.path, path),
                format: std::mem::replace(&mut disk.format, DiskFormat::Qcow2),
            };
            disk.layers.insert(0, below);
        }
    }
    now
}
