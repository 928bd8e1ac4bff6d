//! `junit.xml`: one test case a stage, for whatever shows test results.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::driver::Outcome;
use crate::machine::{Class, StageOutcome, Verdict};
use crate::plan::Plan;
use crate::text::{terminal_line, xml_text};

/// The most characters of a message.
const MESSAGE_CHARS_MAX: usize = 1000;
/// The most bytes of one text between tags.
const TEXT_BYTES_MAX: usize = 32 * 1024;
/// The most characters of a line of the console.
const LINE_CHARS_MAX: usize = 500;
/// The most files that one test case leads to.
const ATTACHMENTS_MAX: usize = 12;

/// The files of a run, as a viewer of test results finds them.
#[derive(Debug, Clone, Copy)]
pub struct JunitFiles<'a> {
    /// The run's directory as it is told to people.
    pub evidence: &'a str,
    /// What stands before a file's name: GitLab looks for files below the project, Jenkins wants absolute paths.
    pub prefix: &'a str,
    /// Their names in the run.
    pub names: &'a [String],
}

/// The run as a JUnit report.
pub fn junit(plan: &Plan, outcome: &Outcome, files: &JunitFiles<'_>) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("bootgate");
    report.set_time(outcome.took);
    let mut suite = TestSuite::new(xml_text(&plan.gate));
    suite.set_time(outcome.took);
    let part = outcome.part.stages(plan);
    for (index, (stage, stage_report)) in part.zip(outcome.stages(plan)) {
        let decided_here = outcome.verdict.class != Class::Passed && outcome.verdict.stage == index;
        let status = match &stage_report.not_tested {
            Some(reason) if !decided_here => skipped(&format!("not tested: {reason}")),
            None if stage_report.outcome == StageOutcome::Skipped => skipped(&outcome.verdict.detail),
            _ => status(outcome, stage_report.outcome, decided_here),
        };
        let mut case = TestCase::new(xml_text(&stage.name), status);
        case.set_classname(xml_text(format!("bootgate.{}", plan.gate)));
        let took = stage_report.began.zip(stage_report.ended);
        case.set_time(took.map_or(Duration::ZERO, |(began, ended)| ended.duration_since(began)));
        let mut out = attachments(files, &stage.name, decided_here.then_some(&outcome.verdict));
        if decided_here {
            let said =
                std::iter::once(format!("evidence: {}", files.evidence)).chain(outcome.console_tail.iter().cloned());
            for line in said {
                // What a guest says is no attachment.
                let line = terminal_line(&line, LINE_CHARS_MAX).replace("[[ATTACHMENT", "[ [ATTACHMENT");
                out.push_str(&line);
                out.push('\n');
            }
        }
        if !out.is_empty() && stage_report.outcome != StageOutcome::NotReached {
            case.set_system_out(text(out.trim_end()));
        }
        suite.add_test_case(case);
    }
    report.add_test_suite(suite);
    report.to_string()
}

/// The files of a stage, as GitLab and Jenkins' plugin for attachments read them: each alone on its line. GitLab shows the first
/// one, so a picture comes first. (GitLab, "View JUnit screenshots"; jenkinsci/junit-attachments-plugin.)
fn attachments(files: &JunitFiles<'_>, stage: &str, decided: Option<&Verdict>) -> String {
    let there = |name: &str| files.names.iter().any(|known| known == name).then(|| name.to_owned());
    let mut names = Vec::new();
    if let Some(verdict) = decided {
        let pictures = files.names.iter().filter(|name| is_of(name, "png"));
        // What was captured of the stopped machine, else the last one taken.
        let (captured, taken): (Vec<_>, Vec<_>) = pictures.partition(|name| !name.contains('/'));
        names.extend(captured.last().or(taken.last()).map(|name| (*name).clone()));
        names.extend(there("report.html"));
        names.extend(verdict.evidence.as_ref().and_then(|evidence| there(&evidence.file)));
    }
    names.extend(there(&format!("ssh/{stage}.log")));
    if decided.is_some() {
        let consoles = files
            .names
            .iter()
            .filter(|name| name.starts_with("serial") && is_of(name, "log"));
        names.extend(consoles.cloned());
    }
    let mut lines = String::new();
    let mut told = Vec::new();
    for name in names {
        let path = format!("{}{name}", files.prefix);
        let is_plain = xml_text(&path) == path && !path.contains(['[', ']', '|', '\n']);
        if is_plain && !told.contains(&name) && told.len() < ATTACHMENTS_MAX {
            let _ = writeln!(lines, "[[ATTACHMENT|{path}]]");
            told.push(name);
        }
    }
    lines
}

fn is_of(name: &str, kind: &str) -> bool {
    Path::new(name).extension().is_some_and(|is| is == kind)
}

/// A text that XML allows, of a length that a viewer can show.
fn text(text: &str) -> String {
    let mut text = xml_text(text);
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
        text.push_str("\n…");
    }
    text
}

fn message(text: &str) -> String {
    xml_text(terminal_line(text, MESSAGE_CHARS_MAX))
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(message(why));
    status
}

fn status(outcome: &Outcome, stage: StageOutcome, decided_here: bool) -> TestCaseStatus {
    let verdict = &outcome.verdict;
    if stage == StageOutcome::Passed && !decided_here {
        return TestCaseStatus::success();
    }
    if !decided_here {
        return skipped("not reached: a stage before it did not pass");
    }
    // A fault of the image is a failure; that nothing is known about the image is an error.
    let kind = match verdict.class {
        Class::Failed | Class::KnownFailure => NonSuccessKind::Failure,
        _ => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    let quote = verdict.evidence.as_ref().and_then(|evidence| evidence.quote.as_ref());
    let quote = quote.map(xml_text).unwrap_or_default();
    status
        .set_type(message(&format!("{}/{}", verdict.class.as_str(), verdict.cause)))
        .set_message(message(&verdict.title))
        .set_description(text(&format!(
            "{}\n{quote}\n{}{}",
            verdict.detail,
            verdict.remedy,
            known(verdict)
        )));
    status
}

/// What a rule adds, as lines.
fn known(verdict: &Verdict) -> String {
    let Some(rule) = &verdict.rule else {
        return String::new();
    };
    let mut text = format!("\nroot cause: {}\nrule: {}", rule.root_cause, rule.id);
    if let Some(tracker) = &rule.tracker {
        let _ = write!(text, "\ntracked at: {tracker}");
    }
    if let (Class::KnownFailure, Some(expires)) = (verdict.class, &rule.expires) {
        let may = if rule.publishable { "yes" } else { "no" };
        let _ = write!(text, "\npublishable: {may}, until {expires}");
    }
    text
}
