//! What a CI job gets beside the log's lines: groups, annotations, a summary, outputs.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use uuid::Uuid;

use crate::driver::Check;
use crate::plan::{GateFileErrors, Place};
use crate::report::{ANNOTATIONS_MAX, Annotation, Ci, Closing, Loudness, annotations, outputs, step_outputs, summary};

/// Whose log standard output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum CiArg {
    /// GitHub's if `GITHUB_ACTIONS` is `true`, GitLab's if `GITLAB_CI` is, else plain.
    #[default]
    Auto,
    /// Groups, annotations, the step's summary and outputs.
    Github,
    /// Sections that fold.
    Gitlab,
    /// Lines and nothing else.
    Plain,
}

impl CiArg {
    /// Whose it is.
    pub(super) fn look(self) -> Ci {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| value == "true");
        match self {
            Self::Github => Ci::Github,
            Self::Gitlab => Ci::Gitlab,
            Self::Auto if is_set("GITHUB_ACTIONS") => Ci::Github,
            Self::Auto if is_set("GITLAB_CI") => Ci::Gitlab,
            Self::Auto | Self::Plain => Ci::Plain,
        }
    }
}

/// Leaves the summary and the outputs of a run that has ended. Gives the lines for the log, and what went wrong.
pub(super) fn close(ci: Ci, closing: &Closing<'_>) -> (Vec<String>, Vec<String>) {
    if ci != Ci::Github {
        return (Vec::new(), Vec::new());
    }
    let nonce = Uuid::new_v4().simple().to_string();
    let values = outputs(&step_outputs(closing), &nonce);
    let mut problems = Vec::new();
    for (name, text) in [("GITHUB_STEP_SUMMARY", summary(closing)), ("GITHUB_OUTPUT", values)] {
        if let Err(error) = append(name, &text) {
            problems.push(format!("the file that {name} names can't be written: {error}"));
        }
    }
    let file = from_top(&closing.plan.file);
    let marks = annotations(closing, &file);
    (marks.iter().map(Annotation::to_command).collect(), problems)
}

/// Appends to the file that a variable names. Without the variable nobody asks for it.
fn append(variable: &str, text: &str) -> io::Result<()> {
    let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// Annotations of a gate file's mistakes.
pub(super) fn mistakes(ci: Ci, file: &Path, errors: &GateFileErrors) -> Vec<String> {
    let mark = |(place, message): (Place, String)| Annotation {
        loudness: Loudness::Error,
        place: Some((from_top(file), place)),
        title: "the gate file is wrong".to_owned(),
        message: vec![message],
    };
    let found = errors.diagnostics().iter().map(|mistake| {
        let place = Place {
            line: mistake.line,
            column: mistake.column,
        };
        (place, format!("{}: {}", mistake.message, mistake.label))
    });
    commands(ci, found.map(mark))
}

/// Annotations of what refuses a run.
pub(super) fn refusals(ci: Ci, checks: &[Check]) -> Vec<String> {
    let mark = |check: &Check| Annotation {
        loudness: Loudness::Error,
        place: None,
        title: "nothing was started".to_owned(),
        message: std::iter::once(check.found.clone()).chain(check.mend.clone()).collect(),
    };
    commands(ci, checks.iter().map(mark))
}

fn commands(ci: Ci, marks: impl Iterator<Item = Annotation>) -> Vec<String> {
    let marks = marks.take(if ci == Ci::Github { ANNOTATIONS_MAX } else { 0 });
    marks.map(|mark| mark.to_command()).collect()
}

/// A file as the runner names it: from the top of the checked-out repository, if it lies there.
fn from_top(file: &Path) -> String {
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let top = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
    let below = top.and_then(|top| whole.strip_prefix(top).map(Path::to_owned).ok());
    below.unwrap_or_else(|| file.to_owned()).display().to_string()
}
