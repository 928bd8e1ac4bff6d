//! The states, and which superstate each belongs to.

/// A leaf state of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Preflight, disks, firmware, accelerator, spawn, QMP negotiated; the guest has not run yet.
    Preparing,
    /// A machine that another run has left was let go; it is not proved yet that its guest answers.
    Resuming,
    /// The image boots; neither the marker nor a stable SSH was seen.
    Booting,
    /// The marker was seen; SSH is not stable yet.
    MarkerSeen,
    /// Full logins have succeeded in a row. A checkpoint can be taken here.
    SshStable,
    /// The stage's command runs in the guest.
    Installing,
    /// The command has ended and its outcome is classified.
    Triaged,
    /// The stage has passed, and its guest is stopped, so that the next stage goes on with it in another run.
    Pausing,
    /// The machine, or its disks, are saved for the next stage.
    Checkpointing,
    /// The guest was asked to power down, so that its disks are clean for the next machine.
    PoweringDown,
    /// QEMU is being ended.
    Exiting,
    /// QEMU has exited; the locks on its images must be free before another machine opens them.
    Releasing,
    /// The installed disk boots; its kernel was not seen yet, or its passphrase was not asked for yet.
    BootingDisk,
    /// The passphrase was asked for and answered; it is not proved yet that it was accepted.
    Unlocking,
    /// The installed kernel runs; the claimed target is awaited.
    Verifying,
    /// The verdict is decided; the guest is being stopped where it is.
    Stopping,
    /// The guest stands still; its last state is saved as evidence.
    Capturing,
    /// The guest's memory and disks are saved, so that the machine can be opened again elsewhere.
    Saving,
    /// The failed machine is kept paused for a person.
    Held,
    /// The failed machine is being ended.
    Discarding,
    /// The verdict is final and nothing runs any more.
    Finished,
}

/// A superstate: what its states have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Superstate {
    /// Every state: cancel, QEMU's end, QMP lost.
    Run,
    /// A guest runs: its shutdown, reset, panic, I/O error and the fatal console rules.
    Live,
    /// The machine of one stage makes way for the next.
    Handover,
    /// The installed disk runs.
    InstalledBoot,
    /// The verdict is a failure; what is left is evidence.
    Failing,
}

impl State {
    /// Every state, in the order of a run.
    pub const ALL: [Self; 21] = [
        Self::Preparing,
        Self::Resuming,
        Self::Booting,
        Self::MarkerSeen,
        Self::SshStable,
        Self::Installing,
        Self::Triaged,
        Self::Pausing,
        Self::Checkpointing,
        Self::PoweringDown,
        Self::Exiting,
        Self::Releasing,
        Self::BootingDisk,
        Self::Unlocking,
        Self::Verifying,
        Self::Stopping,
        Self::Capturing,
        Self::Saving,
        Self::Held,
        Self::Discarding,
        Self::Finished,
    ];

    /// The state's name in traces, diagrams and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Preparing => "Preparing",
            Self::Resuming => "Resuming",
            Self::Booting => "Booting",
            Self::MarkerSeen => "MarkerSeen",
            Self::SshStable => "SshStable",
            Self::Installing => "Installing",
            Self::Triaged => "Triaged",
            Self::Pausing => "Pausing",
            Self::Checkpointing => "Checkpointing",
            Self::PoweringDown => "PoweringDown",
            Self::Exiting => "Exiting",
            Self::Releasing => "Releasing",
            Self::BootingDisk => "BootingDisk",
            Self::Unlocking => "Unlocking",
            Self::Verifying => "Verifying",
            Self::Stopping => "Stopping",
            Self::Capturing => "Capturing",
            Self::Saving => "Saving",
            Self::Held => "Held",
            Self::Discarding => "Discarding",
            Self::Finished => "Finished",
        }
    }

    /// The innermost superstate.
    pub fn parent(self) -> Superstate {
        match self {
            Self::Preparing | Self::Finished => Superstate::Run,
            Self::Resuming | Self::Booting | Self::MarkerSeen | Self::SshStable | Self::Installing | Self::Triaged => {
                Superstate::Live
            }
            Self::Pausing | Self::Checkpointing | Self::PoweringDown | Self::Exiting | Self::Releasing => {
                Superstate::Handover
            }
            Self::BootingDisk | Self::Unlocking | Self::Verifying => Superstate::InstalledBoot,
            Self::Stopping | Self::Capturing | Self::Saving | Self::Held | Self::Discarding => Superstate::Failing,
        }
    }
}

impl Superstate {
    /// The superstate's name in diagrams.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "Run",
            Self::Live => "Live",
            Self::Handover => "Handover",
            Self::InstalledBoot => "InstalledBoot",
            Self::Failing => "Failing",
        }
    }

    /// The superstate around this one. `InstalledBoot` lies within `Live`: an installed guest panics, resets and
    /// powers off as a live one does, and the same answers apply.
    pub fn parent(self) -> Option<Self> {
        match self {
            Self::Run => None,
            Self::InstalledBoot => Some(Self::Live),
            Self::Live | Self::Handover | Self::Failing => Some(Self::Run),
        }
    }
}
