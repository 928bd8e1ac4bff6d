//! A stage: a named part of a gate with its own memory and deadline.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{LoginPlan, SecretSource};
use crate::units::ByteSize;

/// A stage of a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct StagePlan {
    /// Its name: lower-case letters, digits and `-`; unique in the gate.
    pub name: String,
    /// What it does.
    pub kind: StageKind,
    /// The machine it runs in.
    pub vm: VmUse,
    /// The disks that a fresh machine starts with.
    pub disks: DiskUse,
    /// Memory, if other than the machine's. Needs a fresh VM.
    pub memory: Option<ByteSize>,
    /// Virtual CPUs, if other than the machine's. Needs a fresh VM.
    pub cpus: Option<u32>,
    /// How long the whole stage may take, before scaling.
    pub timeout: Duration,
    /// When to warn that the deadline draws near: this long after the stage began.
    pub warn_after: Duration,
    /// The level of evidence that the stage claims. It can't pass on a lower one.
    pub claims: Evidence,
    /// The login of this stage, if other than the gate's. Read it by [`Plan::login`](super::Plan::login).
    pub login: Option<LoginPlan>,
}

/// What a stage does.
#[derive(Debug, Clone, PartialEq)]
pub enum StageKind {
    /// Boots the image until the claimed level is reached.
    Boot,
    /// Runs a command over SSH in the booted image.
    Command {
        /// Files copied to the guest first.
        uploads: Vec<Upload>,
        /// The command line, run by the guest's `sh`.
        command: String,
        /// Lines of which each must appear in the output. An exit status of 0 is needed as well.
        pass: Vec<Pattern>,
        /// Lines of which none may appear in the output.
        fail: Vec<Pattern>,
        /// Lines of which the first one ends the command, and well. If there are any, it can't pass without one, whatever
        /// its exit status.
        until: Vec<Pattern>,
        /// What must hold in the guest for the command to test what the stage is for.
        only_tests_if: Option<Condition>,
        /// How long the command may print nothing.
        no_progress: Duration,
    },
    /// Boots the installed target disk, the image detached.
    InstalledBoot {
        /// The line on the console that says that the installed system has reached its target.
        target: Pattern,
        /// The passphrase prompt to expect, and its answer.
        unlock: Option<Prompt>,
        /// How long a login prompt may stand on the console without the target being reached.
        login_settle: Duration,
        /// True if a login over SSH must confirm the target.
        verify_ssh: bool,
        /// What says by its status, run over SSH by the guest's `sh`, that the target is reached. It is asked where a login
        /// prompt comes before the target.
        target_check: Option<String>,
    },
}

/// The machine a stage runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VmUse {
    /// The machine of the stage before.
    Same,
    /// A new machine.
    Fresh,
}

/// The disks of a fresh machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiskUse {
    /// Those of the machine before, as it left them.
    Kept,
    /// Blank ones.
    Fresh,
}

/// What must hold in the guest for a stage to test what it is for. A stage whose condition does not hold runs all the
/// same; when it would have passed, it is not tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The command line, run by the guest's `sh` before the stage's command. It holds if the status is 0.
    pub command: String,
    /// Why the stage tests nothing where it does not hold.
    pub because: String,
}

/// A file copied to the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The file on the host.
    pub from: PathBuf,
    /// The absolute path in the guest.
    pub to: String,
    /// Its permission bits.
    pub mode: u32,
}

/// A question of the guest and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What the question looks like. It need not end with a newline.
    pub pattern: Pattern,
    /// The answer.
    pub answer: SecretSource,
    /// Where it is asked, and so answered.
    pub channel: PromptChannel,
}

/// How often the screen is looked at while a passphrase is awaited: no event tells that it changes.
pub const SCREEN_LOOK_EVERY: Duration = Duration::from_millis(500);

/// Where a question is asked, and so answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PromptChannel {
    /// On either; the serial console counts where both ask.
    Auto,
    /// On the serial console.
    Serial,
    /// On the screen, and answered with the keyboard.
    Screen,
}

impl PromptChannel {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Serial, Self::Screen];

    /// The name in gate files and results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Serial => "serial",
            Self::Screen => "screen",
        }
    }
}

/// What a line looks like: a plain text that it contains, or a regular expression that it matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// The line contains this text.
    Text(String),
    /// The line matches this regular expression (checked when the gate file is read).
    Regex(String),
}

impl Pattern {
    /// The same as a regular expression.
    pub fn to_regex(&self) -> String {
        match self {
            Self::Text(text) => regex::escape(text),
            Self::Regex(regex) => regex.clone(),
        }
    }
}

impl StageKind {
    /// The kind's name in gate files and results.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Command { .. } => "command",
            Self::InstalledBoot { .. } => "installed-boot",
        }
    }
}

impl VmUse {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Same, Self::Fresh];

    /// The name in gate files and results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Fresh => "fresh",
        }
    }
}

impl DiskUse {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Kept, Self::Fresh];

    /// The name in gate files and results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Fresh => "fresh",
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "`{text}`"),
            Self::Regex(regex) => write!(f, "/{regex}/"),
        }
    }
}

/// The evidence ladder: how much was proved. A claim can't be met by a lower level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The QEMU process runs.
    Process,
    /// The firmware has written to the console.
    Firmware,
    /// The kernel has written to the console.
    Kernel,
    /// User space has written to the console.
    Userspace,
    /// The marker was seen.
    Marker,
    /// Logins over SSH are stable.
    Login,
    /// The command of the stage ended well, with every line that it must print.
    Installed,
    /// The kernel of the installed disk has written to the console.
    InstalledKernel,
    /// The installed system has reached its target.
    Target,
}

impl Evidence {
    /// Every level, lowest first.
    pub const ALL: [Self; 9] = [
        Self::Process,
        Self::Firmware,
        Self::Kernel,
        Self::Userspace,
        Self::Marker,
        Self::Login,
        Self::Installed,
        Self::InstalledKernel,
        Self::Target,
    ];

    /// The level's name in gate files, results and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Firmware => "firmware",
            Self::Kernel => "kernel",
            Self::Userspace => "userspace",
            Self::Marker => "marker",
            Self::Login => "login",
            Self::Installed => "installed",
            Self::InstalledKernel => "installed-kernel",
            Self::Target => "target",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
