//! The rules themselves: which there are, and whether they prove themselves.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::driver::facts;
use crate::machine::Verdict;
use crate::triage::{RuleClass, Rules, Severity};

use super::super::rules::{self, today};
use super::super::say;
use super::found::rule_json;

pub(super) fn list(rules: &Arc<Rules>, as_json: bool) -> ExitCode {
    if as_json {
        let all: Value = rules
            .as_slice()
            .iter()
            .map(|rule| rule_json(&facts(rule, today())))
            .collect();
        return say::answer(format_args!("{all:#}\n"));
    }
    let width = |of: fn(&crate::triage::Rule) -> usize| rules.as_slice().iter().map(of).max().unwrap_or(0);
    let (id_width, cause_width) = (width(|rule| rule.id.len()), width(|rule| rule.cause.len()));
    let class_width = "infrastructure".len();
    let mut text = format!(
        "{:<id_width$}  {:<class_width$}  {:<cause_width$}  {:<7}  ends run\n",
        "rule", "class", "cause", "publish"
    );
    for rule in rules.as_slice() {
        let publish = match rule.class {
            RuleClass::Note => "-",
            _ if rule.publishable && !rule.is_expired(today()) => "yes",
            _ => "no",
        };
        let (class, fatal) = (rule.class.as_str(), if rule.fatal { "yes" } else { "no" });
        let (id, cause) = (&rule.id, &rule.cause);
        let _ = write!(
            text,
            "{id:<id_width$}  {class:<class_width$}  {cause:<cause_width$}  {publish:<7}  {fatal}"
        );
        if let Some(expires) = rule.expires {
            let _ = write!(text, "  (expires {expires})");
        }
        text.push('\n');
    }
    say::answer(text)
}

/// Tries the first `count` rules. The exit code is 1 if one of them is wrong.
pub(super) fn lint(rules: &Arc<Rules>, count: usize, as_json: bool) -> ExitCode {
    let problems = match rules::problems(rules, count) {
        Ok(problems) => problems,
        Err(error) => {
            say::tell(format_args!("error: {error}"));
            return ExitCode::from(Verdict::EXIT_USAGE);
        }
    };
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count();
    let said = if as_json {
        let problem = |problem: &crate::triage::Problem| {
            json!({
                "severity": if problem.severity == Severity::Error { "error" } else { "warning" },
                "file": problem.file.to_string_lossy(),
                "line": problem.line,
                "rule": problem.rule,
                "problem": problem.problem,
                "help": problem.help,
            })
        };
        let all: Vec<_> = problems.iter().map(problem).collect();
        say::answer(format_args!("{:#}\n", json!({ "rules": count, "problems": all })))
    } else {
        let mut text = String::new();
        for problem in &problems {
            let _ = writeln!(text, "{}", rules::problem_text(problem));
        }
        let warnings = problems.len() - errors;
        let _ = writeln!(text, "{count} rules: {errors} errors, {warnings} warnings");
        say::answer(text)
    };
    if errors > 0 { ExitCode::from(1) } else { said }
}
