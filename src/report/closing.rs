//! What a run leaves for a CI job when it has ended: annotations and outputs.

use std::path::Path;

use super::blame::{blamed, stage_line};
use super::github::{ANNOTATIONS_MAX, Annotation, Loudness};
use crate::driver::Outcome;
use crate::machine::{Class, Verdict};
use crate::plan::{Place, Plan};

/// A run that has ended, as a CI job is told of it.
#[derive(Debug, Clone, Copy)]
pub struct Closing<'a> {
    /// Its plan.
    pub plan: &'a Plan,
    /// The text of its gate file.
    pub gate_file: &'a str,
    /// What it came to.
    pub outcome: &'a Outcome,
    /// Its directory.
    pub run: &'a Path,
    /// The bundle of its machine, if there is one.
    pub bundle: Option<&'a Path>,
}

/// What is to be marked, beside the lines of `file`, as seen from the top of the repository: the verdict at the key or stage
/// that it is about, remarks at their stages. The verdict comes first.
pub fn annotations(closing: &Closing<'_>, file: &str) -> Vec<Annotation> {
    let verdict = &closing.outcome.verdict;
    let at = |place: Place| Some((file.to_owned(), place));
    let mut all = Vec::new();
    if verdict.class != Class::Passed {
        let stage = &closing.plan.stages[verdict.stage].name;
        all.push(Annotation {
            loudness: loudness(verdict),
            place: at(blamed(closing.gate_file, verdict)),
            title: format!("{}: {} in stage {stage}", verdict.class.as_str(), verdict.cause),
            message: message(closing, verdict),
        });
    }
    for (number, report) in closing.outcome.reports.iter().enumerate() {
        for remark in &report.remarks {
            all.push(Annotation {
                loudness: Loudness::Warning,
                place: at(stage_line(closing.gate_file, number)),
                title: format!("remark on stage {}", closing.plan.stages[number].name),
                message: vec![remark.clone()],
            });
        }
    }
    all.truncate(ANNOTATIONS_MAX);
    all
}

/// A failure that is known and may be published, and a run that somebody stopped, are no alarm.
fn loudness(verdict: &Verdict) -> Loudness {
    match verdict.class {
        Class::KnownFailure | Class::Cancelled => Loudness::Warning,
        _ => Loudness::Error,
    }
}

fn message(closing: &Closing<'_>, verdict: &Verdict) -> Vec<String> {
    let mut lines = vec![verdict.title.clone(), verdict.detail.clone()];
    if let Some(rule) = &verdict.rule {
        lines.push(rule.root_cause.clone());
        lines.extend(rule.tracker.as_ref().map(|tracker| format!("Tracked at {tracker}")));
    }
    lines.push(verdict.remedy.clone());
    lines.push(format!("Evidence: {}", closing.run.display()));
    lines.retain(|line| !line.is_empty());
    lines
}

/// The outputs of a step, by name.
pub fn step_outputs(closing: &Closing<'_>) -> Vec<(&'static str, String)> {
    let verdict = &closing.outcome.verdict;
    let file = |name: &str| closing.run.join(name).display().to_string();
    let bundle = closing.bundle.map(|path| path.display().to_string());
    vec![
        ("verdict", verdict.class.as_str().to_owned()),
        ("cause", verdict.cause.clone()),
        ("exit-code", verdict.exit_code().to_string()),
        ("run-dir", closing.run.display().to_string()),
        ("result", file("result.json")),
        ("junit", file("junit.xml")),
        ("summary", file("summary.md")),
        ("bundle", bundle.unwrap_or_default()),
    ]
}

/// The outputs of a step that started nothing. Its class is that of the exit code.
pub fn refused_outputs(exit_code: u8) -> Vec<(&'static str, String)> {
    let class = if exit_code == Verdict::EXIT_USAGE {
        "usage"
    } else {
        Class::Infrastructure.as_str()
    };
    vec![("verdict", class.to_owned()), ("exit-code", exit_code.to_string())]
}
