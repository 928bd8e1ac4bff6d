//! What is looked at before a run begins: what refuses it is told with its mend, and nothing is started.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::driver::{Check, Level, preflight};
use crate::plan::Plan;
use crate::report::Ci;

use super::host::Lack;
use super::{ci, say};

/// Looks, and tells what is wrong. Gives the exit code of a run that must not begin: 2 if what was asked for is wrong, else 4.
pub(super) fn refuse(plan: &Plan, runs: &Path, as_json: bool, ci: Ci) -> Option<ExitCode> {
    let checks = preflight(plan, runs);
    let (refusing, others): (Vec<_>, Vec<_>) = checks.into_iter().partition(Check::refuses);
    if refusing.is_empty() {
        for check in others.iter().filter(|check| check.level == Level::Warn) {
            tell("warning", check);
        }
        return None;
    }
    if as_json {
        let error = |check: &Check| json!({"what": check.id, "message": check.found, "help": check.mend});
        let errors: Vec<_> = refusing.iter().map(error).collect();
        let _ = say::answer(format_args!(
            "{}\n",
            json!({"file": plan.file.to_string_lossy(), "errors": errors})
        ));
    } else {
        for check in &refusing {
            tell("error", check);
        }
        say::tell("\nnothing was started; `bootgate doctor GATE` looks at everything");
    }
    // What was asked for is to be mended first: another host would not help.
    let code = refusing.iter().map(Check::exit_code).min().unwrap_or_default();
    let told = refusing
        .iter()
        .map(|check| (&*check.found, check.mend.as_deref().unwrap_or_default()));
    ci::nothing_started(ci, code, &ci::of_refusal(told));
    Some(ExitCode::from(code))
}

/// What refuses a run, or may end it, for a person who only checks.
pub(super) fn lacks(plan: &Plan, runs: &Path) -> Vec<Lack> {
    let checks = preflight(plan, runs).into_iter();
    let lacks = checks.filter(|check| check.level != Level::Ok);
    lacks
        .map(|check| Lack {
            problem: check.found,
            mend: check.mend.unwrap_or_default(),
        })
        .collect()
}

fn tell(word: &str, check: &Check) {
    let mend = check.mend.as_deref().unwrap_or_default();
    say::tell(format_args!("{word}: {}\n  help: {mend}", check.found));
}
