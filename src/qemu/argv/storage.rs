//! Block nodes and the devices on top of them.

use std::path::Path;

use serde_json::{Value, json};

use super::build::{Arguments, ArgvError};
use super::spec::{BootSpec, DiskSpec, FirmwareSpec, FlashSpec, LayerSpec};
use crate::plan::{Attachment, DiskCache, DiskFormat};

/// The node name and device id of the image under test.
pub const IMAGE_NODE: &str = "image";

/// The node name and device id of a disk: what QEMU's events and errors call it.
pub fn disk_node(name: &str) -> String {
    format!("disk-{name}")
}

/// `cache.direct` and `cache.no-flush` of a cache mode, as QEMU's manual defines the modes.
fn cache_json(cache: DiskCache) -> Value {
    let (direct, no_flush) = match cache {
        DiskCache::Writeback => (false, false),
        DiskCache::None => (true, false),
        DiskCache::Unsafe => (false, true),
    };
    json!({ "direct": direct, "no-flush": no_flush })
}

/// A format node named `node` over a file node named `node-file`.
fn node_json(node: &str, path: &Path, format: DiskFormat) -> Result<Value, ArgvError> {
    Ok(json!({
        "driver": format.as_str(),
        "node-name": node,
        "file": {
            "driver": "file",
            "node-name": format!("{node}-file"),
            "filename": ArgvError::utf8(path)?,
        },
    }))
}

/// The same for a file that is never written.
fn read_only_json(node: &str, path: &Path, format: DiskFormat) -> Result<Value, ArgvError> {
    let mut json = node_json(node, path, format)?;
    json["read-only"] = true.into();
    json["file"]["read-only"] = true.into();
    Ok(json)
}

/// The same for a file that the guest writes. Blocks that the guest discards leave the host's disk.
fn writable_json(node: &str, path: &Path, format: DiskFormat, cache: DiskCache) -> Result<Value, ArgvError> {
    let mut json = node_json(node, path, format)?;
    json["discard"] = "unmap".into();
    json["cache"] = cache_json(cache);
    json["file"]["discard"] = "unmap".into();
    json["file"]["cache"] = cache_json(cache);
    Ok(json)
}

/// What a file is laid over: layer upon layer, down to `bottom`. Every layer is named here, so that no file decides by
/// its own header which other file is opened. They have no node names: a disk's name leaves no room for a longer one.
fn backing_json(layers: &[LayerSpec], bottom: Value) -> Result<Value, ArgvError> {
    let mut json = bottom;
    for layer in layers.iter().rev() {
        let mut above = json!({
            "driver": layer.format.as_str(),
            "read-only": true,
            "file": { "driver": "file", "read-only": true, "filename": ArgvError::utf8(&layer.path)? },
        });
        if layer.format == DiskFormat::Qcow2 {
            above["backing"] = json;
        }
        json = above;
    }
    Ok(json)
}

/// The flash devices of a UEFI machine. The machine's `pflash0` and `pflash1` name their nodes.
pub(super) fn firmware(arguments: &mut Arguments, firmware: &FirmwareSpec) -> Result<(), ArgvError> {
    let FirmwareSpec::Uefi { flash0, flash1, .. } = firmware else {
        return Ok(());
    };
    for (node, flash) in [("flash0", Some(flash0)), ("flash1", flash1.as_ref())] {
        let Some(FlashSpec {
            path,
            format,
            read_only,
        }) = flash
        else {
            continue;
        };
        let json = if *read_only {
            read_only_json(node, path, *format)?
        } else {
            node_json(node, path, *format)?
        };
        arguments.option("-blockdev", json.to_string());
    }
    Ok(())
}

/// The image under test, or the kernel in its place.
pub(super) fn boot(arguments: &mut Arguments, boot: &BootSpec) -> Result<(), ArgvError> {
    match boot {
        BootSpec::Iso { path, attach } => {
            let json = read_only_json(IMAGE_NODE, path, DiskFormat::Raw)?;
            arguments.option("-blockdev", json.to_string());
            image_device(arguments, *attach, true);
        }
        BootSpec::DiskImage {
            overlay,
            layers,
            base,
            base_format,
            attach,
        } => {
            let mut json = writable_json(IMAGE_NODE, overlay, DiskFormat::Qcow2, DiskCache::Unsafe)?;
            json["backing"] = backing_json(layers, read_only_json("image-base", base, *base_format)?)?;
            arguments.option("-blockdev", json.to_string());
            image_device(arguments, *attach, false);
        }
        BootSpec::Kernel { kernel, initrd, append } => {
            arguments.option("-kernel", ArgvError::utf8(kernel)?);
            if let Some(initrd) = initrd {
                arguments.option("-initrd", ArgvError::utf8(initrd)?);
            }
            arguments.option("-append", append.clone());
        }
        BootSpec::TargetDisk => {}
    }
    Ok(())
}

/// The device of the image, first in the boot order. A guest that fails to write to its image gets the machine paused.
fn image_device(arguments: &mut Arguments, attach: Attachment, optical: bool) {
    let device = match (attach, optical) {
        (Attachment::Cd, true) => "scsi-cd,bus=scsi.0",
        (Attachment::Cd, false) => "scsi-hd,bus=scsi.0",
        (Attachment::Ide, true) => "ide-cd,bus=ide.0",
        (Attachment::Ide, false) => "ide-hd,bus=ide.0",
        (Attachment::Usb, _) => "usb-storage,bus=usb.0,removable=on",
        (Attachment::Virtio, _) => "virtio-blk-pci",
    };
    match attach {
        Attachment::Cd => arguments.option("-device", "virtio-scsi-pci,id=scsi"),
        Attachment::Usb => arguments.option("-device", "qemu-xhci,id=usb"),
        Attachment::Ide | Attachment::Virtio => {}
    }
    let on_error = if optical { "" } else { ",werror=stop,rerror=stop" };
    arguments.option(
        "-device",
        format!("{device},id={IMAGE_NODE},drive={IMAGE_NODE},bootindex=0{on_error}"),
    );
}

/// A disk of the run. It has a place in the boot order only if it is what is booted: an image that does not boot must
/// not look as if it did because the disk beside it does.
pub(super) fn disk(arguments: &mut Arguments, disk: &DiskSpec, booted: bool) -> Result<(), ArgvError> {
    let node = disk_node(&disk.name);
    let mut json = writable_json(&node, &disk.path, disk.format, disk.cache)?;
    if !disk.layers.is_empty() {
        json["backing"] = backing_json(&disk.layers, Value::Null)?;
    }
    arguments.option("-blockdev", json.to_string());
    let boot_index = if booted { ",bootindex=0" } else { "" };
    arguments.option(
        "-device",
        format!(
            "virtio-blk-pci,id={node},drive={node},serial={}{boot_index},werror=stop,rerror=stop",
            disk.name
        ),
    );
    Ok(())
}
