//! What of a run's `result.json` counts.

use serde_json::Value;

/// What of a run counts. Texts may come from another machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunFacts {
    /// The run's name.
    pub run: String,
    /// The gate's name.
    pub gate: String,
    /// The digest of its gate file.
    pub gate_sha256: Option<String>,
    /// The digest of the image that was tested.
    pub image_sha256: Option<String>,
    /// The image that is to be published, if it is not the one that was tested.
    pub production: Option<Production>,
    /// The class of its verdict.
    pub class: String,
    /// The cause of its verdict.
    pub cause: String,
    /// The cause as a sentence.
    pub title: String,
    /// The stage that decided its verdict.
    pub decided_in: String,
    /// The known failure that decided it.
    pub known: Option<Known>,
    /// True if nothing was started, because the stage before had not passed.
    pub skipped: bool,
    /// The names of all stages of the gate.
    pub gate_stages: Vec<String>,
    /// The stages that must be answered; `None`: all of them.
    pub require: Option<Vec<String>>,
    /// The stages that belong to the run.
    pub stages: Vec<StageFacts>,
}

/// The image that is to be published.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Production {
    /// Where it was.
    pub path: String,
    /// Its digest.
    pub sha256: Option<String>,
}

/// The rule that knows a failure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Known {
    /// Its id.
    pub rule: String,
    /// Where the failure is tracked.
    pub tracker: Option<String>,
    /// True if an image that fails this way may be published.
    pub publishable: bool,
    /// The first day on which the rule counts no more.
    pub expires: Option<String>,
}

/// A stage of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StageFacts {
    /// Its name.
    pub name: String,
    /// How it ended, by the name in results.
    pub outcome: String,
    /// Why it did not test what it is for.
    pub not_tested: Option<String>,
}

/// Why a `result.json` can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its result has no {0}; it was made by a bootgate that this one does not understand")]
pub struct FactsError(pub &'static str);

impl RunFacts {
    /// Takes them from a run's `result.json`.
    pub fn of_result(result: &Value) -> Result<Self, FactsError> {
        let verdict = &result["verdict"];
        let need = |value: Option<String>, what| value.ok_or(FactsError(what));
        let stages = result["stages"].as_array().ok_or(FactsError("stages"))?;
        let image = &result["image"];
        let gate = &result["gate_stages"];
        Ok(Self {
            run: need(text(&result["run"]), "run")?,
            gate: need(text(&result["gate"]), "gate")?,
            gate_sha256: text(&result["gate_sha256"]),
            image_sha256: text(&image["sha256"]),
            production: production(&image["production"]),
            class: need(text(&verdict["class"]), "class")?,
            cause: need(text(&verdict["cause"]), "cause")?,
            title: text(&verdict["title"]).unwrap_or_default(),
            decided_in: text(&verdict["stage"]).unwrap_or_default(),
            known: known(verdict),
            skipped: !result["skipped"].is_null(),
            gate_stages: texts(gate).ok_or(FactsError("list of the gate's stages"))?,
            require: texts(&result["publish"]["require"]),
            stages: stages.iter().map(stage).collect(),
        })
    }
}

impl RunFacts {
    /// Those of a run that ended without a result: `step` is its stage, if it was one of a single stage, and the digest of
    /// its gate file.
    pub fn interrupted(run: &str, gate: &str, step: Option<(String, String)>) -> Self {
        let (stage, gate_sha256) = step.unzip();
        let stage = stage.map(|name| StageFacts {
            name,
            outcome: "undecided".to_owned(),
            not_tested: None,
        });
        Self {
            run: run.to_owned(),
            gate: gate.to_owned(),
            gate_sha256,
            image_sha256: None,
            production: None,
            class: "infrastructure".to_owned(),
            cause: "interrupted".to_owned(),
            title: "The run was killed before its verdict".to_owned(),
            decided_in: String::new(),
            known: None,
            skipped: false,
            gate_stages: Vec::new(),
            require: None,
            stages: stage.into_iter().collect(),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn texts(value: &Value) -> Option<Vec<String>> {
    Some(value.as_array()?.iter().filter_map(text).collect())
}

fn production(value: &Value) -> Option<Production> {
    Some(Production {
        path: text(&value["path"])?,
        sha256: text(&value["sha256"]),
    })
}

fn known(verdict: &Value) -> Option<Known> {
    let rule = &verdict["rule"];
    Some(Known {
        rule: text(&rule["id"])?,
        tracker: text(&rule["tracker"]),
        publishable: rule["publishable"].as_bool().unwrap_or(false),
        expires: text(&rule["expires"]),
    })
}

fn stage(value: &Value) -> StageFacts {
    StageFacts {
        name: text(&value["name"]).unwrap_or_default(),
        outcome: text(&value["outcome"]).unwrap_or_default(),
        not_tested: text(&value["not_tested"]),
    }
}
