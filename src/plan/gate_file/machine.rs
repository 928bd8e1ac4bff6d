//! `[machine]`.

use super::container::{Choice, List};
use super::extra_args::ExtraArg;
use super::key::{Group, Key, Table};
use super::number::Count;
use super::reader::TableReader;
use super::unit::Size;
use super::word::{HostPath, Program, Text};
use crate::plan::{Accelerator, Arch, Firmware, MachinePlan, Network};
use crate::units::{ByteSize, MIB};

/// Memory of a machine.
pub(super) const MEMORY_SIZE: Size = Size {
    min: ByteSize(16 * MIB),
    granule: ByteSize(MIB),
    granule_reason: "memory is counted in MiB",
};
/// Virtual CPUs of a machine. 255 is what a q35 machine holds without an interrupt remapping unit.
pub(super) const CPU_COUNT: Count = Count { min: 1, max: 255 };

static ARCH: Key<Choice<Arch>> = Key::default(
    "arch",
    Choice {
        all: &Arch::ALL,
        name: Arch::as_str,
    },
    "\"x86_64\"",
    "The architecture.",
);
static FIRMWARE: Key<Choice<Firmware>> = Key::default(
    "firmware",
    Choice {
        all: &Firmware::ALL,
        name: Firmware::as_str,
    },
    "\"uefi\"",
    "The firmware: UEFI (OVMF, with fresh variables for each run) or BIOS (SeaBIOS).",
);
static CPUS: Key<Count> = Key::default("cpus", CPU_COUNT, "2", "Virtual CPUs.");
static MEMORY: Key<Size> = Key::default("memory", MEMORY_SIZE, "\"2GiB\"", "Memory.");
static ACCELERATOR: Key<Choice<Accelerator>> = Key::default(
    "accelerator",
    Choice {
        all: &Accelerator::ALL,
        name: Accelerator::as_str,
    },
    "\"auto\"",
    "What runs the guest's instructions. `auto`: KVM if a probe shows that it runs 64-bit guests, else TCG.",
);
static CPU_MODEL: Key<Text> = Key::optional(
    "cpu-model",
    Text { example: "max" },
    "The CPU model, by QEMU's name. Default: by accelerator.",
);
static QEMU: Key<Program> = Key::default(
    "qemu",
    Program,
    "\"qemu-system-x86_64\"",
    "The QEMU binary: a name looked up in PATH, or a path.",
);
static QEMU_DATA: Key<List<HostPath>> = Key::default(
    "qemu-data",
    List(HostPath),
    "[]",
    "Directories of QEMU's own data (`-L`), for a QEMU outside the system's directories.",
);
static EXTRA_ARGS: Key<List<ExtraArg>> = Key::default(
    "extra-args",
    List(ExtraArg),
    "[]",
    "Arguments appended to QEMU's command line as they are. Those that bootgate itself depends on are refused.",
);
static NETWORK: Key<Choice<Network>> = Key::default(
    "network",
    Choice {
        all: &Network::ALL,
        name: Network::as_str,
    },
    "\"isolated\"",
    "What the guest may reach: only bootgate's own SSH forward, or whatever the host reaches.",
);

/// `[machine]`.
pub(super) static MACHINE: Table = Table {
    title: "`[machine]`",
    doc: "The machine that QEMU plays.",
    keys: &[
        &ARCH,
        &FIRMWARE,
        &CPUS,
        &MEMORY,
        &ACCELERATOR,
        &CPU_MODEL,
        &QEMU,
        &QEMU_DATA,
        &EXTRA_ARGS,
        &NETWORK,
    ],
    group: Group::None,
};

pub(super) fn read(table: &TableReader<'_>) -> Option<MachinePlan> {
    let (arch, firmware, accelerator) = (table.take(&ARCH), table.take(&FIRMWARE), table.take(&ACCELERATOR));
    let (cpus, memory, cpu_model) = (table.take(&CPUS), table.take(&MEMORY), table.take(&CPU_MODEL));
    let (qemu, qemu_data) = (table.take(&QEMU), table.take(&QEMU_DATA));
    let (extra_args, network) = (table.take(&EXTRA_ARGS), table.take(&NETWORK));
    Some(MachinePlan {
        arch: arch?,
        firmware: firmware?,
        cpus: cpus?,
        memory: memory?,
        accelerator: accelerator?,
        cpu_model,
        qemu: qemu?,
        qemu_data: qemu_data?,
        extra_args: extra_args?,
        network: network?,
    })
}
