//! Back-testing: what the rules say now, against what past runs were told.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::driver::facts;
use crate::evidence::RunRecord;
use crate::machine::{Cause, Class, Verdict};
use crate::text::{printable_json, terminal_line};
use crate::triage::{Finding, Rules, answer};

use super::super::rules::today;
use super::super::say;
use super::old_run::OldRun;

/// How deep runs are looked for.
const DEPTH_MAX: usize = 8;
/// How much of a word of an old result is shown, in characters.
const WORD_CHARS_MAX: usize = 100;

/// What a run was told, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Judgement {
    class: String,
    cause: String,
    rule: Option<String>,
}

/// A run that is judged differently.
struct Difference {
    run: String,
    recorded: Judgement,
    now: Judgement,
}

#[derive(Default)]
struct Totals {
    same: usize,
    undecided: usize,
    unreadable: usize,
}

pub(super) fn against(rules: &Arc<Rules>, directory: &Path, as_json: bool) -> ExitCode {
    if !directory.is_dir() {
        say::tell(format_args!(
            "error: `{}` is no directory\n  help: name the directory that keeps the runs",
            directory.display()
        ));
        return ExitCode::from(Verdict::EXIT_USAGE);
    }
    let mut paths = Vec::new();
    find(directory, 0, &mut paths);
    paths.sort();
    let (mut totals, mut differences) = (Totals::default(), Vec::new());
    for path in paths {
        let read = RunRecord::read(&path).and_then(|record| {
            let run = OldRun::read(&record)?;
            Ok((record, run))
        });
        let Ok((record, run)) = read else {
            totals.unreadable += 1;
            continue;
        };
        let Some(recorded) = recorded(&run.verdict) else {
            totals.undecided += 1;
            continue;
        };
        let now = judge(rules, &run, &recorded);
        if is_same(&recorded, &now) {
            totals.same += 1;
        } else {
            let run = record.info.id;
            differences.push(Difference { run, recorded, now });
        }
    }
    let said = say::answer(if as_json {
        printable_json(&to_json(&totals, &differences), true) + "\n"
    } else {
        to_text(&totals, &differences)
    });
    if differences.is_empty() {
        said
    } else {
        ExitCode::from(1)
    }
}

/// Collects the run directories below a directory; links are not followed.
fn find(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if directory.join("run.json").exists() {
        found.push(directory.to_owned());
        return;
    }
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        if depth < DEPTH_MAX {
            find(&entry.path(), depth + 1, found);
        }
    }
}

fn recorded(verdict: &Value) -> Option<Judgement> {
    let word = |value: &Value| value.as_str().map(|word| terminal_line(word, WORD_CHARS_MAX));
    Some(Judgement {
        class: word(&verdict["class"])?,
        cause: word(&verdict["cause"])?,
        rule: word(&verdict["rule"]["id"]),
    })
}

/// What the rules say of a run now: the first stage that they would end, or the cause that they give its last one.
fn judge(rules: &Arc<Rules>, run: &OldRun, recorded: &Judgement) -> Judgement {
    let of_rule = |finding: &Finding| {
        let rule = facts(rules.rule(finding.rule), today());
        Judgement {
            class: rule.class.as_str().to_owned(),
            cause: rule.cause,
            rule: Some(rule.id),
        }
    };
    for number in 0..run.stages.len() {
        let findings = run.findings(rules, number);
        if let Some(fatal) = findings.iter().find(|finding| rules.rule(finding.rule).fatal) {
            return of_rule(fatal);
        }
        let Some(cause) = run.machine_cause(number) else {
            if run.verdict["stage"] == run.stages[number].name.as_str() && recorded.rule.is_some() {
                return Judgement {
                    class: "undecided".to_owned(),
                    cause: "the run would have gone on".to_owned(),
                    rule: None,
                };
            }
            continue;
        };
        let known = Cause::of_id(cause);
        let knows_cause = |finding: &&Finding| rules.explains(finding.rule, cause);
        let believed = findings.iter().find(knows_cause).or_else(|| {
            let class = known.map(|cause| cause.facts().class);
            answer(rules, &findings).filter(|finding| {
                let rule = facts(rules.rule(finding.rule), today());
                known.is_some_and(Cause::is_open)
                    && (class != Some(Class::Infrastructure) || rule.class == Class::Infrastructure)
            })
        });
        return believed.map_or_else(
            || Judgement {
                class: known.map_or(recorded.class.clone(), |cause| cause.facts().class.as_str().to_owned()),
                cause: cause.to_owned(),
                rule: None,
            },
            of_rule,
        );
    }
    recorded.clone()
}

/// A result that names no rule may be older than the rules that results name.
fn is_same(recorded: &Judgement, now: &Judgement) -> bool {
    let same_rule = recorded.rule.is_none() || recorded.rule == now.rule;
    (&recorded.class, &recorded.cause) == (&now.class, &now.cause) && same_rule
}

fn to_text(totals: &Totals, differences: &[Difference]) -> String {
    let mut text = String::new();
    let told = |judgement: &Judgement| {
        let rule = judgement.rule.as_deref().unwrap_or("no rule");
        format!("{} {} ({rule})", judgement.class, judgement.cause)
    };
    for difference in differences {
        let _ = writeln!(text, "{}", terminal_line(&difference.run, WORD_CHARS_MAX));
        let _ = writeln!(text, "  recorded  {}", told(&difference.recorded));
        let _ = writeln!(text, "  now       {}", told(&difference.now));
    }
    let all = totals.same + totals.undecided + totals.unreadable + differences.len();
    let _ = writeln!(
        text,
        "{all} runs: {} as recorded, {} differently, {} without a verdict, {} not readable",
        totals.same,
        differences.len(),
        totals.undecided,
        totals.unreadable
    );
    text
}

fn to_json(totals: &Totals, differences: &[Difference]) -> Value {
    let told =
        |judgement: &Judgement| json!({ "class": judgement.class, "cause": judgement.cause, "rule": judgement.rule });
    let one = |difference: &Difference| json!({ "run": difference.run, "recorded": told(&difference.recorded), "now": told(&difference.now) });
    json!({
        "differences": differences.iter().map(one).collect::<Vec<_>>(),
        "as_recorded": totals.same,
        "differently": differences.len(),
        "without_verdict": totals.undecided,
        "not_readable": totals.unreadable,
    })
}
