//! A run as lines for a terminal.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::machine::{EvidenceRef, Record};
use crate::plan::Plan;
use crate::text::terminal_line;
use crate::units::human_span;

/// How much of a guest's line is quoted, in characters.
pub(super) const QUOTE_CHARS_MAX: usize = 160;
/// How much of a sentence is shown, in characters.
const SENTENCE_CHARS_MAX: usize = 2 * QUOTE_CHARS_MAX;

/// The line for a record; `None` for a record that a person who watches need not see.
pub fn record_line(plan: &Plan, at: Duration, record: &Record) -> Option<String> {
    let clock = format!("{:>8.2}s", at.as_secs_f64());
    let text = match record {
        Record::Transition {
            from,
            to,
            event,
            confirmed_by,
            detail,
            evidence,
            ..
        } => {
            let mut text = format!("{} → {}  {event}", from.name(), to.name());
            if !detail.is_empty() {
                let _ = write!(text, ": {}", terminal_line(detail, QUOTE_CHARS_MAX));
            }
            if let Some(by) = confirmed_by {
                let _ = write!(text, " ✓ {}", terminal_line(by, QUOTE_CHARS_MAX));
            }
            if let Some(place) = evidence.as_ref().and_then(place) {
                let _ = write!(text, "  [{place}]");
            }
            text
        }
        Record::Note {
            what, detail, evidence, ..
        } => {
            let detail = terminal_line(detail, QUOTE_CHARS_MAX);
            let quote = evidence.as_ref().and_then(|evidence| evidence.quote.as_ref());
            let quote = quote.map(|quote| format!("  “{}”", terminal_line(quote, QUOTE_CHARS_MAX)));
            format!("  · {what} {detail}{}", quote.unwrap_or_default())
        }
        Record::DeadlineNear { kind, left, .. } => {
            format!("  ! deadline {} in {}", kind.name(), human_span(*left))
        }
        Record::StageBegan { stage } => format!("── stage {}", plan.stages[*stage].name),
        Record::StageEnded {
            stage,
            outcome,
            reached,
        } => {
            let reached = reached.map(|level| format!(", reached {level}")).unwrap_or_default();
            format!("── stage {} {}{reached}", plan.stages[*stage].name, outcome.as_str())
        }
        Record::Decided(_) => return None,
    };
    Some(format!("{clock}  {text}"))
}

pub(super) fn place(evidence: &EvidenceRef) -> Option<String> {
    if evidence.file.is_empty() {
        return None;
    }
    let file = sentence(&evidence.file);
    Some(match evidence.offset_bytes {
        Some(offset) => format!("{file}@{offset}"),
        None => file,
    })
}

/// True of a detail that says no more than which rule it was: that has a place of its own.
pub(super) fn names_only_the_rule(detail: &str, rule: Option<&str>) -> bool {
    rule.is_some_and(|rule| detail == format!("rule `{rule}` matched"))
}

pub(super) fn sentence(text: &str) -> String {
    terminal_line(text, SENTENCE_CHARS_MAX)
}

/// A hold, as it is told.
#[derive(Debug, Clone, Copy)]
pub struct Hold<'a> {
    /// The run's directory.
    pub run: &'a Path,
    /// When it is ended if nobody asks for more.
    pub expires: Timestamp,
    /// It outlives the terminal.
    pub background: bool,
}

/// What a person is told when the failed machine is held: that it is, until when, and the one command that attaches.
pub fn hold_block(hold: &Hold<'_>) -> String {
    let run = hold.run.display();
    let expires = hold.expires.strftime("%Y-%m-%d %H:%M:%S UTC");
    let (kept, ended) = if hold.background {
        ("in the background", format!("`bootgate inspect {run} quit` ends it"))
    } else {
        ("by this terminal", "Ctrl-C ends it".to_owned())
    };
    format!(
        "Held:     the machine stands paused at the failure, kept {kept} until {expires}; {ended}\n\
         Attach:   bootgate inspect {run}\n"
    )
}
