//! Deadlines as data: which are armed, which one is next. The machine arms them; the driver only waits.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Every kind of deadline. Each belongs to the state, or to the stage, that arms it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DeadlineKind {
    /// The machine of a stage must be spawned and negotiated.
    Prepare,
    /// The stage's own timeout, from its first state to its last.
    Stage,
    /// QEMU must answer a `query-status` that a transition waits for.
    Confirm,
    /// The image must let us in, where it starts no SSH server by itself.
    Access,
    /// Something must answer as an SSH server after the marker.
    SshAppear,
    /// SSH must be stable after the first answer.
    SshStable,
    /// The command must print something.
    NoProgress,
    /// The command must end when it is told to.
    EndCommand,
    /// The guest must power down after the power button.
    PowerDown,
    /// QEMU must exit.
    Exit,
    /// The image locks must be free.
    Release,
    /// The passphrase must be accepted.
    Unlock,
    /// The target must follow a login prompt.
    LoginSettle,
    /// The process must end after QMP was lost.
    QmpGone,
    /// BLOCK_IO_ERROR must say why the guest stopped: QEMU 10 may send it a second after the STOP that it caused.
    IoCause,
    /// The guest may still say what follows its fatal line.
    LastWords,
    /// The guest must stand still.
    Stop,
    /// The evidence must be saved.
    Capture,
    /// The guest's memory and disks must be saved.
    Save,
    /// More of the guest's memory must have been saved.
    SaveProgress,
    /// The guest must hand out its journal before it is stopped.
    Journal,
    /// A person may look at the paused machine.
    Hold,
    /// The failed machine must be gone.
    Discard,
}

impl DeadlineKind {
    /// Every kind.
    pub const ALL: [Self; 23] = [
        Self::Prepare,
        Self::Stage,
        Self::Confirm,
        Self::Access,
        Self::SshAppear,
        Self::SshStable,
        Self::NoProgress,
        Self::EndCommand,
        Self::PowerDown,
        Self::Exit,
        Self::Release,
        Self::Unlock,
        Self::LoginSettle,
        Self::QmpGone,
        Self::IoCause,
        Self::LastWords,
        Self::Stop,
        Self::Capture,
        Self::Save,
        Self::SaveProgress,
        Self::Journal,
        Self::Hold,
        Self::Discard,
    ];

    /// The name in traces and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Stage => "stage",
            Self::Confirm => "confirm",
            Self::Access => "access",
            Self::SshAppear => "ssh-appear",
            Self::SshStable => "ssh-stable",
            Self::NoProgress => "no-progress",
            Self::EndCommand => "end-command",
            Self::PowerDown => "power-down",
            Self::Exit => "exit",
            Self::Release => "release",
            Self::Unlock => "unlock",
            Self::LoginSettle => "login-settle",
            Self::QmpGone => "qmp-gone",
            Self::IoCause => "io-cause",
            Self::LastWords => "last-words",
            Self::Stop => "stop",
            Self::Capture => "capture",
            Self::Save => "save",
            Self::SaveProgress => "save-progress",
            Self::Journal => "journal",
            Self::Hold => "hold",
            Self::Discard => "discard",
        }
    }

    /// Where the limit comes from, for the table of deadlines.
    pub fn source(self) -> &'static str {
        match self {
            Self::Stage => "stage.timeout",
            Self::Access => "ssh.open-by.serial-login.within",
            Self::SshAppear => "ssh.appear-within",
            Self::SshStable => "ssh.stable-within",
            Self::NoProgress => "stage.no-progress",
            Self::LoginSettle => "stage.login-settle",
            _ => "fixed",
        }
    }

    /// True if the guest's speed decides, so that the limit is scaled by accelerator and a host stall extends it.
    pub fn faces_guest(self) -> bool {
        matches!(
            self,
            Self::Stage
                | Self::Access
                | Self::SshAppear
                | Self::SshStable
                | Self::NoProgress
                | Self::EndCommand
                | Self::PowerDown
                | Self::Unlock
                | Self::LoginSettle
        )
    }

    /// False if it passes in a run as it should be, so that nobody needs a warning.
    pub fn warns(self) -> bool {
        !matches!(self, Self::LastWords | Self::Journal)
    }

    /// The limit of a kind that no gate file sets, before scaling.
    pub fn fixed_limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Prepare | Self::Save => 120,
            Self::Confirm | Self::Release | Self::Capture | Self::SaveProgress | Self::Exit | Self::Discard => 10,
            Self::EndCommand | Self::PowerDown | Self::Unlock => 30,
            Self::QmpGone | Self::IoCause => 2,
            Self::LastWords => 1,
            Self::Stop | Self::Journal => 3,
            Self::Hold
            | Self::Stage
            | Self::Access
            | Self::SshAppear
            | Self::SshStable
            | Self::NoProgress
            | Self::LoginSettle => 0,
        })
    }

    /// True if the deadline lives as long as the stage, not only as long as the state that armed it.
    pub fn spans_states(self) -> bool {
        matches!(self, Self::Stage | Self::QmpGone)
    }
}

/// A deadline that is armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Armed {
    /// Its kind.
    pub kind: DeadlineKind,
    /// When it was armed.
    pub since: Instant,
    /// When to warn, unless that was done.
    pub warn_at: Option<Instant>,
    /// When it passes.
    pub at: Instant,
}

/// The armed deadlines: at most one of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deadlines(Vec<Armed>);

impl Deadlines {
    /// Arms a deadline, or moves it if it is armed already. It warns after `warn_after`.
    pub fn arm(&mut self, kind: DeadlineKind, now: Instant, limit: Duration, warn_after: Duration) {
        self.disarm(kind);
        let warn_at = (warn_after < limit).then_some(now + warn_after);
        self.0.push(Armed {
            kind,
            since: now,
            warn_at,
            at: now + limit,
        });
    }

    /// Disarms a deadline.
    pub fn disarm(&mut self, kind: DeadlineKind) {
        self.0.retain(|armed| armed.kind != kind);
    }

    /// Disarms what belongs to the state that is left.
    pub fn leave_state(&mut self) {
        self.0.retain(|armed| armed.kind.spans_states());
    }

    /// True if a deadline of this kind is armed.
    pub fn is_armed(&self, kind: DeadlineKind) -> bool {
        self.0.iter().any(|armed| armed.kind == kind)
    }

    /// The armed deadlines.
    pub fn iter(&self) -> impl Iterator<Item = &Armed> {
        self.0.iter()
    }

    /// When the machine must be looked at again: the next warning or deadline.
    pub fn next_at(&self) -> Option<Instant> {
        self.0.iter().map(|armed| armed.warn_at.unwrap_or(armed.at)).min()
    }

    /// The deadline that passes first, and how much of it is left.
    pub fn closest(&self, now: Instant) -> Option<(DeadlineKind, Duration)> {
        let armed = self.0.iter().min_by_key(|armed| armed.at)?;
        Some((armed.kind, armed.at.saturating_duration_since(now)))
    }

    /// How much of one deadline is left.
    pub fn left(&self, kind: DeadlineKind, now: Instant) -> Option<Duration> {
        let armed = self.0.iter().find(|armed| armed.kind == kind)?;
        Some(armed.at.saturating_duration_since(now))
    }

    /// The first deadline that has passed.
    pub fn passed(&self, now: Instant) -> Option<DeadlineKind> {
        let passed = self.0.iter().filter(|armed| armed.at <= now);
        passed.min_by_key(|armed| armed.at).map(|armed| armed.kind)
    }

    /// The first warning that is due.
    pub fn warning(&self, now: Instant) -> Option<DeadlineKind> {
        let due = self.0.iter().filter(|armed| armed.warn_at.is_some_and(|at| at <= now));
        due.min_by_key(|armed| armed.warn_at).map(|armed| armed.kind)
    }

    /// Takes note that a warning was given.
    pub fn warned(&mut self, kind: DeadlineKind) {
        for armed in self.0.iter_mut().filter(|armed| armed.kind == kind) {
            armed.warn_at = None;
        }
    }

    /// Gives back the time that the host took away: guest-facing deadlines move by `gap`.
    pub fn extend_guest_facing(&mut self, gap: Duration) {
        for armed in self.0.iter_mut().filter(|a| a.kind.faces_guest()) {
            armed.at += gap;
            armed.warn_at = armed.warn_at.map(|at| at + gap);
        }
    }
}
