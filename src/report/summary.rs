//! `summary.md`: a run on one page, for the summary of a CI step and for a person who reads only that.

use std::fmt::Write as _;

use super::catalogue::explained_by;
use super::closing::Closing;
use super::github::Annotation;
use super::human::names_only_the_rule;
use crate::machine::{Class, EvidenceRef, StageReport, Verdict};
use crate::plan::{Evidence, StagePlan};
use crate::text::{markdown_code, markdown_fence, markdown_text, terminal_line};
use crate::units::human_span;

/// The largest summary, in bytes. The runner of GitHub Actions leaves out one above 1 MiB, and a step may add words of its own.
pub const SUMMARY_BYTES_MAX: usize = 512 * 1024;
/// How much of a line of the guest's is shown, in characters.
const QUOTE_CHARS_MAX: usize = 200;
/// How much of a sentence is shown, in characters.
const TEXT_CHARS_MAX: usize = 1200;
/// How many remarks are shown.
const REMARKS_MAX: usize = 40;
const CUT: &str = "\nMore does not fit on this page; all of it is in the run's directory.\n";

/// The page.
pub fn summary(closing: &Closing<'_>) -> String {
    let verdict = &closing.outcome.verdict;
    let mut page = Page::default();
    let mark = match verdict.class {
        Class::Passed => "✅",
        Class::KnownFailure | Class::Cancelled => "⚠️",
        _ => "❌",
    };
    page.add(&format!(
        "## {mark} gate {}: {}\n\n",
        markdown_code(&closing.plan.gate, QUOTE_CHARS_MAX),
        verdict.class.as_str()
    ));
    if verdict.class != Class::Passed {
        cause(&mut page, closing, verdict);
    }
    stages(&mut page, closing);
    remarks(&mut page, closing);
    if verdict.class != Class::Passed && !closing.outcome.console_tail.is_empty() {
        let tail = closing.outcome.console_tail.iter();
        let tail: Vec<_> = tail.map(|line| terminal_line(line, QUOTE_CHARS_MAX)).collect();
        page.add("\n<details><summary>The console's last lines</summary>\n\n");
        page.add(&markdown_fence(tail.join("\n")));
        page.add("\n</details>\n");
    }
    evidence_and_next(&mut page, closing);
    page.finish()
}

/// The page of a step that started nothing.
pub fn refused_summary(marks: &[Annotation]) -> String {
    let mut page = Page::default();
    page.add("## ❌ bootgate started nothing\n\n");
    for mark in marks {
        let place = mark.place.as_ref();
        let place =
            place.map(|(file, place)| format!("{}: ", code(&format!("{file}:{}:{}", place.line, place.column))));
        let told: Vec<_> = mark.message.iter().map(|line| text(line)).collect();
        page.add(&format!("- {}{}\n", place.unwrap_or_default(), told.join("; ")));
    }
    page.finish()
}

/// Blocks, as many as fit. A block is added whole or not at all, so no fence stays open.
#[derive(Default)]
struct Page {
    text: String,
    is_cut: bool,
}

impl Page {
    fn add(&mut self, block: &str) {
        self.is_cut |= self.text.len() + block.len() + CUT.len() > SUMMARY_BYTES_MAX;
        if !self.is_cut {
            self.text.push_str(block);
        }
    }

    fn finish(mut self) -> String {
        if self.is_cut {
            self.text.push_str(CUT);
        }
        self.text
    }
}

fn text(text: &str) -> String {
    markdown_text(text, TEXT_CHARS_MAX)
}

fn code(text: &str) -> String {
    markdown_code(text, TEXT_CHARS_MAX)
}

fn place(evidence: &EvidenceRef) -> String {
    let offset = evidence.offset_bytes;
    let offset = offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default();
    format!("{}{offset}", code(&evidence.file))
}

fn cause(page: &mut Page, closing: &Closing<'_>, verdict: &Verdict) {
    let mut lines = String::new();
    let mut line = |label: &str, value: String| {
        let _ = writeln!(lines, "- **{label}:** {value}");
    };
    line("Cause", format!("{}: {}", code(&verdict.cause), text(&verdict.title)));
    let rule = verdict.rule.as_ref().map(|rule| rule.id.as_str());
    if !verdict.detail.is_empty() && !names_only_the_rule(&verdict.detail, rule) {
        line("Detail", code(&verdict.detail));
    }
    if let Some(rule) = &verdict.rule {
        line("Why", text(&rule.root_cause));
    }
    let stage = &closing.plan.stages[verdict.stage].name;
    line(
        "Where",
        format!("stage {}, state {}", code(stage), verdict.state.name()),
    );
    for evidence in verdict.led_by.iter().chain(&verdict.evidence) {
        let quote = evidence
            .quote
            .as_ref()
            .map(|quote| markdown_code(quote, QUOTE_CHARS_MAX));
        let quote = quote.map(|quote| format!("{quote} in ")).unwrap_or_default();
        if !evidence.file.is_empty() {
            line("Evidence", format!("{quote}{}", place(evidence)));
        }
    }
    if !verdict.remedy.is_empty() {
        line("Mend", text(&verdict.remedy));
    }
    if let Some(rule) = &verdict.rule {
        let tracker = rule
            .tracker
            .as_ref()
            .map(|tracker| format!(", tracked at {}", code(tracker)));
        line("Rule", format!("{}{}", code(&rule.id), tracker.unwrap_or_default()));
        if verdict.class == Class::KnownFailure {
            let until = rule.expires.as_deref().unwrap_or("further notice");
            let may = if rule.publishable { "yes" } else { "no" };
            line("Publish", format!("{may}; the failure is known until {}", text(until)));
        }
    }
    line("Meaning", verdict.class.meaning().to_owned());
    page.add(&lines);
}

fn stages(page: &mut Page, closing: &Closing<'_>) {
    page.add("\n| stage | outcome | claims | reached | time |\n|---|---|---|---|---|\n");
    for (stage, report) in closing.plan.stages.iter().zip(&closing.outcome.reports) {
        page.add(&row(stage, report));
    }
    let total = human_span(closing.outcome.took);
    page.add(&format!(
        "| all | {} | | | {total} |\n",
        closing.outcome.verdict.class.as_str()
    ));
}

/// A stage's name is lower-case letters, digits and `-`: nothing in a cell is anybody's free text.
fn row(stage: &StagePlan, report: &StageReport) -> String {
    let reached = report.reached.map_or("nothing", Evidence::as_str);
    let took = report.began.zip(report.ended);
    let took = took.map(|(began, ended)| human_span(ended.duration_since(began)));
    format!(
        "| {} | {} | {} | {reached} | {} |\n",
        stage.name,
        report.outcome.as_str(),
        stage.claims.as_str(),
        took.unwrap_or_default()
    )
}

/// What is weaker than it should be: resets on the way up, logins that came and went, notes of rules.
fn remarks(page: &mut Page, closing: &Closing<'_>) {
    let mut lines = Vec::new();
    for (stage, report) in closing.plan.stages.iter().zip(&closing.outcome.reports) {
        let stage = code(&stage.name);
        lines.extend(
            report
                .remarks
                .iter()
                .map(|remark| format!("- {stage}: {}\n", code(remark))),
        );
        let notes = report.findings.iter().filter(|finding| finding.rule.is_note);
        lines.extend(notes.map(|note| format!("- {stage}: {}, {}\n", text(&note.rule.title), place(&note.evidence))));
    }
    if lines.is_empty() {
        return;
    }
    page.add("\n**Remarks**\n\n");
    let more = lines.len().saturating_sub(REMARKS_MAX);
    lines.iter().take(REMARKS_MAX).for_each(|line| page.add(line));
    if more > 0 {
        page.add(&format!("- and {more} more\n"));
    }
}

fn evidence_and_next(page: &mut Page, closing: &Closing<'_>) {
    let run = closing.run.display().to_string();
    let mut lines = format!("\n- **Evidence:** {}\n", code(&run));
    if let Some(bundle) = closing.bundle {
        let bundle = bundle.display().to_string();
        let _ = writeln!(lines, "- **Bundle:** {}", code(&bundle));
        let _ = writeln!(lines, "- **Next:** {}", code(&format!("bootgate reopen {bundle}")));
    } else {
        let _ = writeln!(lines, "- **Next:** {}", code(&format!("bootgate inspect {run}")));
    }
    let verdict = &closing.outcome.verdict;
    if let Some(command) = explained_by(verdict.class.as_str(), &verdict.cause) {
        let _ = writeln!(lines, "- **More of the cause:** {}", code(&command));
    }
    if let Some(host) = &closing.outcome.host {
        let _ = writeln!(
            lines,
            "- **Host:** {}, accelerator {}",
            code(&host.qemu_version),
            code(&host.accelerator)
        );
    }
    page.add(&lines);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_at_its_bound_and_says_so() {
        for block in [1, CUT.len(), 1000] {
            let mut page = Page::default();
            for _ in 0..=SUMMARY_BYTES_MAX / block {
                page.add(&"x".repeat(block));
            }
            let text = page.finish();
            assert!(text.ends_with(CUT) && text.len() <= SUMMARY_BYTES_MAX);
            assert!(text.len() + block > SUMMARY_BYTES_MAX, "{} bytes", text.len());
        }
    }
}
