//! Reading a gate file, with every mistake told at once.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::driver::MissingInput;
use crate::plan::{self, GateFileErrors, Plan};
use crate::serial::marker::WatchError;
use crate::triage::Problem;

use super::{rules, say};

/// The largest gate file that is read, in bytes.
const GATE_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What a gate file is called.
const GATE_FILE: &str = "gate file";

/// Why there is no plan.
pub(super) enum GateError {
    /// The file can't be read, with the reason and with what to do.
    Unreadable {
        file: PathBuf,
        problem: String,
        mend: &'static str,
    },
    /// The file is wrong.
    Wrong {
        errors: GateFileErrors,
        /// What the file is.
        kind: &'static str,
    },
    /// Rules that the gate brings along do not prove themselves.
    Lint(Vec<Problem>),
    /// The patterns of all rules together are too large.
    Together(WatchError),
}

/// Reads and checks a gate file.
pub(super) fn read(path: &Path) -> Result<Plan, GateError> {
    read_with_text(path).map(|(plan, _)| plan)
}

/// As [`read`], with the file's text.
pub(super) fn read_with_text(path: &Path) -> Result<(Plan, String), GateError> {
    let kind = GATE_FILE;
    let text = read_text(path, kind)?;
    let plan = plan::parse(path, &text).map_err(|errors| GateError::Wrong { errors, kind })?;
    Ok((plan, text))
}

/// The text of a file; `kind` is what it is.
pub(super) fn read_text(path: &Path, kind: &str) -> Result<String, GateError> {
    text_of(path, kind).map_err(|(why, mend)| GateError::Unreadable {
        file: path.to_owned(),
        problem: format!("the {kind} `{}` {why}", path.display()),
        mend,
    })
}

/// What to do about a file that is not there.
fn mend_missing(kind: &str) -> &'static str {
    if kind == GATE_FILE {
        "check the path; `bootgate init IMAGE` looks into an image and writes a gate file for it"
    } else {
        "check the path"
    }
}

/// The text of the file, or what is wrong with the file, as a clause, and what to do.
fn text_of(path: &Path, kind: &str) -> Result<String, (String, &'static str)> {
    let refused = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => ("does not exist".to_owned(), mend_missing(kind)),
        ErrorKind::IsADirectory => ("is a directory".to_owned(), "name the file in it"),
        ErrorKind::PermissionDenied => (
            "can't be read: permission denied".to_owned(),
            "check its owner and mode (`ls -l`)",
        ),
        _ => (format!("can't be read: {error}"), "check the file"),
    };
    let file = std::fs::File::open(path).map_err(refused)?;
    let mut bytes = Vec::new();
    let mut file = file.take(GATE_FILE_BYTES_MAX + 1);
    file.read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > GATE_FILE_BYTES_MAX {
        let why = format!("is larger than 1 MiB; a {kind} is a page of text");
        return Err((why, "check that it is not the image"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let why = format!("is not text: the byte at offset {at} is not UTF-8");
        (why, "check that it is the right file, and save it as UTF-8")
    })
}

/// Tells a person (or with `as_json`, a program) what is wrong with a gate file. Nothing was started.
pub(super) fn tell(error: &GateError, as_json: bool) {
    match error {
        GateError::Unreadable { file, problem, mend } if as_json => {
            let errors = json!({"file": file.to_string_lossy(), "errors": [{"message": problem, "help": mend}]});
            let _ = say::answer(format_args!("{errors}\n"));
        }
        GateError::Unreadable { problem, mend, .. } => {
            say::tell(format_args!("error: {problem}\n  help: {mend}\n\nnothing was started"));
        }
        GateError::Wrong { errors, .. } if as_json => {
            let _ = say::answer(format_args!("{}\n", errors.to_json()));
        }
        GateError::Wrong { errors, kind } => {
            let count = errors.diagnostics().len();
            let noun = if count == 1 { "mistake" } else { "mistakes" };
            let shown = errors.render(say::is_coloured());
            say::tell(format_args!(
                "{shown}\n{count} {noun} in the {kind}; nothing was started"
            ));
        }
        GateError::Lint(problems) if as_json => {
            let error = |problem: &Problem| {
                json!({
                    "file": problem.file.to_string_lossy(),
                    "line": problem.line,
                    "rule": problem.rule,
                    "message": problem.problem,
                    "help": problem.help,
                })
            };
            let errors = json!({"errors": problems.iter().map(error).collect::<Vec<_>>()});
            let _ = say::answer(format_args!("{errors}\n"));
        }
        GateError::Lint(problems) => {
            for problem in problems {
                say::tell(rules::problem_text(problem));
            }
            say::tell("\nnothing was started; `bootgate triage --lint FILE` tries the rules again");
        }
        GateError::Together(error) if as_json => {
            let errors = json!({"errors": [{"message": error.to_string()}]});
            let _ = say::answer(format_args!("{errors}\n"));
        }
        GateError::Together(error) => say::tell(format_args!("error: {error}\n\nnothing was started")),
    }
}

/// Tells what a gate file names and is not there. Nothing was started.
pub(super) fn tell_missing(plan: &Plan, missing: &[MissingInput], as_json: bool) {
    if as_json {
        let error = |input: &MissingInput| json!({"message": input.problem, "help": input.mend});
        let errors: Vec<_> = missing.iter().map(error).collect();
        let errors = json!({"file": plan.file.to_string_lossy(), "errors": errors});
        let _ = say::answer(format_args!("{errors}\n"));
        return;
    }
    for input in missing {
        say::tell(format_args!("error: {}\n  help: {}", input.problem, input.mend));
    }
    say::tell("\nnothing was started");
}
