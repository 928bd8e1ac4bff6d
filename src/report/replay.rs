//! What a replay came to, beside what its recording came to.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::trace::trace_table;
use crate::driver::{ReplayEnd, Replayed};
use crate::text::terminal_line;
use crate::units::human_span;

/// The widest text that is shown of a record, in characters.
const TEXT_CHARS_MAX: usize = 200;
/// What makes two transitions the same.
const TRANSITION_KEYS: [&str; 4] = ["stage", "from", "to", "event"];
/// And how far apart their times may be: a recorded deadline passes when its driver wakes, a replayed one at once.
const TRANSITION_APART_US_MAX: u64 = 100_000;
/// What makes two verdicts the same.
const VERDICT_KEYS: [&str; 4] = ["class", "cause", "stage", "state"];

/// A replay and the trace of its recording.
#[derive(Debug, Clone)]
pub struct ReplayReport {
    run: String,
    recorded: Vec<Value>,
    replayed: Replayed,
}

/// Where two traces part: the how manieth transition, from 1, and what each has there.
#[derive(Debug, Clone, PartialEq)]
struct Difference<'a> {
    number: usize,
    recorded: Option<&'a Value>,
    replayed: Option<&'a Value>,
}

impl ReplayReport {
    /// The report of a run with this id.
    pub fn new(run: &str, recorded: Vec<Value>, replayed: Replayed) -> Self {
        Self {
            run: run.to_owned(),
            recorded,
            replayed,
        }
    }

    /// True if the replay came to the recorded verdict, or neither came to one.
    pub fn is_same(&self) -> bool {
        let (recorded, replayed) = self.verdicts();
        match (recorded, replayed) {
            (Some(recorded), Some(replayed)) => same(recorded, replayed, &VERDICT_KEYS),
            (None, None) => true,
            _ => false,
        }
    }

    /// The recorded verdict and the replayed one, as their traces tell them.
    fn verdicts(&self) -> (Option<&Value>, Option<&Value>) {
        (first_verdict(&self.recorded), first_verdict(&self.replayed.records))
    }

    fn difference(&self) -> Option<Difference<'_>> {
        let mut recorded = transitions(&self.recorded);
        let mut replayed = transitions(&self.replayed.records);
        for number in 1.. {
            match (recorded.next(), replayed.next()) {
                (None, None) => return None,
                (Some(one), Some(other)) if same(one, other, &TRANSITION_KEYS) && are_close(one, other) => {}
                // Behind a verdict that both have, one may tell less.
                (_, None) if self.replayed.end == ReplayEnd::Decided => return None,
                (recorded, replayed) => {
                    return Some(Difference {
                        number,
                        recorded,
                        replayed,
                    });
                }
            }
        }
        None
    }

    /// For a person: the replayed trace, and what it comes to. With `notes` false, transitions and verdicts only.
    pub fn to_text(&self, notes: bool) -> String {
        let mut text = format!("replay of run {}\n", self.run);
        text.push_str(&trace_table(&self.replayed.records, notes));
        let (recorded, replayed) = self.verdicts();
        text.push('\n');
        if let ReplayEnd::RecordingEnds { why } = &self.replayed.end {
            let _ = writeln!(
                text,
                "The recording ends here: {}.",
                terminal_line(why, 4 * TEXT_CHARS_MAX)
            );
        }
        if self.is_same() {
            let _ = match replayed {
                Some(verdict) => writeln!(text, "The verdict is the recorded one: {}.", told(Some(verdict))),
                None => writeln!(text, "Neither the recorded run nor its replay came to a verdict."),
            };
        } else {
            let comes_to = if replayed.is_some() {
                "another verdict"
            } else {
                "no verdict"
            };
            let _ = writeln!(text, "The replay comes to {comes_to}.");
            let _ = writeln!(text, "  recorded: {}", told(recorded));
            let _ = writeln!(text, "  replayed: {}", told(replayed));
        }
        if let Some(difference) = self.difference() {
            let _ = writeln!(text, "The traces part at transition {}.", difference.number);
            let _ = writeln!(text, "  recorded: {}", shown(difference.recorded));
            let _ = writeln!(text, "  replayed: {}", shown(difference.replayed));
        }
        text
    }

    /// For a program. `end` is `finished`, `decided` or `recording-ends`.
    pub fn to_json(&self) -> Value {
        let (recorded, replayed) = self.verdicts();
        let (end, why) = match &self.replayed.end {
            ReplayEnd::Finished => ("finished", None),
            ReplayEnd::Decided => ("decided", None),
            ReplayEnd::RecordingEnds { why } => ("recording-ends", Some(why)),
        };
        let difference = self.difference().map(|difference| {
            json!({
                "transition": difference.number,
                "recorded": difference.recorded,
                "replayed": difference.replayed,
            })
        });
        json!({
            "run": self.run,
            "same_verdict": self.is_same(),
            "recorded": recorded,
            "replayed": replayed,
            "exit_code": self.replayed.verdict.as_ref().map(crate::machine::Verdict::exit_code),
            "end": end,
            "why": why,
            "played_ms": u64::try_from(self.replayed.played.as_millis()).unwrap_or(u64::MAX),
            "first_difference": difference,
            "trace": self.replayed.records,
        })
    }
}

fn transitions(records: &[Value]) -> impl Iterator<Item = &Value> {
    records.iter().filter(|record| record["kind"] == "transition")
}

fn first_verdict(records: &[Value]) -> Option<&Value> {
    records.iter().find(|record| record["kind"] == "verdict")
}

fn same(one: &Value, other: &Value, keys: &[&str]) -> bool {
    keys.iter().all(|key| one[*key] == other[*key])
}

fn are_close(one: &Value, other: &Value) -> bool {
    let t_us = |record: &Value| record["t_us"].as_u64().unwrap_or(0);
    t_us(one).abs_diff(t_us(other)) <= TRANSITION_APART_US_MAX
}

fn told(verdict: Option<&Value>) -> String {
    let Some(verdict) = verdict else {
        return "no verdict".to_owned();
    };
    let word = |key: &str| terminal_line(verdict[key].as_str().unwrap_or("?"), TEXT_CHARS_MAX);
    let (class, cause, state, stage) = (word("class"), word("cause"), word("state"), word("stage"));
    let after = std::time::Duration::from_micros(verdict["t_us"].as_u64().unwrap_or(0));
    format!(
        "{class}, {cause}, in {state} of stage {stage}, after {}",
        human_span(after)
    )
}

fn shown(transition: Option<&Value>) -> String {
    match transition {
        Some(transition) => trace_table(std::slice::from_ref(transition), false).trim().to_owned(),
        None => "no transition".to_owned(),
    }
}
