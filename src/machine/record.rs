//! What goes into the trace, and what is known of each stage at the end.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::machine::verdict::Verdict;
use crate::machine::{DeadlineKind, Finding, State};
use crate::plan::Evidence;
use crate::text::Untrusted;

/// How many findings of a stage are kept.
pub const FINDINGS_MAX: usize = 128;

/// Where a piece of evidence lies in the run directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EvidenceRef {
    /// The file, relative to the run directory.
    pub file: String,
    /// The byte offset in the recorded stream, where there is one: of the quotation's first byte if there is a quotation.
    pub offset_bytes: Option<u64>,
    /// The line or message itself, where it comes from the guest. Not written down: it lies where the offset says.
    #[serde(skip)]
    pub quote: Option<Untrusted>,
}

impl EvidenceRef {
    /// Evidence that is a whole file.
    pub fn file(name: &str) -> Self {
        Self {
            file: name.to_owned(),
            ..Self::default()
        }
    }
}

/// A record of the trace.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// The machine went from one state to another.
    Transition {
        /// The stage that the new state serves.
        stage: usize,
        /// The state before.
        from: State,
        /// The state after.
        to: State,
        /// The event that decided it.
        event: &'static str,
        /// The signal that confirmed it, where the event alone is not enough.
        confirmed_by: Option<String>,
        /// Particulars.
        detail: String,
        /// Where the evidence lies.
        evidence: Option<EvidenceRef>,
        /// The deadline that was closest, and how much of it was left.
        deadline_left: Option<(DeadlineKind, Duration)>,
    },
    /// Something worth knowing that changed no state.
    Note {
        /// The state.
        state: State,
        /// A short name.
        what: &'static str,
        /// Particulars.
        detail: String,
        /// Where the evidence lies.
        evidence: Option<EvidenceRef>,
    },
    /// A deadline is close.
    DeadlineNear {
        /// The state.
        state: State,
        /// Which.
        kind: DeadlineKind,
        /// How much is left.
        left: Duration,
    },
    /// A stage has begun.
    StageBegan {
        /// Which.
        stage: usize,
    },
    /// A stage has ended.
    StageEnded {
        /// Which.
        stage: usize,
        /// How.
        outcome: StageOutcome,
        /// The level of evidence that was reached.
        reached: Option<Evidence>,
    },
    /// The verdict is decided.
    Decided(Box<Verdict>),
}

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StageOutcome {
    /// Its claim is proved.
    Passed,
    /// Nothing failed, but it did not test what it is for.
    NotTested,
    /// Its claim is not proved.
    Failed,
    /// The run ended in it for a reason that says nothing about the image.
    Undecided,
    /// It was not reached.
    NotReached,
    /// It is a run of its own, and nothing was started, because the stage before it did not pass.
    Skipped,
}

impl StageOutcome {
    /// The outcome's name in results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::NotTested => "not-tested",
            Self::Failed => "failed",
            Self::Undecided => "undecided",
            Self::NotReached => "not-reached",
            Self::Skipped => "skipped",
        }
    }
}

/// What is known of a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct StageReport {
    /// How it ended.
    pub outcome: StageOutcome,
    /// The highest level of evidence that was reached in it.
    pub reached: Option<Evidence>,
    /// When it began.
    pub began: Option<Instant>,
    /// When it ended.
    pub ended: Option<Instant>,
    /// Why it did not test what it is for, as a sentence.
    pub not_tested: Option<String>,
    /// What is weaker than it should be, as sentences.
    pub remarks: Vec<String>,
    /// The rules that were certain in it, in order; each once, and not more than [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
}

impl Default for StageReport {
    fn default() -> Self {
        Self {
            outcome: StageOutcome::NotReached,
            reached: None,
            began: None,
            ended: None,
            not_tested: None,
            remarks: Vec::new(),
            findings: Vec::new(),
        }
    }
}
