//! A run as lines for a terminal.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::driver::Outcome;
use crate::machine::{Class, EvidenceRef, Record, StageOutcome, StageReport, Verdict};
use crate::plan::{Plan, StagePlan};
use crate::text::terminal_line;
use crate::units::human_span;

use super::image::image_lines;

/// How much of a guest's line is quoted, in characters.
const QUOTE_CHARS_MAX: usize = 160;
/// How much of a sentence is shown, in characters.
const SENTENCE_CHARS_MAX: usize = 2 * QUOTE_CHARS_MAX;
/// How much of what a rule says is shown, in characters.
const PARAGRAPH_CHARS_MAX: usize = 1200;

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

fn place(evidence: &EvidenceRef) -> Option<String> {
    if evidence.file.is_empty() {
        return None;
    }
    let file = sentence(&evidence.file);
    Some(match evidence.offset_bytes {
        Some(offset) => format!("{file}@{offset}"),
        None => file,
    })
}

fn sentence(text: &str) -> String {
    terminal_line(text, SENTENCE_CHARS_MAX)
}

fn paragraph(text: &str) -> String {
    terminal_line(text, PARAGRAPH_CHARS_MAX)
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

/// The last words of a run: verdict, cause, where the evidence lies, what to type next.
pub fn verdict_block(plan: &Plan, outcome: &Outcome, run: &Path) -> String {
    let verdict = &outcome.verdict;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "\nVerdict: {} ({})",
        verdict.class.as_str(),
        human_span(outcome.took)
    );
    if verdict.class != Class::Passed {
        cause(&mut text, plan, verdict);
    } else if !verdict.detail.is_empty() {
        // Each stage says below what it did not test.
        let _ = writeln!(text, "{:<8} {}", "But:", sentence(&verdict.title));
    }
    for (stage, report) in outcome.stages(plan) {
        stage_lines(&mut text, stage, report);
    }
    image_lines(&mut text, plan, outcome);
    let _ = writeln!(text, "Evidence: {}", run.display());
    let _ = writeln!(text, "Next:     bootgate trace {}", run.display());
    text
}

/// Cause, root cause, place and remedy.
fn cause(text: &mut String, plan: &Plan, verdict: &Verdict) {
    let mut line = |label: &str, value: String| {
        let _ = writeln!(text, "{label:<8} {value}");
    };
    line(
        "Cause:",
        format!("{}: {}", sentence(&verdict.cause), sentence(&verdict.title)),
    );
    if !verdict.detail.is_empty() {
        line("", sentence(&verdict.detail));
    }
    if let Some(rule) = &verdict.rule {
        line("Why:", paragraph(&rule.root_cause));
    }
    let stage = &plan.stages[verdict.stage].name;
    line("Where:", format!("stage {stage}, state {}", verdict.state.name()));
    for evidence in verdict.led_by.iter().chain(&verdict.evidence) {
        if let Some(quote) = &evidence.quote {
            line("", format!("“{}”", terminal_line(quote, QUOTE_CHARS_MAX)));
        }
        if let Some(place) = place(evidence) {
            line("", place);
        }
    }
    if !verdict.remedy.is_empty() {
        line("Mend:", paragraph(&verdict.remedy));
    }
    if let Some(rule) = &verdict.rule {
        let tracker = rule
            .tracker
            .as_ref()
            .map(|tracker| format!("; tracked at {}", sentence(tracker)));
        line(
            "Rule:",
            format!("{}{}", sentence(&rule.id), tracker.unwrap_or_default()),
        );
        if verdict.class == Class::KnownFailure {
            let until = rule.expires.as_deref().unwrap_or("further notice");
            let may = if rule.publishable {
                format!("yes: the image may be published in spite of this failure, until {until}")
            } else {
                format!("no: the image must not be published; the failure is known until {until}")
            };
            line("Publish:", may);
        }
    }
    if verdict.class != Class::Cancelled {
        line("", verdict.class.meaning().to_owned());
    }
}

fn stage_lines(text: &mut String, stage: &StagePlan, report: &StageReport) {
    let reached = report.reached.map_or("nothing", crate::plan::Evidence::as_str);
    let took = report
        .began
        .zip(report.ended)
        .map(|(began, ended)| human_span(ended.duration_since(began)));
    let mark = match report.outcome {
        StageOutcome::Passed => "✓",
        StageOutcome::NotTested => "○",
        StageOutcome::Failed => "✗",
        StageOutcome::Undecided => "?",
        StageOutcome::NotReached | StageOutcome::Skipped => "-",
    };
    let line = format!(
        "  {mark} {:<20} claims {:<16} reached {reached:<16} {}",
        stage.name,
        stage.claims.as_str(),
        took.unwrap_or_default()
    );
    let _ = writeln!(text, "{}", line.trim_end());
    if let Some(reason) = &report.not_tested {
        let _ = writeln!(text, "      not tested: {}", sentence(reason));
    }
    for remark in &report.remarks {
        let _ = writeln!(text, "      note: {}", sentence(remark));
    }
    for finding in report.findings.iter().filter(|finding| finding.rule.is_note) {
        let place = place(&finding.evidence).map(|place| format!(" [{place}]"));
        let title = sentence(&finding.rule.title);
        let _ = writeln!(text, "      note: {title}{}", place.unwrap_or_default());
    }
}
