//! The settings of a gate outside its stages.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{DiskPlan, HostPlan, ImagePlan, LoginPlan, OpenBy, Pattern, SecretSource, StagePlan};
use crate::units::ByteSize;

/// A gate: one whole check of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The gate's name: lower-case letters, digits and `-`; part of the run directory's name.
    pub gate: String,
    /// The gate file this plan was read from.
    pub file: PathBuf,
    /// The image under test.
    pub image: ImagePlan,
    /// The machine, as far as a stage does not say otherwise.
    pub machine: MachinePlan,
    /// What it asks of the host beside that.
    pub host: HostPlan,
    /// The disks created for the run.
    pub disks: Vec<DiskPlan>,
    /// What to look for on the serial console.
    pub console: ConsolePlan,
    /// How to log in. `None`: the image is not reached over SSH.
    pub ssh: Option<SshPlan>,
    /// The stages, in order. Never empty.
    pub stages: Vec<StagePlan>,
    /// Files of rules that are tried before the built-in ones.
    pub rules: Vec<PathBuf>,
    /// The stages without which the image is not published. `None`: all.
    pub require: Option<Vec<String>>,
    /// What to do with the machine when the gate fails. `None`: by where the run happens.
    pub on_failure: Option<FailurePolicy>,
    /// Factor on every guest-facing deadline. `None`: by accelerator.
    pub timeout_scale: Option<f64>,
}

impl Plan {
    /// The disk that installed-boot stages boot from.
    pub fn target_disk(&self) -> Option<&DiskPlan> {
        self.disks.iter().find(|disk| disk.target)
    }

    /// Memory of the machine in stage number `stage`.
    pub fn memory(&self, stage: usize) -> ByteSize {
        self.stages[stage].memory.unwrap_or(self.machine.memory)
    }

    /// Virtual CPUs of the machine in stage number `stage`.
    pub fn cpus(&self, stage: usize) -> u32 {
        self.stages[stage].cpus.unwrap_or(self.machine.cpus)
    }

    /// How stage number `stage` logs in. `None`: the image is not reached over SSH.
    pub fn login(&self, stage: usize) -> Option<LoginPlan> {
        let own = self.stages[stage].login.clone();
        own.or_else(|| self.ssh.as_ref().map(SshPlan::login))
    }
}

/// The machine that QEMU plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachinePlan {
    /// Its architecture.
    pub arch: Arch,
    /// Its firmware.
    pub firmware: Firmware,
    /// Its virtual CPUs.
    pub cpus: u32,
    /// Its memory.
    pub memory: ByteSize,
    /// What runs its instructions.
    pub accelerator: Accelerator,
    /// The CPU model. `None`: by accelerator.
    pub cpu_model: Option<String>,
    /// The QEMU binary, a path or a name looked up in `PATH`.
    pub qemu: PathBuf,
    /// Directory of QEMU's own data (`-L`), for a QEMU unpacked outside the system's directories.
    pub qemu_data: Vec<PathBuf>,
    /// Arguments appended to QEMU's command line as they are.
    pub extra_args: Vec<String>,
    /// What the guest may reach.
    pub network: Network,
}

/// The architecture of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arch {
    /// 64-bit x86 (machine `q35`).
    #[serde(rename = "x86_64")]
    X86_64,
}

impl Arch {
    /// Every architecture.
    pub const ALL: [Self; 1] = [Self::X86_64];

    /// The name that QEMU and firmware descriptors know the architecture by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
        }
    }
}

/// The firmware of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// UEFI (OVMF), with fresh variables for each run.
    Uefi,
}

impl Firmware {
    /// Every firmware.
    pub const ALL: [Self; 2] = [Self::Uefi, Self::Bios];

    /// The name in gate files and results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
        }
    }
}

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Accelerator {
    /// KVM if a probe shows that it runs 64-bit guests, else TCG; the result says which and why.
    Auto,
    /// KVM or nothing.
    Kvm,
    /// QEMU's own translator.
    Tcg,
}

impl Accelerator {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Kvm, Self::Tcg];

    /// The name in gate files and results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// What the guest may reach over its network card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Nothing but bootgate's own loopback forward (`restrict=on`).
    Isolated,
    /// Whatever the host reaches.
    Open,
}

impl Network {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Isolated, Self::Open];

    /// The name in gate files and results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Isolated => "isolated",
            Self::Open => "open",
        }
    }
}

/// What to look for on the serial console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsolePlan {
    /// The markers, any of which says that the live system is up.
    pub markers: Vec<MarkerPlan>,
    /// Lines that end the run as failed wherever they appear.
    pub fail: Vec<Pattern>,
}

/// A line on the serial console that says that the live system is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkerPlan {
    /// The name that the trace calls it by.
    pub name: String,
    /// What the line looks like.
    pub pattern: Pattern,
}

/// How to log in to the guest.
#[derive(Debug, Clone, PartialEq)]
pub struct SshPlan {
    /// The user.
    pub user: String,
    /// The password, if password login is used.
    pub password: Option<SecretSource>,
    /// The private key, if key login is used.
    pub key: Option<SecretSource>,
    /// How the image is had to let us in, if it starts no SSH server by itself; then neither password nor key is there, and
    /// a key is made for the run.
    pub open_by: Option<OpenBy>,
    /// How many full logins in a row make SSH stable. At least 1.
    pub stable_logins: u32,
    /// How long the row of logins must last at least.
    pub stable_window: Duration,
    /// How long after the marker something must answer as an SSH server.
    pub appear_within: Duration,
    /// How long after the first answer SSH must be stable.
    pub stable_within: Duration,
    /// Pause between two attempts: there is no event that says that a server came up behind the forward.
    pub retry_every: Duration,
}

/// What to do with the machine when the gate fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailurePolicy {
    /// Keep it paused for a person.
    Hold,
    /// Save it with its evidence in one file.
    Bundle,
    /// Keep the evidence, end the machine.
    Discard,
}

impl FailurePolicy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Hold, Self::Bundle, Self::Discard];

    /// The name in gate files and results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Bundle => "bundle",
            Self::Discard => "discard",
        }
    }
}
