//! `[host]`.

use super::key::{Group, Key, Table};
use super::reader::TableReader;
use super::unit::Size;
use super::word::HostPath;
use crate::plan::HostPlan;
use crate::units::{ByteSize, MIB};

static SCRATCH: Key<HostPath> = Key::optional(
    "scratch",
    HostPath,
    "The directory for the disks; each run makes one of its own in it. Default: in the run's directory.",
);
static DISK_BUDGET: Key<Size> = Key::optional(
    "disk-budget",
    Size {
        min: ByteSize(MIB),
        granule: ByteSize(1),
        granule_reason: "",
    },
    "How much the disks may take on the host, all together: that much must be free before the run begins. Default: all that \
     they have; then too little is a warning only, because disk files are sparse.",
);
static RESERVE: Key<Size> = Key::optional(
    "reserve",
    Size {
        min: ByteSize(0),
        granule: ByteSize(1),
        granule_reason: "",
    },
    "How much stays free on the host's disks: the guest is paused, and the run ends, before less is left. \"0B\": nobody \
     watches. Default: an eighth of what is free at the start, at most 256MiB.",
);

/// `[host]`.
pub(super) static HOST: Table = Table {
    title: "`[host]`",
    doc: "What the gate asks of the host.",
    keys: &[&SCRATCH, &DISK_BUDGET, &RESERVE],
    group: Group::None,
};

pub(super) fn read(table: &TableReader<'_>) -> HostPlan {
    HostPlan {
        scratch: table.take(&SCRATCH),
        disk_budget: table.take(&DISK_BUDGET),
        reserve: table.take(&RESERVE),
    }
}
