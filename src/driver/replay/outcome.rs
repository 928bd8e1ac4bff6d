//! What a replay is asked for, and what it comes to.

use std::time::Duration;

use serde_json::Value;

use std::sync::Arc;

use crate::machine::Verdict;
use crate::triage::Rules;

/// What is changed for a replay.
#[derive(Debug, Clone)]
pub struct ReplayOptions {
    /// The rules in place of the built-in ones.
    pub rules: Option<Arc<Rules>>,
    /// Factor on guest-facing deadlines on top of the recorded run's own, in percent.
    pub deadline_scale_percent: u32,
}

/// How far a replay came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayEnd {
    /// To the end of the run.
    Finished,
    /// To its verdict; what the machine did after it, the recorded run did not, and nothing of it can change the verdict.
    Decided,
    /// To where the recording ends, without a verdict.
    RecordingEnds {
        /// Why it ends there: a sentence without an end.
        why: String,
    },
}

/// What a replay came to.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The trace, in the form of `trace.jsonl` without wall-clock times.
    pub records: Vec<Value>,
    /// The verdict, if it was decided.
    pub verdict: Option<Verdict>,
    /// How far it came.
    pub end: ReplayEnd,
    /// How much of the run was played.
    pub played: Duration,
}
