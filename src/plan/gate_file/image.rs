//! `[image]`.

use std::path::PathBuf;

use super::container::Choice;
use super::diagnostic::Mistake;
use super::key::{Group, Key, Kind, Table};
use super::reader::TableReader;
use super::word::{HostPath, Sha256, Text};
use crate::plan::{Attachment, DiskFormat, ImagePlan, ImageSource};

static ISO: Key<HostPath> = Key::optional(
    "iso",
    HostPath,
    "An ISO 9660 image, booted through its own boot loader.",
);
static DISK: Key<HostPath> = Key::optional(
    "disk",
    HostPath,
    "A disk image, booted through its own boot loader. The file is never written.",
);
static FORMAT: Key<Choice<DiskFormat>> = Key::optional(
    "format",
    Choice {
        all: &DiskFormat::ALL,
        name: DiskFormat::as_str,
    },
    "The format of the disk image; goes with `disk`.",
);
static KERNEL: Key<HostPath> = Key::optional(
    "kernel",
    HostPath,
    "A kernel that QEMU loads itself: the image's own boot loader is not tested.",
);
static INITRD: Key<HostPath> = Key::optional("initrd", HostPath, "The initial RAM disk; goes with `kernel`.");
static APPEND: Key<Text> = Key::optional(
    "append",
    Text {
        example: "console=ttyS0",
    },
    "The kernel command line; goes with `kernel`.",
);
static ATTACH: Key<Choice<Attachment>> = Key::optional(
    "attach",
    Choice {
        all: &Attachment::ALL,
        name: Attachment::as_str,
    },
    "How the machine sees the image. Default: `cd` for an ISO, `virtio` for a disk.",
);
static SHA256: Key<Sha256> = Key::optional("sha256", Sha256, "The digest that the image must have.");
static PRODUCTION: Key<HostPath> = Key::optional(
    "production",
    HostPath,
    "The image that will be published, when the booted one is a debug variant of it.",
);

/// `[image]`.
pub(super) static IMAGE: Table = Table {
    title: "`[image]`",
    doc: "The image under test.",
    keys: &[
        &ISO,
        &DISK,
        &FORMAT,
        &KERNEL,
        &INITRD,
        &APPEND,
        &ATTACH,
        &SHA256,
        &PRODUCTION,
    ],
    group: Group::ExactlyOne(&["iso", "disk", "kernel"]),
};

pub(super) fn read(table: &TableReader<'_>) -> Option<ImagePlan> {
    let (iso, disk, kernel) = (table.take(&ISO), table.take(&DISK), table.take(&KERNEL));
    let format = table.take(&FORMAT);
    let (initrd, append) = (table.take(&INITRD), table.take(&APPEND));
    let attach = table.take(&ATTACH);
    let (sha256, production) = (table.take(&SHA256), table.take(&PRODUCTION));
    // With none or two of them, the group's complaint says all there is to say.
    let sources = usize::from(table.has(&ISO)) + usize::from(table.has(&DISK)) + usize::from(table.has(&KERNEL));
    if sources != 1 {
        return None;
    }
    check_companions(table);
    check_format(table, disk.as_ref());
    let attach = if table.has(&ATTACH) {
        let attach = attach?;
        check_attachment(table, attach);
        attach
    } else if table.has(&ISO) {
        Attachment::Cd
    } else {
        Attachment::Virtio
    };
    let source = if table.has(&ISO) {
        ImageSource::Iso(iso?)
    } else if table.has(&DISK) {
        let path = disk?;
        ImageSource::Disk { path, format: format? }
    } else {
        ImageSource::Kernel {
            kernel: kernel?,
            initrd,
            append: append.unwrap_or_default(),
        }
    };
    Some(ImagePlan {
        source,
        attach,
        sha256,
        production,
    })
}

/// Keys that go with a source that is not there.
fn check_companions(table: &TableReader<'_>) {
    fn check<K: Kind, O: Kind>(table: &TableReader<'_>, key: &Key<K>, owner: &Key<O>) {
        if table.has(key) && !table.has(owner) {
            let (name, owner) = (key.name, owner.name);
            let message = format!("`{name}` goes with `{owner}` only");
            let label = format!("`[image]` has no `{owner}`");
            table.report(Mistake::new(table.span(key), message, label));
        }
    }
    check(table, &FORMAT, &DISK);
    check(table, &INITRD, &KERNEL);
    check(table, &APPEND, &KERNEL);
}

/// A guessed format is how a guest escapes into its own image, so it is always said.
fn check_format(table: &TableReader<'_>, disk: Option<&PathBuf>) {
    if !table.has(&DISK) || table.has(&FORMAT) {
        return;
    }
    let qcow2 = disk
        .and_then(|path| path.extension())
        .is_some_and(|extension| extension == "qcow2");
    let guess = if qcow2 { DiskFormat::Qcow2 } else { DiskFormat::Raw }.as_str();
    let message = "the format of the disk image is not said, and it is never guessed";
    table.report(Mistake::new(
        table.span(&DISK),
        message,
        format!("add `format = \"{guess}\"`"),
    ));
}

fn check_attachment(table: &TableReader<'_>, attach: Attachment) {
    if table.has(&KERNEL) {
        let message = "a kernel that QEMU loads itself is not attached to the machine";
        table.report(Mistake::new(table.span(&ATTACH), message, "leave `attach` out"));
    } else if table.has(&DISK) && attach == Attachment::Cd {
        let message = "a disk image can't be a CD";
        table.report(Mistake::new(
            table.span(&ATTACH),
            message,
            "write \"virtio\", \"ide\" or \"usb\"",
        ));
    }
}
