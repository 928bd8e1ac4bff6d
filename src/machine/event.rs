//! What can happen. The driver translates QMP events, console matches, SSH results, process ends and signals into
//! these; QEMU's own types do not reach the machine, so a change of QEMU's schema can't reach a state handler.
//! They can be written down and read back, so that a run can be replayed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::machine::record::EvidenceRef;
use crate::machine::{AccessRefusal, Cause, DeadlineKind, Finding, Prospects, RuleFacts, StopSignal};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The machine of the current stage is spawned, QMP is negotiated, and the guest waits for its first instruction.
    Prepared {
        /// The accelerator in use: `kvm` or `tcg`.
        accelerator: String,
        /// The factor on guest-facing deadlines, in percent.
        scale_percent: u32,
    },
    /// The machine could not be brought up.
    PreparationFailed {
        /// What is wrong.
        cause: Cause,
        /// One sentence with the particulars.
        detail: String,
    },
    /// QEMU answered `query-status`.
    StatusObserved(GuestStatus),
    /// QMP `SHUTDOWN`: the guest stands still at its power-off (QEMU stays: `-action shutdown=pause`).
    GuestShutDown {
        /// True if the guest did it, false if somebody outside did.
        by_guest: bool,
        /// QEMU's word for the reason.
        reason: String,
    },
    /// QMP `RESET`.
    GuestReset {
        /// True if the guest did it.
        by_guest: bool,
    },
    /// QMP `GUEST_PANICKED`: the guest's kernel told the pvpanic device.
    GuestPanicked,
    /// QMP `STOP`.
    GuestStopped,
    /// QMP `BLOCK_IO_ERROR` on a node that stops the guest.
    BlockIoFailed {
        /// The node.
        node: String,
        /// True if the host's file system is full.
        no_space: bool,
    },
    /// The QMP connection ended.
    QmpLost {
        /// Why.
        detail: String,
    },
    /// QEMU's monitor did not answer the liveness probe in time, twice.
    QmpSilent {
        /// True if the kernel says that the process is stopped by a signal.
        stopped_by_signal: bool,
    },
    /// The QEMU process ended.
    QemuEnded(ProcessEnd),
    /// The first byte came over the serial console.
    ConsoleSpoke,
    /// A watched pattern was seen on the serial console.
    ConsoleMatched(Sighting),
    /// A watched pattern was seen on the screen.
    ScreenMatched(Sighting),
    /// There is text on the screen again, or a picture without any.
    ScreenShows {
        /// True if there is text, or nothing.
        text: bool,
    },
    /// The answer to the passphrase prompt on the screen is typed.
    AnswerTyped,
    /// The answer can't be typed, and nothing of it was.
    AnswerNotTypable {
        /// The place of the first character that no key has, in characters from 1.
        position: usize,
    },
    /// The console ends in a question, and the guest does nothing but wait for the answer.
    InputAwaited {
        /// The question.
        evidence: EvidenceRef,
    },
    /// One SSH attempt ended.
    SshProbed(ProbeClass),
    /// The stability rule is met.
    SshBecameStable(SshStability),
    /// Something that must stay the same did not.
    SshIdentityFault(IdentityFault),
    /// The image, which starts no SSH server by itself, has let us in.
    AccessOpened {
        /// How, in words.
        detail: String,
        /// Where that stands.
        evidence: EvidenceRef,
    },
    /// The image can't be had to let us in.
    AccessRefused {
        /// What is in the way.
        why: AccessRefusal,
        /// The particulars.
        detail: String,
        /// The line that shows it.
        evidence: EvidenceRef,
    },
    /// The command of the stage runs in the guest.
    CommandStarted,
    /// The command printed something.
    CommandProgressed,
    /// The command printed a line that the stage waits for.
    PassLineSeen {
        /// Which of the stage's pass patterns.
        pattern: usize,
        /// Where.
        evidence: EvidenceRef,
    },
    /// The command printed a line that the stage forbids.
    FailLineSeen {
        /// Which of the stage's fail patterns.
        pattern: usize,
        /// Where.
        evidence: EvidenceRef,
    },
    /// A rule is certain by a line of the command's output.
    OutputRuleMatched(Finding),
    /// A rule is certain by something that is no line of the console or of the command's output.
    RuleMatched(Finding),
    /// What the rules would say at the stage's end has changed.
    ProspectsChanged(Prospects),
    /// The command printed a line that ends it, and well.
    UntilLineSeen {
        /// Which of the stage's until patterns.
        pattern: usize,
        /// Where.
        evidence: EvidenceRef,
    },
    /// It was asked in the guest whether the stage can test what it is for.
    ConditionChecked {
        /// How the condition's command ended: it holds if the status is 0.
        exit: CommandExit,
    },
    /// The installed system was asked whether it has reached its target.
    TargetChecked {
        /// How the stage's check ended: the target is reached if the status is 0.
        exit: CommandExit,
        /// What it printed.
        evidence: EvidenceRef,
    },
    /// The SSH connection under the command broke; the command goes on in the guest.
    ConnectionLost,
    /// The command was picked up again.
    CommandReattached,
    /// The command ended.
    CommandEnded {
        /// How.
        exit: CommandExit,
        /// Its output.
        evidence: EvidenceRef,
    },
    /// The command could not be run or followed.
    CommandUnreachable {
        /// Why.
        detail: String,
    },
    /// The locks on every image of the ended machine are free.
    ImagesReleased,
    /// An image of the ended machine is locked by somebody.
    ImageLocked {
        /// Which and by whom.
        detail: String,
    },
    /// The guest's last state is saved.
    Captured {
        /// What could not be saved, if anything.
        missing: Vec<String>,
    },
    /// The guest's journal is saved, or it can't be had.
    JournalCollected {
        /// Why it can't be had.
        missing: Option<String>,
    },
    /// More of the guest's memory is saved.
    CheckpointProgressed {
        /// How much of it, in bytes.
        done_bytes: u64,
        /// How much there is, in bytes.
        total_bytes: u64,
    },
    /// Memory, devices and disks are saved; digests and the description of the machine are written.
    CheckpointSaved {
        /// What it takes on the disk, in bytes.
        size_bytes: u64,
    },
    /// The machine could not be saved. What was captured before stays.
    CheckpointFailed {
        /// Why.
        detail: String,
    },
    /// Who inspects the held machine is done with it.
    HoldReleased,
    /// Who inspects the held machine needs it for longer.
    HoldExtended {
        /// From now on.
        limit: Duration,
    },
    /// A disk of the host has no more left than what must stay free.
    HostSpaceLow {
        /// The directory that the run writes to.
        place: String,
        /// What is left, in bytes.
        free_bytes: u64,
        /// What must stay free, in bytes.
        reserve_bytes: u64,
        /// How fast it filled last.
        bytes_per_second: u64,
    },
    /// The host has too little memory: everything waits for it.
    HostMemoryShort {
        /// How much of the last ten seconds, in percent.
        percent: u32,
    },
    /// The controller itself did not run for a while (the host was suspended or overloaded).
    HostStalled {
        /// For how long.
        gap: Duration,
    },
    /// A person or a CI runner asked bootgate to stop.
    CancelRequested {
        /// The signal.
        signal: StopSignal,
    },
    /// A deadline is close.
    DeadlineNear(DeadlineKind),
    /// A deadline has passed.
    DeadlinePassed(DeadlineKind),
}

/// What QEMU says the guest does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GuestStatus {
    /// It runs.
    Running,
    /// It waits for its first `cont`.
    Prelaunch,
    /// It is paused.
    Paused,
    /// It has powered itself off.
    Shutdown,
    /// Its kernel has panicked.
    Panicked,
    /// A disk of it can't be read or written.
    IoError,
    /// QEMU or the accelerator has failed.
    InternalError,
    /// Anything else that is not running.
    Other,
}

impl GuestStatus {
    /// QEMU's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Prelaunch => "prelaunch",
            Self::Paused => "paused",
            Self::Shutdown => "shutdown",
            Self::Panicked => "guest-panicked",
            Self::IoError => "io-error",
            Self::InternalError => "internal-error",
            Self::Other => "another state",
        }
    }
}

/// How the QEMU process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProcessEnd {
    /// By itself, with an exit code.
    Exited {
        /// The code.
        code: i32,
    },
    /// By a signal.
    Signalled {
        /// The signal's number.
        signal: i32,
        /// Its name.
        name: String,
        /// What says that the kernel did it for want of memory, if anything.
        out_of_memory: Option<String>,
    },
    /// There is none: it was asked to end before it was started.
    NeverStarted,
}

/// A watched pattern that was seen on the console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Which.
    pub mark: Mark,
    /// Where.
    pub evidence: EvidenceRef,
}

/// What the console is watched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mark {
    /// The kernel's first line.
    Kernel,
    /// A sign of user space.
    Userspace,
    /// The marker with this name.
    Marker(String),
    /// A login prompt.
    LoginPrompt,
    /// The passphrase prompt that the stage expects.
    UnlockPrompt,
    /// A line that says that a passphrase was wrong.
    PassphraseRefused,
    /// The target line that the stage claims.
    Target,
    /// A line that the gate forbids.
    Forbidden(String),
    /// A line that makes a rule certain: the rule, and where the steps before that line were seen.
    Rule(RuleFacts, Vec<EvidenceRef>),
}

/// How one SSH attempt ended, as far as the machine cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ProbeClass {
    /// Nobody answered as an SSH server: refused, reset, closed or silent before a banner.
    NoAnswer,
    /// Something answered that is not SSH.
    NotSsh,
    /// An SSH server answered, and the attempt broke later.
    Broken,
    /// The server turned the login down.
    AuthRejected,
    /// A full login.
    LoggedIn,
}

/// The logins that made SSH stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshStability {
    /// How many in a row.
    pub logins: u32,
    /// From the first to the last.
    pub window: Duration,
    /// True if the machine that answered gave the UUID that was given to it; a user other than root can't read it.
    pub uuid_proved: bool,
}

/// Something that must stay the same, and did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdentityFault {
    /// The host key changed within one boot.
    HostKeyChanged(String),
    /// The machine that answers is not the one that was started.
    WrongMachine(String),
    /// The installed system has the live system's host key.
    HostKeyCopied(String),
}

/// How a command ended in the guest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CommandExit {
    /// With an exit status.
    Status(i32),
    /// By a signal.
    Signal(String),
}
