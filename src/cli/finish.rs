//! The files that a run ends with: result, JUnit, manifest, and the bundle of a failed one.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::checkpoint::ORIGIN;
use crate::driver::{Outcome, StopSignals, remove_scratch};
use crate::evidence::{
    Declared, HASH_BYTES_MAX, KEPT_GATE, RECORDING, RunDir, RunRecord, STEP, kept_rules, write_atomically,
    write_manifest,
};
use crate::machine::{Class, Part, StageOutcome};
use crate::plan::{DiskUse, FailurePolicy, Plan};
use crate::qemu::disk;
use crate::report::{Closing, JunitFiles, PAGE_LOG_BYTES_MAX, ResultInputs, junit, result_json, summary};
use crate::units::MIB;

use super::print::Printer;
use super::step::{Begun, Skipped, next_block};
use super::{bundle, report};

/// A cancelled run must be gone within 5 s: only small files are hashed for its manifest.
const CANCELLED_HASH_BYTES_MAX: u64 = 16 * MIB;

/// For the same reason its page holds no more of each log.
const CANCELLED_LOG_BYTES_MAX: u64 = MIB;

/// What becomes of a failed run's machine beside its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// Nothing.
    Nothing,
    /// It goes into this bundle; false if it could not be saved, so that there is only evidence in it.
    Bundle(PathBuf, bool),
    /// It was to go into a bundle, and could not.
    NoBundle(String),
}

impl Kept {
    /// What is to become of it.
    pub(super) fn of(plan: &Plan, run: &RunDir, outcome: &Outcome, step: Option<&Begun>) -> Self {
        let (beside, machine) = (bundle::beside(run.path()), bundle::has_machine(run.path()));
        if let Some(bundle) = step.and_then(|step| step.bundle(plan, outcome, &beside)) {
            return Self::Bundle(bundle, machine);
        }
        let failed = !matches!(outcome.verdict.class, Class::Passed | Class::Cancelled);
        if plan.on_failure != Some(FailurePolicy::Bundle) || !failed || outcome.host.is_none() {
            Self::Nothing
        } else if outcome.was_cut_short {
            Self::NoBundle("a signal came before the machine was saved".to_owned())
        } else {
            Self::Bundle(beside, machine)
        }
    }

    /// The bundle.
    pub(super) fn bundle(&self) -> Option<&Path> {
        match self {
            Self::Bundle(path, _) => Some(path),
            Self::Nothing | Self::NoBundle(_) => None,
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Bundle(path, machine) => json!({ "path": path, "machine": machine }),
            Self::NoBundle(why) => json!({ "missing": why }),
        }
    }
}

/// What is known at the end beside the outcome.
pub(super) struct Ending<'a> {
    pub(super) image_sha256: Option<String>,
    pub(super) gate_sha256: &'a str,
    pub(super) kept: &'a Kept,
    /// The stage, if the run is one of a single stage.
    pub(super) step: Option<&'a Begun>,
}

/// Writes result, JUnit and manifest, in this order: a run with a manifest is whole. Gives the result.
pub(super) fn write(plan: &Plan, run: &RunDir, outcome: &Outcome, ending: &Ending<'_>, printer: &Printer) -> Value {
    discard_disks(plan, run, outcome);
    let inputs = ResultInputs {
        plan,
        info: run.info(),
        outcome,
        image_sha256: ending.image_sha256.clone(),
        gate_sha256: ending.gate_sha256,
    };
    let mut result = result_json(&inputs);
    result["bundle"] = ending.kept.to_json();
    let skipped = ending.step.and_then(|step| step.skipped.as_ref());
    result["skipped"] = skipped.map_or(Value::Null, Skipped::to_json);
    let mut problems = Vec::new();
    if let Some(step) = ending.step {
        let written = step.write_down(plan, run, outcome, ending.image_sha256.as_ref());
        problems.extend(written.err().map(|error| error.to_string()));
    }
    if let Err(error) = run.write_result(&result) {
        problems.push(error.to_string());
    }
    let evidence = run.path().display().to_string();
    let closing = Closing {
        plan,
        gate_file: "",
        outcome,
        run: run.path(),
        bundle: ending.kept.bundle(),
    };
    let names = report::attachments(run.path());
    let files = JunitFiles {
        evidence: &evidence,
        prefix: &attached_below(run.path()),
        names: &names,
    };
    let junit = junit(plan, outcome, &files).map_err(|error| error.to_string());
    for (name, text) in [("junit.xml", junit), ("summary.md", Ok(summary(&closing)))] {
        let write = |text: String| {
            let write = || write_atomically(&run.path().join(name), text.as_bytes());
            run.reserve().retry(write).map_err(|error| error.to_string())
        };
        problems.extend(text.and_then(write).err().map(|error| format!("{name}: {error}")));
    }
    if let Err(error) = write_page(run, outcome) {
        problems.push(format!("{}: {error}", report::PAGE));
    }
    let hash_bytes_max = match outcome.verdict.class {
        Class::Cancelled => CANCELLED_HASH_BYTES_MAX,
        _ => HASH_BYTES_MAX,
    };
    if let Err(error) = write_manifest(run, &declared(plan, outcome), hash_bytes_max) {
        problems.push(error.to_string());
    }
    for problem in problems {
        printer.tell(format_args!("warning: evidence is incomplete: {problem}"));
    }
    result
}

/// What stands before the name of a file of the run where a viewer of test results looks for it: GitLab looks below the project.
fn attached_below(run: &Path) -> String {
    let project = std::env::var_os("CI_PROJECT_DIR").map(PathBuf::from);
    let below = project.and_then(|project| run.strip_prefix(project).ok());
    format!("{}/", below.unwrap_or(run).display())
}

/// The page is made of the run's files, as `bootgate report` makes it.
fn write_page(run: &RunDir, outcome: &Outcome) -> Result<(), String> {
    let log_bytes_max = match outcome.verdict.class {
        Class::Cancelled => CANCELLED_LOG_BYTES_MAX,
        _ => PAGE_LOG_BYTES_MAX,
    };
    let record = RunRecord::read(run.path()).map_err(|error| error.to_string())?;
    let page = report::page_of(&record, log_bytes_max, true).map_err(|error| error.to_string())?;
    let write = || write_atomically(&run.path().join(report::PAGE), page.as_bytes());
    run.reserve().retry(write).map_err(|error| error.to_string())
}

/// Packs the bundle of a run, if there is to be one. An error is why there is none.
pub(super) async fn pack(run: &RunDir, kept: &Kept, signals: &mut StopSignals) -> Result<Option<Bundle>, String> {
    let Kept::Bundle(to, _) = kept else {
        return Ok(None);
    };
    let packed = bundle::of_run(run.path(), to, signals).await;
    let packed = packed.map_err(|error| error.to_string())?;
    // The manifest lists the files as they were packed, so size and digest lie in a file beside them.
    if let Err(error) = run.write_json("bundle.json", &bundle::bundle_json(&packed)) {
        tracing::warn!(%error, "the bundle's digest is not kept");
    }
    Ok(Some(packed))
}

/// What is told of the bundle: how to open a failed machine again, or how the next stage goes on.
pub(super) fn told(plan: &Plan, run: &RunDir, outcome: &Outcome, bundle: Option<&Bundle>) -> String {
    let next = next_block(plan, outcome, bundle);
    let record = RunRecord::read(run.path());
    match (bundle, record) {
        (Some(bundle), Ok(record)) if next.is_empty() => bundle::bundle_block(bundle, &record),
        _ => next,
    }
}

/// Disks are the largest part of a run and are kept only where the gate asks for it.
fn discard_disks(plan: &Plan, run: &RunDir, outcome: &Outcome) {
    if outcome.verdict.class != Class::Passed && outcome.verdict.class != Class::Cancelled {
        return;
    }
    let next = outcome.part.only_stage().and_then(|stage| plan.stages.get(stage + 1));
    if outcome.verdict.class == Class::Passed && next.is_some_and(|next| next.disks == DiskUse::Kept) {
        return;
    }
    for disk in plan.disks.iter().filter(|disk| !disk.keep) {
        let _ = disk::remove(&run.path().join(format!("disks/{}.{}", disk.name, disk.format.as_str())));
        // The layer over a disk of the run before.
        let _ = disk::remove(&run.path().join(format!("disks/{}.qcow2", disk.name)));
    }
    let _ = disk::remove(&run.path().join("disks/image.qcow2"));
    remove_scratch(run.path());
    if plan.disks.iter().all(|disk| !disk.keep) {
        let _ = std::fs::remove_dir_all(run.path().join(ORIGIN));
    }
}

fn declared(plan: &Plan, outcome: &Outcome) -> Vec<Declared> {
    let mut files = vec![
        ("result.json", "verdict"),
        ("trace.jsonl", "trace of every transition"),
        ("junit.xml", "verdict for test viewers"),
        (report::PAGE, "the run as a page"),
        ("summary.md", "the run in Markdown"),
        ("run.json", "identity of the run"),
        (KEPT_GATE, "gate file without its secrets, for a replay"),
        (RECORDING, "everything that reached the run, for a replay"),
    ];
    if outcome.part != Part::Whole {
        files.push((STEP, "stage of the gate, and what it has left"));
    }
    if outcome
        .reports
        .iter()
        .any(|report| report.outcome == StageOutcome::Skipped)
    {
        files.retain(|(path, _)| *path != RECORDING);
    }
    if outcome.host.is_some() {
        files.extend([
            ("qmp.jsonl", "QMP transcript"),
            ("qemu.stderr", "what QEMU said"),
            ("argv.txt", "QEMU's command lines"),
        ]);
    }
    let mut declared: Vec<_> = files.into_iter().map(|(path, role)| file(path, role)).collect();
    let rules = (1..=plan.rules.len()).map(kept_rules);
    declared.extend(rules.map(|path| file(&path, "rules of the gate, for a replay")));
    for (path, _) in &outcome.consoles {
        declared.push(file(path, "serial console"));
        if let Some(name) = path.strip_suffix(".log").filter(|name| name.starts_with("serial")) {
            declared.push(file(
                &format!("{name}.cast"),
                "serial console as a recording for players",
            ));
        }
    }
    declared
}

fn file(path: &str, role: &str) -> Declared {
    Declared {
        path: path.to_owned(),
        role: role.to_owned(),
    }
}
