//! What the machine asks the driver to do. An effect is a request; its outcome comes back as an event.

use crate::machine::record::Record;
use crate::plan::{StageKind, StagePlan};

/// A request to the driver.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Bring up the machine of a stage: answers `Prepared` or `PreparationFailed`.
    Prepare {
        /// The stage.
        stage: usize,
        /// What it boots.
        boot: BootFrom,
    },
    /// Let the guest run (QMP `cont`).
    Continue,
    /// Ask what the guest does (QMP `query-status`): answers `StatusObserved`.
    QueryStatus,
    /// Try logins until told to stop: answers `SshProbed`, `SshBecameStable`, `SshIdentityFault`.
    WatchSsh {
        /// The stage whose login is used.
        stage: usize,
    },
    /// Try a login now: something says that it may succeed.
    ProbeSshNow,
    /// Stop trying logins.
    UnwatchSsh,
    /// Have the image let us in, as the gate's `open-by` says: answers `AccessOpened` or `AccessRefused`.
    OpenAccess {
        /// The stage.
        stage: usize,
    },
    /// Stop trying to be let in.
    AbandonAccess,
    /// Ask the installed system over SSH whether it has reached its target: answers `TargetChecked`.
    CheckTarget {
        /// The stage.
        stage: usize,
    },
    /// Run the command of a stage in the guest: answers `CommandStarted` … `CommandEnded`.
    RunCommand {
        /// The stage.
        stage: usize,
    },
    /// End the command of a stage and its process group: answers `CommandEnded`.
    EndCommand {
        /// The stage.
        stage: usize,
    },
    /// Stop following the command.
    AbandonCommand,
    /// Send the answer to the passphrase prompt of a stage over the console.
    AnswerPrompt {
        /// The stage.
        stage: usize,
    },
    /// Type the answer to the passphrase prompt of a stage on the machine's keyboard: answers `AnswerTyped` or
    /// `AnswerNotTypable`.
    TypeAnswer {
        /// The stage.
        stage: usize,
    },
    /// Press the power button (QMP `system_powerdown`): answers `GuestShutDown`.
    PowerDown,
    /// End QEMU: answers `QemuEnded`.
    EndQemu(EndMode),
    /// Check that the locks on the images are free: answers `ImagesReleased` or `ImageLocked`.
    CheckRelease,
    /// Stop the guest where it is (QMP `stop`, then `query-status`): answers `StatusObserved`.
    StopGuest,
    /// Save the guest's last state: answers `Captured`.
    Capture,
    /// Ask the guest, which still runs, for its journal: answers `JournalCollected`.
    CollectJournal,
    /// Save memory, devices and disks of the stopped guest: answers `CheckpointProgressed` … `CheckpointSaved` or
    /// `CheckpointFailed`.
    SaveCheckpoint,
    /// Describe disks and firmware of a machine that has ended, so that another can go on with them: answers
    /// `CheckpointProgressed` … `CheckpointSaved` or `CheckpointFailed`.
    SaveDisks,
    /// Stop saving; what was written keeps a name that says that it is not whole.
    AbandonCheckpoint,
    /// Let a person in: the machine is held.
    OpenHold,
    /// Append to the trace.
    Record(Record),
}

/// What a machine boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BootFrom {
    /// The image under test.
    Image,
    /// The target disk, with the image detached.
    TargetDisk,
    /// Nothing: it goes on where another run has saved it.
    Checkpoint,
}

impl BootFrom {
    /// What the machine of a stage boots.
    pub fn of(stage: &StagePlan) -> Self {
        match stage.kind {
            StageKind::InstalledBoot { .. } => Self::TargetDisk,
            StageKind::Boot | StageKind::Command { .. } => Self::Image,
        }
    }
}

/// How QEMU is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndMode {
    /// QMP `quit`, then SIGTERM, then SIGKILL, each with its deadline.
    Ladder,
    /// The same with deadlines so short that a cancelled run keeps its promise.
    Quick,
    /// SIGKILL at once.
    Kill,
}
