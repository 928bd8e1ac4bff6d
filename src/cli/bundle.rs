//! `bootgate bundle`, and the bundle that a failed run ends with.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::bundle::{self, Bundle, Dropped, Options, PackError};
use crate::checkpoint::{Cancel, Checkpoint, Progress, Room};
use crate::driver::{CHECKPOINT, StopSignals};
use crate::evidence::{self, RunRecord, RunState};
use crate::machine::Verdict;
use crate::units::{ByteSize, GIB, MIB};

use super::{args, run, say};

/// The most bytes that a bundle may have unless somebody says otherwise.
const BUDGET_BYTES: u64 = 32 * GIB;
/// What packing leaves free on the disk.
const SPACE_LEFT_BYTES: u64 = 64 * MIB;
const EXIT_NOT_PACKED: u8 = 4;

/// Pack a run into one file that can be opened again elsewhere.
///
/// It holds the evidence, and of a run that was saved the guest's memory and what the guest wrote to its disks. Images that
/// the guest only read are named by their digests. Memory and disks contain what the guest knew, secrets too.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bootgate bundle last\n  bootgate bundle last -o failed.tar.zst --full")]
pub(super) struct BundleArgs {
    /// The run: `last`, its id or a part of it, or its directory.
    #[arg(default_value = "last")]
    run: String,
    #[command(flatten)]
    runs: args::RunsDir,
    /// The bundle's file, which must not be there yet. [default: beside the run's directory]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Take along the images that the guest only read.
    #[arg(long)]
    full: bool,
    /// The most that it may have: images are left out first, then disks, then the memory.
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| text.parse::<ByteSize>().map_err(|error| error.to_string()))]
    max_size: Option<ByteSize>,
    /// Print what a program would read as JSON.
    #[arg(long)]
    json: bool,
}

impl BundleArgs {
    pub(super) fn execute(self) -> ExitCode {
        let record = match evidence::open(&self.runs.dir, &self.run) {
            Ok(record) => record,
            Err(error) => return refuse(&error.to_string(), Verdict::EXIT_USAGE),
        };
        if matches!(record.verdict_state(), Ok(RunState::Live)) {
            return refuse(
                "the run is still going on, or its machine is held\n  help: end it first: `bootgate inspect RUN quit`",
                Verdict::EXIT_USAGE,
            );
        }
        let (runtime, mut signals) = match run::begin() {
            Ok(begun) => begun,
            Err(error) => return refuse(&error.to_string(), Verdict::EXIT_INTERNAL),
        };
        let to = self.output.clone().unwrap_or_else(|| beside(&record.path));
        let budget_bytes = self.max_size.map_or(BUDGET_BYTES, |size| size.0);
        let packed = runtime.block_on(pack(&record.path, &to, self.full, budget_bytes, &mut signals));
        match packed {
            Ok(bundle) if self.json => say::answer(format_args!("{:#}\n", bundle_json(&bundle))),
            Ok(bundle) => say::answer(bundle_block(&bundle, &record)),
            Err(error) => refuse(&error.to_string(), EXIT_NOT_PACKED),
        }
    }
}

fn refuse(problem: &str, code: u8) -> ExitCode {
    say::tell(format_args!("error: {problem}"));
    ExitCode::from(code)
}

/// The bundle of a run lies beside its directory. Its name says whether the machine is in it.
pub(super) fn beside(run: &Path) -> PathBuf {
    let mut name = run.as_os_str().to_owned();
    name.push(if has_machine(run) {
        ".tar.zst"
    } else {
        ".evidence.tar.zst"
    });
    PathBuf::from(name)
}

/// True if the machine of a run is saved, and whole: its memory, or of one that was powered down its disks.
pub(super) fn has_machine(run: &Path) -> bool {
    Checkpoint::open(&run.join(CHECKPOINT)).is_ok()
}

/// Packs the bundle of a run that has just ended. A signal ends it; then the file is named as not whole.
pub(super) async fn of_run(run: &Path, to: &Path, signals: &mut StopSignals) -> Result<Bundle, PackError> {
    pack(run, to, false, BUDGET_BYTES, signals).await
}

async fn pack(
    run: &Path,
    to: &Path,
    full: bool,
    budget_bytes: u64,
    signals: &mut StopSignals,
) -> Result<Bundle, PackError> {
    let saved = run.join(CHECKPOINT).is_dir();
    let options = Options {
        run_dir: run.to_owned(),
        checkpoint: saved.then(|| CHECKPOINT.to_owned()),
        full,
    };
    let room = Room {
        budget_bytes,
        reserve_bytes: SPACE_LEFT_BYTES,
    };
    let cancel = Cancel::default();
    let (progress, _) = watch::channel(Progress::default());
    let mut packing = std::pin::pin!(bundle::pack(options, to.to_owned(), room, progress, cancel.clone()));
    tokio::select! {
        packed = &mut packing => packed,
        _ = signals.next() => {
            cancel.cancel();
            packing.await
        }
    }
}

/// What a program is told of a bundle.
pub(super) fn bundle_json(bundle: &Bundle) -> Value {
    let dropped = |dropped: &Dropped| {
        json!({
            "what": dropped.role.as_str(),
            "data_bytes": dropped.data_bytes,
            "reason": dropped.reason,
        })
    };
    json!({
        "path": bundle.path,
        "size_bytes": bundle.size_bytes,
        "sha256": bundle.sha256,
        "missing": bundle.manifest.dropped.iter().map(dropped).collect::<Vec<_>>(),
        "images": bundle.manifest.images.iter().map(|image| json!({
            "path": image.image.path,
            "sha256": image.image.sha256,
            "taken_along": image.path.is_some(),
        })).collect::<Vec<_>>(),
    })
}

/// What a person is told of a bundle: where it is, and the one command that opens it again.
pub(super) fn bundle_block(bundle: &Bundle, run: &RunRecord) -> String {
    let size = ByteSize(bundle.size_bytes);
    let path = bundle.path.display();
    let mut text = format!("Bundle:   {path} ({size})\n");
    for dropped in &bundle.manifest.dropped {
        let _ = writeln!(text, "          without {}: {}", dropped.role.as_str(), dropped.reason);
    }
    let opened = Checkpoint::open(&run.path.join(CHECKPOINT));
    if let Ok(checkpoint) = opened {
        if checkpoint.record().memory.is_none() {
            return text;
        }
        let images = bundle.manifest.images.iter().filter(|image| image.path.is_none());
        let _ = write!(text, "Reopen:   bootgate reopen {path}");
        for image in images {
            let _ = write!(text, " --image {}", image.image.path.display());
        }
        text.push('\n');
    } else {
        text.push_str("          evidence only: the machine is not in it\n");
    }
    text
}
