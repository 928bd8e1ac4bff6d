//! From the facts of the runs to the decision.

use std::collections::BTreeSet;

use super::facts::{Known, Production, RunFacts, StageFacts};
use super::reason::{Answer, Reason};

/// What the runs say about publishing the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub answer: Answer,
    /// Why, the strongest first.
    pub reasons: Vec<Reason>,
    /// The gate.
    pub gate: String,
    /// The digest of the image that was tested, if there is one.
    pub tested_sha256: Option<String>,
    /// The image that may be published, if one may.
    pub publishes: Option<Production>,
    /// Each stage of the gate, in order.
    pub stages: Vec<StageRow>,
}

/// A stage of the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageRow {
    /// Its name.
    pub name: String,
    /// True if the image is not published without it.
    pub required: bool,
    /// What the runs say of it.
    pub answer: StageAnswer,
    /// The runs that say so.
    pub runs: Vec<String>,
}

/// What the runs say of a stage, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageAnswer {
    /// No run has come to it.
    Missing,
    /// A run has come to it and has no answer.
    Undecided,
    /// A tracked failure that may be published ends the gate before it.
    Excused,
    /// It ran and tested nothing.
    NotTested,
    /// It passed.
    Passed,
    /// It fails in a way that is tracked.
    KnownFailure,
    /// It failed.
    Failed,
}

impl StageAnswer {
    /// The name in results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Undecided => "undecided",
            Self::Excused => "not-reached",
            Self::NotTested => "not-tested",
            Self::Passed => "passed",
            Self::KnownFailure => "known-failure",
            Self::Failed => "failed",
        }
    }
}

/// Decides. `today` is a date as rules write it, `2026-12-31`: dates in that form are in the order of their texts.
///
/// The order of the runs does not matter. A run that failed refuses the image, whatever other runs say: an image that fails
/// sometimes fails.
pub fn decide(runs: &[RunFacts], today: &str) -> Decision {
    let mut runs = runs.to_vec();
    runs.sort();
    runs.dedup();
    let runs = &runs[..];
    let mut reasons = mismatches(runs);
    let stage_names = runs
        .iter()
        .map(|run| run.gate_stages.clone())
        .find(|names| !names.is_empty());
    let stage_names = stage_names.unwrap_or_default();
    let require = runs.iter().find_map(|run| run.require.clone());
    for run in runs.iter().filter(|run| !run.skipped) {
        reasons.extend(of_verdict(run, today));
    }
    let excused_after = if require.is_none() {
        excused_after(runs, &stage_names, today)
    } else {
        None
    };
    let mut stages = Vec::new();
    for (index, name) in stage_names.iter().enumerate() {
        let required = require.as_ref().is_none_or(|list| list.contains(name));
        let (mut answer, by) = answer_of(runs, name);
        let unanswered = matches!(answer, StageAnswer::Missing | StageAnswer::Undecided);
        if unanswered && excused_after.is_some_and(|after| index > after) {
            answer = StageAnswer::Excused;
        }
        if required {
            reasons.extend(lacking(runs, name, answer));
        }
        stages.push(StageRow {
            name: name.clone(),
            required,
            answer,
            runs: by,
        });
    }
    let tested_sha256 = common(runs.iter().filter_map(|run| run.image_sha256.as_ref()));
    let production = common(runs.iter().filter_map(|run| run.production.as_ref()));
    reasons.extend(unknown_image(tested_sha256.as_ref(), production.as_ref()));
    reasons.sort_by(|one, other| other.answer.cmp(&one.answer).then_with(|| one.cmp(other)));
    reasons.dedup();
    let answer = reasons
        .iter()
        .map(|reason| reason.answer)
        .max()
        .unwrap_or(Answer::Publish);
    let publishes = production.or_else(|| {
        tested_sha256.clone().map(|sha256| Production {
            path: String::new(),
            sha256: Some(sha256),
        })
    });
    Decision {
        answer,
        reasons,
        gate: runs.first().map(|run| run.gate.clone()).unwrap_or_default(),
        tested_sha256,
        publishes: publishes.filter(|_| answer.publishes()),
        stages,
    }
}

fn reason(answer: Answer, stage: Option<&str>, run: Option<&str>, text: String) -> Reason {
    Reason {
        answer,
        stage: stage.filter(|stage| !stage.is_empty()).map(str::to_owned),
        run: run.map(str::to_owned),
        text,
    }
}

/// A question to a run.
type Of = fn(&RunFacts) -> Option<String>;

/// What makes the runs strangers to each other.
fn mismatches(runs: &[RunFacts]) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if runs.is_empty() {
        reasons.push(reason(Answer::Mismatch, None, None, "there is no run".to_owned()));
    }
    let questions: [(&str, Of); 6] = [
        ("gates", |run| Some(run.gate.clone())),
        ("gate files", |run| run.gate_sha256.clone()),
        ("images", |run| run.image_sha256.clone()),
        ("lists of stages", |run| {
            Some(run.gate_stages.join(", ")).filter(|stages| !stages.is_empty())
        }),
        ("required stages", |run| {
            run.require.as_ref().map(|stages| stages.join(", "))
        }),
        ("images to publish", |run| {
            run.production.as_ref().and_then(|image| image.sha256.clone())
        }),
    ];
    for (what, of) in questions {
        let found: BTreeSet<_> = runs.iter().filter_map(of).collect();
        if found.len() > 1 {
            let found: Vec<_> = found.into_iter().collect();
            let text = format!("the runs are of different {what}: {}", found.join(" and "));
            reasons.push(reason(Answer::Mismatch, None, None, text));
        }
    }
    reasons
}

/// The rule that knows a run's failure, if it counts.
fn known_failure(run: &RunFacts) -> Option<&Known> {
    run.known
        .as_ref()
        .filter(|_| run.class == "known-failure" && !run.skipped)
}

fn is_publishable(known: &Known, today: &str) -> bool {
    known.publishable && known.expires.as_deref().is_some_and(|expires| today < expires)
}

/// What a run's verdict alone says.
fn of_verdict(run: &RunFacts, today: &str) -> Option<Reason> {
    let say = |answer, text| Some(reason(answer, Some(&run.decided_in), Some(&run.run), text));
    let cause = format!("{}: {}", run.cause, run.title.trim_end_matches('.'));
    match (run.class.as_str(), known_failure(run)) {
        ("known-failure", Some(known)) => {
            let rule = &known.rule;
            let tracked = known.tracker.as_ref().map(|tracker| format!(", tracked at {tracker}"));
            let tracked = tracked.unwrap_or_default();
            let until = known.expires.as_deref().unwrap_or("no day");
            if is_publishable(known, today) {
                let text = format!("{cause}; rule `{rule}` lets it be published until {until}{tracked}");
                return say(Answer::KnownPublishable, text);
            }
            let why = if known.publishable {
                "has expired"
            } else {
                "does not let it be published"
            };
            say(
                Answer::Known,
                format!("{cause}; rule `{rule}` {why} (until {until}){tracked}"),
            )
        }
        // A known failure without a rule that knows it is one like any other.
        ("failed", _) | ("known-failure", None) => say(Answer::Failed, cause),
        _ => None,
    }
}

/// The first stage whose failure is known and may be published: what comes after it was not reached because of it.
fn excused_after(runs: &[RunFacts], stages: &[String], today: &str) -> Option<usize> {
    let ends = runs
        .iter()
        .filter(|run| known_failure(run).is_some_and(|known| is_publishable(known, today)));
    ends.filter_map(|run| stages.iter().position(|stage| *stage == run.decided_in))
        .min()
}

fn of_stage<'a>(runs: &'a [RunFacts], stage: &'a str) -> impl Iterator<Item = (&'a RunFacts, &'a StageFacts)> {
    runs.iter()
        .filter_map(move |run| Some((run, run.stages.iter().find(|known| known.name == stage)?)))
}

/// What all runs together say of a stage, and which of them.
fn answer_of(runs: &[RunFacts], stage: &str) -> (StageAnswer, Vec<String>) {
    let mut best = StageAnswer::Missing;
    let mut by = BTreeSet::new();
    for (run, facts) in of_stage(runs, stage) {
        let answer = match facts.outcome.as_str() {
            "passed" => StageAnswer::Passed,
            "not-tested" => StageAnswer::NotTested,
            "failed" if run.class == "known-failure" => StageAnswer::KnownFailure,
            "failed" => StageAnswer::Failed,
            "undecided" => StageAnswer::Undecided,
            _ => continue,
        };
        if answer > best {
            by.clear();
        }
        if answer >= best {
            best = answer;
            by.insert(run.run.clone());
        }
    }
    (best, by.into_iter().collect())
}

/// Why a required stage is not answered.
fn lacking(runs: &[RunFacts], stage: &str, answer: StageAnswer) -> Option<Reason> {
    match answer {
        StageAnswer::Missing | StageAnswer::Undecided => {
            let undecided = of_stage(runs, stage).find(|(_, facts)| facts.outcome == "undecided");
            let (answer, text) = match undecided {
                Some((run, _)) if run.class == "untestable" => {
                    (Answer::Untested, format!("{}: {}", run.cause, run.title))
                }
                Some((run, _)) => (Answer::Retry, format!("no answer: {}: {}", run.cause, run.title)),
                None => (Answer::Retry, "no run has come to it".to_owned()),
            };
            let run = undecided.map(|(run, _)| run.run.as_str());
            Some(reason(answer, Some(stage), run, text.trim_end_matches('.').to_owned()))
        }
        StageAnswer::NotTested => {
            let untested = of_stage(runs, stage).find_map(|(run, facts)| Some((run, facts.not_tested.as_ref()?)));
            let (run, why) = untested.map_or((None, "it did not say why"), |(run, why)| (Some(run.run.as_str()), why));
            Some(reason(Answer::Untested, Some(stage), run, format!("not tested: {why}")))
        }
        // Failures are told by the verdict of their run.
        StageAnswer::Failed | StageAnswer::KnownFailure | StageAnswer::Passed | StageAnswer::Excused => None,
    }
}

/// The one value that all have, if there is one.
fn common<'a, T: PartialEq + Clone + 'a>(mut all: impl Iterator<Item = &'a T>) -> Option<T> {
    let first = all.next()?;
    all.all(|other| other == first).then(|| first.clone())
}

/// An image that nobody can name can't be published.
fn unknown_image(tested: Option<&String>, production: Option<&Production>) -> Option<Reason> {
    let text = match (tested, production) {
        (None, _) => "the digest of the tested image is not known",
        (Some(_), Some(Production { sha256: None, .. })) => {
            "the digest of the image to publish is not known: name the file by `--production FILE`"
        }
        _ => return None,
    };
    Some(reason(Answer::Retry, None, None, text.to_owned()))
}
