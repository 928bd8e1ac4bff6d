//! Reading rules files, and trying the rules in them on their fixtures.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use jiff::civil::Date;

use crate::plan::{Plan, Rule};
use crate::serial::marker::WatchError;
use crate::triage::{self, Problem, Rules, Severity, builtin, builtin_fixture};
use crate::units::MIB;

use super::gate::{self, GateError};
use super::say;

/// The largest fixture file that is read, in bytes.
const FIXTURE_BYTES_MAX: u64 = 16 * MIB;

/// Rules, how many of them come from the files that were asked for, and the text of those files.
pub(super) struct Read {
    pub(super) rules: Arc<Rules>,
    pub(super) count: usize,
    pub(super) texts: Vec<String>,
}

/// The built-in rules, and before them those of the files, in their order.
pub(super) fn read(files: &[PathBuf]) -> Result<Read, GateError> {
    let builtin = builtin();
    let mut rules: Vec<Rule> = Vec::new();
    let mut texts = Vec::new();
    for file in files {
        let text = gate::read_text(file, "rules file")?;
        let known: Vec<Rule> = rules.iter().chain(builtin.as_slice()).cloned().collect();
        let kind = "rules file";
        let more = triage::parse_rules(file, &text, &known).map_err(|errors| GateError::Wrong { errors, kind })?;
        rules.extend(more);
        texts.push(text);
    }
    let count = rules.len();
    let rules = if count == 0 {
        builtin
    } else {
        Arc::new(builtin.after(rules).map_err(GateError::Together)?)
    };
    Ok(Read { rules, count, texts })
}

/// The rules of a gate. Those that it brings along must prove themselves on their fixtures; that one has expired, or soon
/// will, is told and refuses nothing: it is the verdict's to say so.
pub(super) fn of_plan(plan: &Plan) -> Result<(Read, Vec<Problem>), GateError> {
    let read = read(&plan.rules)?;
    // Those that are built in are tried by the tests; here only their day counts.
    let mut problems = problems(&read.rules, read.count).map_err(GateError::Together)?;
    let later = read.rules.as_slice().len();
    let builtin = problems_of_day(&read.rules, read.count..later);
    let wrong = |problem: &Problem| problem.severity == Severity::Error && !problem.is_expiry;
    if problems.iter().any(wrong) {
        problems.retain(wrong);
        return Err(GateError::Lint(problems));
    }
    problems.extend(builtin);
    Ok((read, problems))
}

fn problems_of_day(rules: &Rules, range: std::ops::Range<usize>) -> Vec<Problem> {
    let rules = rules.as_slice()[range].iter();
    rules.filter_map(|rule| triage::expiry(rule, today())).collect()
}

/// What is wrong with the first `count` rules.
pub(super) fn problems(rules: &Arc<Rules>, count: usize) -> Result<Vec<Problem>, WatchError> {
    triage::lint(rules, count, &fixture, today(), Instant::now())
}

/// The day, as far as rules expire by it: that of UTC.
pub(super) fn today() -> Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// The bytes of a fixture that is a file.
fn fixture(rules_file: &Path, name: &str) -> Result<Vec<u8>, String> {
    if rules_file.starts_with(triage::BUILTIN_DIRECTORY) {
        let bytes = builtin_fixture(name).ok_or("it is not part of the program")?;
        return Ok(bytes.to_vec());
    }
    let path = rules_file.parent().unwrap_or(Path::new("")).join(name);
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = file.take(FIXTURE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FIXTURE_BYTES_MAX {
        return Err("it is larger than 16 MiB; cut out the part that the rule is about".to_owned());
    }
    Ok(bytes)
}

/// A problem as lines for a person.
pub(super) fn problem_text(problem: &Problem) -> String {
    let word = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let (file, line, rule) = (problem.file.display(), problem.line, &problem.rule);
    format!(
        "{word}: {file}:{line}: the rule `{rule}` {}\n  help: {}",
        problem.problem, problem.help
    )
}

/// Tells of problems that refuse nothing.
pub(super) fn warn(problems: &[Problem]) {
    for problem in problems {
        say::tell(problem_text(problem).replacen("error: ", "warning: ", 1));
    }
}
