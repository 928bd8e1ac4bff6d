//! What a CI job gets beside the log's lines: groups, annotations, a summary, outputs.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use uuid::Uuid;

use crate::plan::Place;
use crate::report::{
    ANNOTATIONS_MAX, Annotation, Ci, Closing, annotations, outputs, refused_outputs, refused_summary, step_outputs,
    summary,
};

use super::gate::GateError;
use super::say;

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

/// Tells a job that nothing was started, and why: the marks go to its log, the outputs and the summary to their files.
pub(super) fn nothing_started(ci: Ci, exit_code: u8, marks: &[Annotation]) {
    if ci != Ci::Github {
        return;
    }
    for mark in marks.iter().take(ANNOTATIONS_MAX) {
        say::tell(mark.to_command());
    }
    let nonce = Uuid::new_v4().simple().to_string();
    let values = outputs(&refused_outputs(exit_code), &nonce);
    for (name, text) in [
        ("GITHUB_STEP_SUMMARY", refused_summary(marks)),
        ("GITHUB_OUTPUT", values),
    ] {
        if let Err(error) = append(name, &text) {
            say::tell(format_args!(
                "warning: the file that {name} names can't be written: {error}"
            ));
        }
    }
}

/// What is wrong with a gate file, or with what it brings along.
pub(super) fn of_gate(file: &Path, error: &GateError) -> Vec<Annotation> {
    let mark = |place: Option<(String, Place)>, message: Vec<String>| Annotation {
        place,
        message,
        ..Annotation::error("the gate file is wrong")
    };
    match error {
        GateError::Wrong { errors, .. } => {
            let found = errors.diagnostics().iter().map(|mistake| {
                let place = Place {
                    line: mistake.line,
                    column: mistake.column,
                };
                let label = mistake.label.clone();
                mark(Some((from_top(file), place)), vec![mistake.message.clone(), label])
            });
            found.collect()
        }
        GateError::Unreadable { problem, mend, .. } => vec![mark(None, vec![problem.clone(), (*mend).to_owned()])],
        GateError::Lint(problems) => {
            let found = problems.iter().map(|problem| {
                let place = Place {
                    line: problem.line,
                    column: 1,
                };
                let message = format!("the rule `{}` {}", problem.rule, problem.problem);
                mark(
                    Some((from_top(&problem.file), place)),
                    vec![message, problem.help.clone()],
                )
            });
            found.collect()
        }
        GateError::Together(error) => vec![mark(None, vec![error.to_string()])],
    }
}

/// What refuses a run.
pub(super) fn of_refusal<'a>(problems: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Annotation> {
    let mark = |(problem, mend): (&str, &str)| Annotation {
        message: vec![problem.to_owned(), mend.to_owned()],
        ..Annotation::error("nothing was started")
    };
    problems.into_iter().map(mark).collect()
}

/// A file as the runner names it: from the top of the checked-out repository, if it lies there.
fn from_top(file: &Path) -> String {
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let top = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
    let below = top.and_then(|top| whole.strip_prefix(top).map(Path::to_owned).ok());
    below.unwrap_or_else(|| file.to_owned()).display().to_string()
}
