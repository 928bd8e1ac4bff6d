//! What reached the driver, in the form in which it is recorded and replayed.
//!
//! What a gate or a rule reads is kept raw, or as the place where it lies: the bytes of a console, the output of a command,
//! QMP's events, the outcome of each login. So a replay under another gate or another rule reads it anew. The rest is kept
//! as the machine's own event.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::search::Hit;
use crate::machine::{Effect, Event, Part};
use crate::serial::marker::Match;
use crate::serial::prompt::OpenLine;
use crate::ssh::{self, BootId, HostKey, ProbeOutcome};

/// The version of the recording's form.
pub(super) const FORM: u32 = 1;

/// A line of `inputs.jsonl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Line {
    /// When it happened, in µs since the run began.
    pub(super) t_us: u64,
    #[serde(flatten)]
    pub(super) entry: Entry,
}

/// What a line tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Entry {
    /// The first line.
    Began {
        form: u32,
        bootgate: String,
        hold_ms: u64,
        /// What was to become of a failed machine, if somebody other than the gate file decided it.
        #[serde(default)]
        on_failure: Option<String>,
        /// The day on which rules were valid or expired.
        #[serde(default)]
        today: Option<String>,
        /// Which part of the gate it was.
        #[serde(default, skip_serializing_if = "is_whole")]
        part: Part,
    },
    /// A console's bytes came; they lie in its log.
    Bytes { file: String, offset: u64, length: u64 },
    /// A console has ended.
    Closed { file: String },
    /// Something was taken and handed to the machine.
    Fact(Fact),
    /// What the machine asked for upon the fact before it.
    Asked { effect: String },
}

fn is_whole(part: &Part) -> bool {
    *part == Part::Whole
}

/// Something that the driver takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub(super) enum Fact {
    /// The machine of a stage is there.
    Prepared {
        accelerator: String,
        why: String,
        scale_percent: u32,
        /// The file of its console.
        serial: String,
    },
    /// An event that is the machine's own.
    Event { event: Event },
    /// QEMU said that something happened.
    Qmp { name: String, data: Value },
    /// QEMU broke its protocol, or events were lost.
    QmpNote { detail: String },
    /// A target was found on a console; a replay finds it again.
    Match {
        file: String,
        id: String,
        /// Offset of the first character that matched.
        offset: u64,
        #[serde(skip)]
        found: Option<Match>,
    },
    /// The stage's command printed something, which lies in its log.
    Output {
        file: String,
        offset: u64,
        length: u64,
        #[serde(skip)]
        hits: Vec<Hit>,
    },
    /// The output has ended.
    OutputEnded {
        #[serde(skip)]
        hits: Vec<Hit>,
    },
    /// QEMU has ended by itself; what it said on its standard error.
    QemuSaid { text: String },
    /// An attempt to log in has ended.
    Probe(ProbeFact),
    /// A question stands on the console.
    Look {
        /// The log of what it stands on, if that is not the serial console.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        silent_us: u64,
        console_bytes: u64,
        block_operations: u64,
        busy_us: u64,
        #[serde(skip)]
        line: Option<OpenLine>,
    },
    /// Worth a note in the trace.
    Note { what: String, detail: String },
    /// The deadline, or the warning, that was due at this time.
    Deadline { due_us: u64 },
}

/// What an attempt to log in came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ProbeFact {
    /// Its class, by its name.
    class: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) boot_id: Option<Uuid>,
    /// Algorithm and fingerprint of the server's host key.
    #[serde(skip_serializing_if = "Option::is_none")]
    host_key: Option<(String, String)>,
    /// The machine that answered gave the UUID that was given to it.
    pub(super) uuid_proved: bool,
}

impl ProbeFact {
    pub(super) fn of(outcome: &ProbeOutcome) -> Self {
        let facts = match outcome {
            ProbeOutcome::LoggedIn(facts) => Some(facts),
            _ => None,
        };
        let key = |key: &HostKey| (key.algorithm.clone(), key.fingerprint.clone());
        Self {
            class: outcome.class().to_string(),
            boot_id: facts.map(|facts| facts.boot_id.0),
            host_key: facts.map(|facts| key(&facts.host_key)),
            uuid_proved: facts.is_some_and(|facts| facts.uuid.is_some()),
        }
    }

    /// The class. Of a word that this build does not know, that nobody answered.
    pub(super) fn class(&self) -> ssh::ProbeClass {
        let known = ssh::ProbeClass::ALL
            .into_iter()
            .find(|class| class.as_str() == self.class);
        known.unwrap_or(ssh::ProbeClass::Unreachable)
    }

    pub(super) fn summary(&self) -> ssh::ProbeSummary {
        ssh::ProbeSummary {
            class: self.class(),
            boot_id: self.boot_id.map(BootId),
        }
    }

    pub(super) fn host_key(&self) -> Option<HostKey> {
        let (algorithm, fingerprint) = self.host_key.clone()?;
        Some(HostKey { algorithm, fingerprint })
    }
}

/// What an effect means to a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// Nothing: what follows from it is told by other effects.
    Nothing,
    /// The guest's status, which a replay may know.
    Status,
    /// Something that changes what happens from here on.
    Act,
}

/// What an effect asks for, in words that a recording keeps, and what that means to a replay.
pub(super) fn asks(effect: &Effect) -> (String, Asks) {
    let (word, asks) = match effect {
        Effect::Record(_) => ("record", Asks::Nothing),
        Effect::ProbeSshNow => ("probe-ssh-now", Asks::Nothing),
        Effect::UnwatchSsh => ("unwatch-ssh", Asks::Nothing),
        // It changes nothing in the guest; a recording that was not asked has no answer.
        Effect::CheckTarget { .. } => ("check-target", Asks::Nothing),
        Effect::AbandonAccess => ("abandon-access", Asks::Nothing),
        Effect::AbandonCheckpoint => ("abandon-checkpoint", Asks::Nothing),
        Effect::CollectJournal => ("collect-journal", Asks::Act),
        Effect::SaveCheckpoint => ("save-checkpoint", Asks::Act),
        Effect::SaveDisks => ("save-disks", Asks::Act),
        Effect::OpenHold => ("open-hold", Asks::Act),
        Effect::AbandonCommand => ("abandon-command", Asks::Nothing),
        Effect::QueryStatus => ("query-status", Asks::Status),
        Effect::Continue => ("continue", Asks::Act),
        Effect::PowerDown => ("power-down", Asks::Act),
        Effect::StopGuest => ("stop-guest", Asks::Act),
        Effect::Capture => ("capture", Asks::Act),
        Effect::CheckRelease => ("check-release", Asks::Act),
        Effect::EndQemu(_) => ("end-qemu", Asks::Act),
        Effect::Prepare { stage, .. } => return (format!("prepare stage {stage}"), Asks::Act),
        Effect::WatchSsh { stage } => return (format!("watch-ssh of stage {stage}"), Asks::Act),
        Effect::OpenAccess { stage } => return (format!("open-access of stage {stage}"), Asks::Act),
        Effect::RunCommand { stage } => return (format!("run-command of stage {stage}"), Asks::Act),
        Effect::EndCommand { stage } => return (format!("end-command of stage {stage}"), Asks::Act),
        Effect::TypeAnswer { stage } => return (format!("type-answer of stage {stage}"), Asks::Act),
        Effect::AnswerPrompt { stage } => return (format!("answer-prompt of stage {stage}"), Asks::Act),
    };
    (word.to_owned(), asks)
}

/// Microseconds, as recordings count them.
pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
