//! The files that a run ends with: result, JUnit, manifest, and the bundle of a failed one.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::driver::{Outcome, StopSignals, remove_scratch};
use crate::evidence::{
    Declared, HASH_BYTES_MAX, KEPT_GATE, RECORDING, RunDir, RunRecord, write_atomically, write_manifest,
};
use crate::machine::Class;
use crate::plan::{FailurePolicy, Plan};
use crate::qemu::disk;
use crate::report::{Closing, ResultInputs, junit, result_json, summary};
use crate::units::MIB;

use super::bundle;
use super::print::Printer;

/// A cancelled run must be gone within 5 s: only small files are hashed for its manifest.
const CANCELLED_HASH_BYTES_MAX: u64 = 16 * MIB;

/// What becomes of a failed run's machine beside its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// Nothing.
    Nothing,
    /// It goes into this bundle.
    Bundle(PathBuf),
    /// It was to go into a bundle, and could not.
    NoBundle(String),
}

impl Kept {
    /// What is to become of it.
    pub(super) fn of(plan: &Plan, run: &RunDir, outcome: &Outcome) -> Self {
        let failed = !matches!(outcome.verdict.class, Class::Passed | Class::Cancelled);
        if plan.on_failure != Some(FailurePolicy::Bundle) || !failed || outcome.host.is_none() {
            Self::Nothing
        } else if outcome.was_cut_short {
            Self::NoBundle("a signal came before the machine was saved".to_owned())
        } else {
            Self::Bundle(bundle::beside(run.path()))
        }
    }

    /// The bundle.
    pub(super) fn bundle(&self) -> Option<&Path> {
        match self {
            Self::Bundle(path) => Some(path),
            Self::Nothing | Self::NoBundle(_) => None,
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Bundle(path) => json!({ "path": path }),
            Self::NoBundle(why) => json!({ "missing": why }),
        }
    }
}

/// Writes result, JUnit and manifest, in this order: a run with a manifest is whole. Gives the result.
pub(super) fn write(
    plan: &Plan,
    run: &RunDir,
    outcome: &Outcome,
    (image_sha256, kept): (Option<String>, &Kept),
    printer: &Printer,
) -> Value {
    discard_disks(plan, run, outcome);
    let inputs = ResultInputs {
        plan,
        info: run.info(),
        outcome,
        image_sha256,
    };
    let mut result = result_json(&inputs);
    result["bundle"] = kept.to_json();
    let mut problems = Vec::new();
    if let Err(error) = run.write_result(&result) {
        problems.push(error.to_string());
    }
    let evidence = run.path().display().to_string();
    let closing = Closing {
        plan,
        gate_file: "",
        outcome,
        run: run.path(),
        bundle: kept.bundle(),
    };
    let junit = junit(plan, outcome, &evidence).map_err(|error| error.to_string());
    for (name, text) in [("junit.xml", junit), ("summary.md", Ok(summary(&closing)))] {
        let write = |text: String| {
            let write = || write_atomically(&run.path().join(name), text.as_bytes());
            run.reserve().retry(write).map_err(|error| error.to_string())
        };
        problems.extend(text.and_then(write).err().map(|error| format!("{name}: {error}")));
    }
    let hash_bytes_max = match outcome.verdict.class {
        Class::Cancelled => CANCELLED_HASH_BYTES_MAX,
        _ => HASH_BYTES_MAX,
    };
    if let Err(error) = write_manifest(run, &declared(outcome), hash_bytes_max) {
        problems.push(error.to_string());
    }
    for problem in problems {
        printer.tell(format_args!("warning: evidence is incomplete: {problem}"));
    }
    result
}

/// Packs the bundle of a run that failed, if there is to be one. Gives what is to be told of it; an error is why there is
/// none.
pub(super) async fn pack(run: &RunDir, kept: &Kept, signals: &mut StopSignals) -> Result<String, String> {
    let Kept::Bundle(_) = kept else {
        return Ok(String::new());
    };
    let packed = bundle::of_failed(run.path(), signals).await;
    let packed = packed.map_err(|error| error.to_string())?;
    // The manifest lists the files as they were packed, so size and digest lie in a file beside them.
    if let Err(error) = run.write_json("bundle.json", &bundle::bundle_json(&packed)) {
        tracing::warn!(%error, "the bundle's digest is not kept");
    }
    let record = RunRecord::read(run.path()).map_err(|error| error.to_string())?;
    Ok(bundle::bundle_block(&packed, &record))
}

/// Disks are the largest part of a run and are kept only where the gate asks for it.
fn discard_disks(plan: &Plan, run: &RunDir, outcome: &Outcome) {
    if outcome.verdict.class != Class::Passed && outcome.verdict.class != Class::Cancelled {
        return;
    }
    for disk in plan.disks.iter().filter(|disk| !disk.keep) {
        let _ = disk::remove(&run.path().join(format!("disks/{}.{}", disk.name, disk.format.as_str())));
    }
    let _ = disk::remove(&run.path().join("disks/image.qcow2"));
    remove_scratch(run.path());
}

fn declared(outcome: &Outcome) -> Vec<Declared> {
    let mut files = vec![
        ("result.json", "verdict"),
        ("trace.jsonl", "trace of every transition"),
        ("junit.xml", "verdict for test viewers"),
        ("summary.md", "the run on one page"),
        ("run.json", "identity of the run"),
        (KEPT_GATE, "gate file without its secrets, for a replay"),
        (RECORDING, "everything that reached the run, for a replay"),
    ];
    if outcome.host.is_some() {
        files.extend([
            ("qmp.jsonl", "QMP transcript"),
            ("qemu.stderr", "what QEMU said"),
            ("argv.txt", "QEMU's command lines"),
        ]);
    }
    let mut declared: Vec<_> = files.into_iter().map(|(path, role)| file(path, role)).collect();
    declared.extend(outcome.consoles.iter().map(|(path, _)| file(path, "serial console")));
    declared
}

fn file(path: &str, role: &str) -> Declared {
    Declared {
        path: path.to_owned(),
        role: role.to_owned(),
    }
}
