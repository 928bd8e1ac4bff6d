//! The logs of a past run, stage by stage.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::evidence::{EvidenceError, RunRecord};
use crate::triage::{Finding, Rules, Source};

use super::found::Log;
use super::scan::{self, Reading};
use super::timed::{self, Timed};

/// How the logs of what screens said are named.
const SCREEN: &str = "screen-text";

/// A stage of a past run.
pub(super) struct OldStage {
    pub(super) name: String,
    began_us: u64,
    /// The number of its machine, from 1, if no later stage had that machine: then its console is this stage's to read.
    console_of: Option<usize>,
}

/// A past run.
pub(super) struct OldRun {
    path: PathBuf,
    /// The stages that began, in order.
    pub(super) stages: Vec<OldStage>,
    timed: Vec<Timed>,
    /// What the screens said that the run has heeded: what it cites. Else the same stands on the console.
    screens: BTreeSet<String>,
    /// `verdict` of its result; `Null` if it has none.
    pub(super) verdict: Value,
}

/// What was found in each stage of a run.
pub(super) fn logs(rules: &Arc<Rules>, record: &RunRecord) -> Result<Vec<Log>, EvidenceError> {
    let run = OldRun::read(record)?;
    let log = |number: usize| {
        let Reading { findings, gaps, .. } = run.read_stage(rules, number);
        let name = format!("{} stage {}", record.info.id, run.stages[number].name);
        Log { name, findings, gaps }
    };
    Ok((0..run.stages.len()).map(log).collect())
}

impl OldRun {
    pub(super) fn read(record: &RunRecord) -> Result<Self, EvidenceError> {
        let verdict = record.result()?.map_or(Value::Null, |result| result["verdict"].clone());
        let trace = match record.trace() {
            Ok(trace) => trace.records,
            Err(EvidenceError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut timed = timed::qmp_events(&record.path);
        timed.extend(timed::notes(&trace));
        Ok(Self {
            path: record.path.clone(),
            stages: stages(&trace),
            timed,
            screens: screens(&trace),
            verdict,
        })
    }

    /// The cause that the machine decided on by itself in this stage, if it did.
    pub(super) fn machine_cause(&self, stage: usize) -> Option<&str> {
        if self.verdict["stage"] != self.stages[stage].name.as_str() {
            return None;
        }
        let by_rule = self.verdict["rule"].is_object();
        let symptom = self.verdict["symptom"].as_str();
        symptom.or_else(|| self.verdict["cause"].as_str().filter(|_| !by_rule))
    }

    /// What the rules find in a stage, in the order in which it may have become certain.
    pub(super) fn findings(&self, rules: &Arc<Rules>, number: usize) -> Vec<Finding> {
        self.read_stage(rules, number).findings
    }

    fn read_stage(&self, rules: &Arc<Rules>, number: usize) -> Reading {
        let stage = &self.stages[number];
        let ended_us = self.stages.get(number + 1).map_or(u64::MAX, |next| next.began_us);
        let mut reading = Reading::new(rules);
        let mut read = |name: &str, source: Source| {
            // What is not there was not printed.
            if let Some(path) = plain_file(&self.path, name) {
                let _ = scan::file(&path, &[source], name, &mut reading);
            }
        };
        if let Some(machine) = stage.console_of {
            let log = |stem: &str| match machine {
                1 => format!("{stem}.log"),
                _ => format!("{stem}-{machine}.log"),
            };
            read(&log("firmware"), Source::Serial);
            read(&log("serial"), Source::Serial);
            if self.screens.contains(&log(SCREEN)) {
                read(&log(SCREEN), Source::Serial);
            }
        }
        read(&format!("ssh/{}.log", stage.name), Source::CommandOutput);
        if self.verdict["stage"] == stage.name.as_str() {
            read("qemu.stderr", Source::QemuStderr);
        }
        let of_stage = |line: &&Timed| (stage.began_us..ended_us).contains(&line.t_us);
        timed::take(
            self.timed.iter().filter(of_stage).collect(),
            &mut reading.correlator,
            &mut reading.findings,
        );
        let at_end = reading.correlator.end(self.machine_cause(number));
        reading.findings.extend(at_end);
        reading
    }
}

/// A file of a run. A link is none: a run may come from elsewhere.
fn plain_file(run: &Path, name: &str) -> Option<PathBuf> {
    let path = run.join(name);
    let is_file = path.symlink_metadata().is_ok_and(|found| found.is_file());
    (is_file && !name.contains("..")).then_some(path)
}

fn screens(trace: &[Value]) -> BTreeSet<String> {
    let cited = trace.iter().filter_map(|record| record["evidence"]["file"].as_str());
    cited
        .filter(|file| file.starts_with(SCREEN))
        .map(str::to_owned)
        .collect()
}

fn stages(trace: &[Value]) -> Vec<OldStage> {
    let mut stages: Vec<OldStage> = Vec::new();
    let mut machine = 1;
    for record in trace {
        if record["kind"] == "transition" && record["to"] == "Preparing" {
            machine += 1;
        }
        let (Some(name), "stage-began") = (record["stage"].as_str(), record["kind"].as_str().unwrap_or_default())
        else {
            continue;
        };
        for earlier in &mut stages {
            if earlier.console_of == Some(machine) {
                earlier.console_of = None;
            }
        }
        stages.push(OldStage {
            name: name.to_owned(),
            began_us: record["t_us"].as_u64().unwrap_or(0),
            console_of: Some(machine),
        });
    }
    stages
}
