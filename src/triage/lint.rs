//! What is wrong with rules that are well-formed: each must prove on its fixtures that it finds what it is for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use jiff::civil::Date;

use super::answer::answer;
use super::bench::{Bench, default_source};
use super::correlate::Finding;
use super::rules::Rules;
use crate::plan::{Fixture, Rule, RuleClass};
use crate::serial::marker::WatchError;

/// How many days before a rule expires the lint begins to say so.
pub const EXPIRY_WARNING_DAYS: i32 = 30;

/// Gives the bytes of a fixture file, by the rules file and the name in it.
pub type ReadFixture<'a> = &'a dyn Fn(&Path, &str) -> Result<Vec<u8>, String>;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The rule can't be relied on.
    Error,
    /// It will be so soon.
    Warning,
}

/// Something that is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The rule's file.
    pub file: PathBuf,
    /// The line in it that the rule begins at.
    pub line: usize,
    /// The rule's name.
    pub rule: String,
    /// What is wrong; it reads after the rule's name.
    pub problem: String,
    /// What to do about it.
    pub help: String,
    /// True if all that is wrong is the day.
    pub is_expiry: bool,
}

impl Problem {
    fn of(rule: &Rule, severity: Severity, problem: String, help: &str) -> Self {
        Self {
            severity,
            file: rule.file.clone(),
            line: rule.line,
            rule: rule.id.clone(),
            problem,
            help: help.to_owned(),
            is_expiry: false,
        }
    }
}

/// What is wrong with the rule's day, if anything.
pub fn expiry(rule: &Rule, today: Date) -> Option<Problem> {
    let expires = rule.expires?;
    let left_days = today.until(expires).ok()?.get_days();
    let (severity, problem) = if today >= expires {
        (Severity::Error, format!("has expired on {expires}"))
    } else if left_days <= EXPIRY_WARNING_DAYS {
        (Severity::Warning, format!("expires on {expires}, in {left_days} days"))
    } else {
        return None;
    };
    let help = "mend the failure and remove the rule, or look at it again and set a later day";
    let mut problem = Problem::of(rule, severity, problem, help);
    problem.is_expiry = true;
    Some(problem)
}

/// Tries the first `count` rules on their fixtures and on those of the others. `now` is any instant.
///
/// # Errors
/// The patterns can't be looked for together.
pub fn lint(
    rules: &Arc<Rules>,
    count: usize,
    read: ReadFixture<'_>,
    today: Date,
    now: Instant,
) -> Result<Vec<Problem>, WatchError> {
    let mut bench = Bench::new(rules, now)?;
    let mut problems = Vec::new();
    for number in 0..count.min(rules.as_slice().len()) {
        let mut linter = Linter {
            rules,
            number,
            problems: &mut problems,
        };
        linter.problems.extend(expiry(linter.rule(), today));
        linter.fixtures(&mut bench, read);
    }
    problems.extend(greed(rules, count.min(rules.as_slice().len()), &mut bench, read));
    Ok(problems)
}

struct Linter<'a> {
    rules: &'a Arc<Rules>,
    number: usize,
    problems: &'a mut Vec<Problem>,
}

impl Linter<'_> {
    fn rule(&self) -> &Rule {
        self.rules.rule(self.number)
    }

    fn error(&mut self, problem: impl Into<String>, help: &str) {
        let problem = Problem::of(self.rule(), Severity::Error, problem.into(), help);
        self.problems.push(problem);
    }

    fn fixtures(&mut self, bench: &mut Bench, read: ReadFixture<'_>) {
        let (matches, ignores) = (self.rule().matches.clone(), self.rule().ignores.clone());
        if matches.is_empty() {
            let help = "add `matches = [\"…\"]` with a line of a real log";
            self.error("has no fixture that it must find something in", help);
        }
        if ignores.is_empty() {
            let help = "add `ignores = [\"…\"]` with a line that looks like it and means no harm";
            self.error("has no fixture that it must find nothing in", help);
        }
        let source = default_source(self.rules, self.rule());
        for fixture in &matches {
            if let Some(bytes) = self.bytes(fixture, read) {
                let found = bench.try_on(&bytes, source);
                self.must_match(&told(fixture), &found);
            }
        }
        for fixture in &ignores {
            if let Some(bytes) = self.bytes(fixture, read)
                && bench
                    .try_on(&bytes, source)
                    .iter()
                    .any(|finding| finding.rule == self.number)
            {
                let problem = format!("finds something in a log that it must ignore: {}", told(fixture));
                self.error(problem, "make its pattern say more of what the line holds");
            }
        }
    }

    fn bytes(&mut self, fixture: &Fixture, read: ReadFixture<'_>) -> Option<Vec<u8>> {
        let bytes = bytes(self.rule(), fixture, read);
        bytes
            .map_err(|why| self.error(format!("has a fixture that can't be read: {why}"), "check the path"))
            .ok()
    }

    fn must_match(&mut self, told: &str, found: &[Finding]) {
        let (rules, number) = (self.rules.clone(), self.number);
        if !found.iter().any(|finding| finding.rule == number) {
            let help =
                "its steps must match, in this order and in lines of their own; nothing of `without` may be there";
            return self.error(format!("finds nothing in its own fixture: {told}"), help);
        }
        let believed = answer(&rules, found).map(|finding| finding.rule);
        // A finding that is no note is always believed in, unless another one is.
        let Some(other) = believed.filter(|other| *other != number) else {
            return;
        };
        let is_note = self.rule().class == RuleClass::Note;
        if is_note && rules.referrers(number).iter().any(|(referrer, _)| *referrer == other) {
            return;
        }
        let help = "put the more specific rule first, or make the other one say more of what the line holds";
        self.error(
            format!("is shadowed by `{}` in its own fixture: {told}", rules.rule(other).id),
            help,
        );
    }
}

/// The first `count` rules must leave to the others what is theirs, and harmless what is harmless.
fn greed(rules: &Rules, count: usize, bench: &mut Bench, read: ReadFixture<'_>) -> Vec<Problem> {
    let help = "make its pattern say more of what the line holds";
    let mut problems = Vec::new();
    for other in &rules.as_slice()[count..] {
        let source = default_source(rules, other);
        for fixture in other.matches.iter().chain(&other.ignores) {
            let Ok(bytes) = bytes(other, fixture, read) else {
                continue;
            };
            let found = bench.try_on(&bytes, source);
            let without: Vec<_> = found.iter().filter(|finding| finding.rule >= count).cloned().collect();
            let taker = answer(rules, &found).map(|finding| finding.rule);
            let Some(taker) = taker.filter(|taker| *taker < count) else {
                continue;
            };
            let problem = match answer(rules, &without) {
                Some(owner) => format!(
                    "takes the fixture of `{}`: {}",
                    rules.rule(owner.rule).id,
                    told(fixture)
                ),
                None => format!("finds something in a log that means no harm: {}", told(fixture)),
            };
            problems.push(Problem::of(rules.rule(taker), Severity::Error, problem, help));
        }
    }
    problems
}

fn bytes(rule: &Rule, fixture: &Fixture, read: ReadFixture<'_>) -> Result<Vec<u8>, String> {
    match fixture {
        Fixture::Lines(lines) => Ok(lines.clone().into_bytes()),
        Fixture::File(name) => read(&rule.file, name).map_err(|why| format!("{name}: {why}")),
    }
}

/// A fixture as messages call it.
fn told(fixture: &Fixture) -> String {
    const CHARS_MAX: usize = 100;
    match fixture {
        Fixture::File(name) => format!("file `{name}`"),
        Fixture::Lines(lines) => {
            let text = crate::text::terminal_line(lines, CHARS_MAX);
            format!("`{text}`")
        }
    }
}
