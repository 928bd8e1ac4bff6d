//! `[[disk]]`.

use super::container::Choice;
use super::diagnostic::Mistake;
use super::key::{Group, Key, Table};
use super::number::Flag;
use super::reader::TableReader;
use super::stage_rules::check_unique;
use super::unit::Size;
use super::word::Name;
use crate::plan::{DiskCache, DiskFormat, DiskPlan};
use crate::units::{ByteSize, MIB};

/// A virtio disk's serial number holds 20 bytes, and the name is the serial number.
static NAME: Key<Name> = Key::required(
    "name",
    Name { max_bytes: 20 },
    "The disk's name; also its file name and its serial number in the guest.",
);
static SIZE: Key<Size> = Key::required(
    "size",
    Size {
        min: ByteSize(MIB),
        granule: ByteSize(512),
        granule_reason: "a disk is whole sectors of 512 bytes",
    },
    "Its size as the guest sees it. The file is sparse.",
);
static FORMAT: Key<Choice<DiskFormat>> = Key::default(
    "format",
    Choice {
        all: &DiskFormat::ALL,
        name: DiskFormat::as_str,
    },
    "\"raw\"",
    "Its format.",
);
static CACHE: Key<Choice<DiskCache>> = Key::default(
    "cache",
    Choice {
        all: &DiskCache::ALL,
        name: DiskCache::as_str,
    },
    "\"unsafe\"",
    "How the host caches it, by QEMU's names.",
);
static TARGET: Key<Flag> = Key::optional(
    "target",
    Flag,
    "True if installed-boot stages boot from this disk. Default: true if it is the only disk.",
);
static KEEP: Key<Flag> = Key::default(
    "keep",
    Flag,
    "false",
    "True if the disk file stays in the run directory after the run has passed.",
);

/// `[[disk]]`.
pub(super) static DISK: Table = Table {
    title: "`[[disk]]`",
    doc: "A disk that is created, blank, for the run.",
    keys: &[&NAME, &SIZE, &FORMAT, &CACHE, &TARGET, &KEEP],
    group: Group::None,
};

/// How many disks there are, and how many of them are the target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Targets {
    pub(super) disks: usize,
    pub(super) targets: usize,
}

/// Counts the disks whether or not they are right otherwise.
pub(super) fn count_targets(tables: &[TableReader<'_>]) -> Targets {
    // A value that is neither true nor false is complained about where it stands; here it counts as true.
    let default = tables.len() == 1;
    let target = |table: &&TableReader<'_>| table.take(&TARGET).unwrap_or(default || table.has(&TARGET));
    Targets {
        disks: tables.len(),
        targets: tables.iter().filter(target).count(),
    }
}

pub(super) fn read(tables: &[TableReader<'_>]) -> Option<Vec<DiskPlan>> {
    let disks: Vec<_> = tables.iter().map(|table| read_one(table, tables.len() == 1)).collect();
    check_unique("disk", tables, &NAME);
    let targets = tables
        .iter()
        .filter(|table| table.has(&TARGET) && table.take(&TARGET) == Some(true));
    check_one_target(&targets.collect::<Vec<_>>());
    disks.into_iter().collect()
}

fn read_one(table: &TableReader<'_>, only: bool) -> Option<DiskPlan> {
    let (name, size) = (table.take(&NAME), table.take(&SIZE));
    let (format, cache) = (table.take(&FORMAT), table.take(&CACHE));
    let (target, keep) = (table.take(&TARGET), table.take(&KEEP));
    Some(DiskPlan {
        name: name?,
        size_bytes: size?,
        format: format?,
        cache: cache?,
        target: target.unwrap_or(only),
        keep: keep?,
    })
}

fn check_one_target(targets: &[&TableReader<'_>]) {
    let [first, others @ ..] = targets else {
        return;
    };
    for other in others {
        let message = "two disks are the target";
        let mistake = Mistake::new(other.span(&TARGET), message, "installed-boot stages boot from one disk");
        other.report(mistake.related(first.span(&TARGET), "the first target"));
    }
}
