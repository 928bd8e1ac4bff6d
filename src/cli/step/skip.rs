//! A stage that is skipped, because the one before it has not passed: red, with evidence, and nothing started.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::driver::{Outcome, record_json};
use crate::evidence::{Durability, EvidenceError, RunDir};
use crate::machine::{Cause, Class, Left, Part, Record, StageOutcome, StageReport, State, Verdict};
use crate::plan::Plan;
use crate::text::{Redactor, terminal_line};

const TEXT_CHARS_MAX: usize = 300;

/// Why a stage is skipped.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Skipped {
    cause: Cause,
    class: Class,
    detail: String,
    /// The stage that did not pass, for those that are skipped after this one.
    root: Value,
}

impl Skipped {
    /// There is no whole run of the stage before.
    pub(super) fn missing(before: &str, place: &Path, why: &str) -> Self {
        let facts = Cause::PredecessorMissing.facts();
        let detail = format!(
            "skipped: no run of stage `{before}` to go on with: {why}, see {}",
            place.display()
        );
        Self {
            cause: Cause::PredecessorMissing,
            class: facts.class,
            root: json!({
                "stage": before,
                "class": facts.class.as_str(),
                "cause": facts.id,
                "title": why,
                "see": place,
            }),
            detail,
        }
    }

    /// The stage before has not passed, or was skipped itself: `result` says why.
    pub(super) fn after(result: &Value, before: &str, place: &Path) -> Self {
        let verdict = &result["verdict"];
        let root = if result["skipped"].is_null() {
            json!({
                "stage": before,
                "class": verdict["class"],
                "cause": verdict["cause"],
                "title": verdict["title"],
                "see": place,
            })
        } else {
            result["skipped"].clone()
        };
        let word = |key: &str| terminal_line(root[key].as_str().unwrap_or("unknown"), TEXT_CHARS_MAX);
        let class = class_of(&word("class"));
        let ended = match class {
            Class::Cancelled => "was cancelled",
            Class::Infrastructure | Class::Untestable | Class::Internal => "came to no answer",
            Class::Passed | Class::Failed | Class::KnownFailure => "failed",
        };
        let (title, see) = (word("title"), word("see"));
        let detail = format!(
            "skipped: stage `{}` {ended}: {}: {} See {see}",
            word("stage"),
            word("cause"),
            title
        );
        Self {
            cause: Cause::PredecessorFailed,
            class,
            detail,
            root,
        }
    }

    /// What `result.json` says of it.
    pub(in crate::cli) fn to_json(&self) -> Value {
        self.root.clone()
    }

    /// What the run comes to, which never began; its trace says so.
    pub(in crate::cli) fn outcome(&self, plan: &Plan, part: &Part, run: &RunDir) -> Result<Outcome, EvidenceError> {
        let stage = part.only_stage().unwrap_or(0);
        let verdict = Verdict {
            class: self.class,
            ..Verdict::of(self.cause, self.detail.clone(), stage, State::Preparing)
        };
        let mut reports: Vec<_> = plan.stages.iter().map(|_| StageReport::default()).collect();
        reports[stage].outcome = StageOutcome::Skipped;
        let outcome = StageOutcome::Skipped;
        let records = [
            Record::StageEnded {
                stage,
                outcome,
                reached: None,
            },
            Record::Decided(Box::new(verdict.clone())),
        ];
        let mut trace = run.trace()?;
        for (seq, record) in (1_u64..).zip(&records) {
            let mut line = Map::new();
            line.insert("seq".to_owned(), seq.into());
            line.insert("t_us".to_owned(), 0.into());
            line.insert("wall".to_owned(), jiff::Timestamp::now().to_string().into());
            line.extend(record_json(plan, record, &Redactor::default()));
            trace.append(&line, Durability::Process)?;
        }
        Ok(Outcome {
            verdict,
            reports,
            host: None,
            started: Instant::now(),
            took: Duration::ZERO,
            consoles: Vec::new(),
            was_cut_short: false,
            part: part.clone(),
            left: Left::default(),
            trace_lost: 0,
            console_tail: Vec::new(),
        })
    }
}

/// The class of this name. A stage after one that has not passed is never green.
fn class_of(name: &str) -> Class {
    let classes = [
        Class::Failed,
        Class::KnownFailure,
        Class::Untestable,
        Class::Internal,
        Class::Cancelled,
    ];
    let found = classes.into_iter().find(|class| class.as_str() == name);
    found.unwrap_or(Class::Infrastructure)
}
