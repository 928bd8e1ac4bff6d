//! Saving a stopped machine.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::evidence::write_atomically;
use crate::qemu::argv::MachineSpec;
use crate::qemu::disk::{Digest, free_bytes};
use crate::qmp::{Qmp, RunState};

use super::bounded::Room;
use super::cancel::Cancel;
use super::describe::{self, Survey};
use super::error::SaveError;
use super::freeze::freeze;
use super::job::COMMAND_WITHIN;
use super::memory::MEMORY_FILE;
use super::outgoing;
use super::progress::{Phase, Progress};
use super::record::{MACHINE_FILE, MemoryRecord, Record, SshAccess};
use super::stored::safe_relative;

/// What part of the guest's memory must be free on the disk to begin with: a guest of 2 GiB that has booted takes 5 % of
/// it, one that is full of files some 30 %. What is really there is looked at while it is written.
const ESTIMATE_DIVISOR: u64 = 8;

/// A machine to be saved.
#[derive(Debug, Clone)]
pub struct SaveRequest {
    /// Its QEMU. The guest is stopped, and no migration of it has been completed since it ran last: QEMU refuses a second.
    pub qmp: Qmp,
    /// The run directory, below which all its disks lie.
    pub run_dir: PathBuf,
    /// The name of the checkpoint's directory in it. It is made, and must not be there.
    pub name: String,
    /// The machine as it is now.
    pub machine: MachineSpec,
    /// The command line that it was started with.
    pub argv: Vec<String>,
    /// True if the machine is to go on: then overlays are put on top of its disks.
    pub freeze: bool,
    /// What the compressed memory may take.
    pub room: Room,
    /// Digests that are known already, so that no image is read twice.
    pub known: Vec<KnownDigest>,
    /// How to log in to the guest.
    pub ssh: Option<SshAccess>,
}

/// The digest of a file that was read before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDigest {
    /// The file.
    pub path: PathBuf,
    /// The SHA-256 of the whole file.
    pub sha256: Digest,
}

/// A machine that was saved.
#[derive(Debug, Clone)]
pub struct Saved {
    /// The checkpoint's directory.
    pub directory: PathBuf,
    /// What was written down.
    pub record: Record,
    /// The machine as it is now: with `freeze`, its disks are the overlays.
    pub machine: MachineSpec,
    /// How long it took until memory and devices were on the disk.
    pub memory_took: Duration,
}

/// Saves a stopped machine. It stays stopped, in QEMU's state `postmigrate`; `cont` lets it go on.
///
/// Memory and devices come first, then firmware, digests and overlays, and `machine.json` last. Ends by itself when
/// cancelled; if the future is dropped, what it began ends as well. A file that is not whole is named `ram.zst.partial`.
pub async fn save(request: SaveRequest, progress: watch::Sender<Progress>, cancel: Cancel) -> Result<Saved, SaveError> {
    let started = Instant::now();
    let (cancel, _stop_when_dropped) = cancel.part();
    let run_state = stopped(&request.qmp).await?;
    let directory = request.run_dir.join(&request.name);
    prepare(&request, &directory)?;
    let memory = outgoing::store_memory(&request.qmp, &directory, request.room, &progress, &cancel).await?;
    let memory_took = started.elapsed();
    let survey = Survey {
        run_dir: request.run_dir.clone(),
        name: request.name.clone(),
        machine: request.machine.clone(),
        known: request.known.clone(),
    };
    let memory = memory.record(format!("{}/{MEMORY_FILE}", request.name));
    let record = survey_files(survey, Some(memory), progress.clone(), cancel.clone()).await?;
    let record = Record {
        run_state,
        ssh: request.ssh,
        argv: request.argv,
        ..record
    };
    let path = directory.join(MACHINE_FILE);
    if cancel.is_cancelled() {
        return Err(SaveError::Cancelled);
    }
    write(&path, &record)?;
    let mut machine = request.machine;
    if request.freeze {
        progress.send_replace(Progress::of(Phase::Freezing, 0));
        let overlays = request.run_dir.join("disks");
        machine = match freeze(&request.qmp, &machine, &overlays).await {
            Ok(machine) => machine,
            Err(error) => {
                // Not whole: the disks that belong to it may be written again.
                let _ = std::fs::remove_file(&path);
                return Err(error.into());
            }
        };
    }
    progress.send_replace(Progress::of(Phase::Done, 0));
    Ok(Saved {
        directory,
        record,
        machine,
        memory_took,
    })
}

/// The guest's state, if it is stopped.
async fn stopped(qmp: &Qmp) -> Result<String, SaveError> {
    let state = qmp.query_status(COMMAND_WITHIN).await?;
    let name = serde_json::to_value(state).unwrap_or_default();
    let name = name.as_str().unwrap_or_default().to_owned();
    match state {
        RunState::running | RunState::inmigrate | RunState::finish_migrate => {
            Err(SaveError::NotStopped { state: name })
        }
        RunState::postmigrate => Err(SaveError::SavedBefore),
        _ => Ok(name),
    }
}

fn prepare(request: &SaveRequest, directory: &Path) -> Result<(), SaveError> {
    safe_relative(&request.name).map_err(|_| SaveError::Elsewhere {
        path: directory.to_owned(),
    })?;
    describe::check_places(&request.machine, &request.run_dir)?;
    let run_dir = &request.run_dir;
    let free = free_bytes(run_dir).map_err(SaveError::host("examine", run_dir))?;
    let estimate = (request.machine.memory.0 / ESTIMATE_DIVISOR).min(request.room.budget_bytes);
    let wanted_bytes = estimate.saturating_add(request.room.reserve_bytes);
    if free < wanted_bytes {
        return Err(SaveError::TooFull {
            path: run_dir.clone(),
            free_bytes: free,
            wanted_bytes,
        });
    }
    make(directory)
}

/// Makes the directory of a checkpoint.
pub(super) fn make(directory: &Path) -> Result<(), SaveError> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(SaveError::Exists {
            path: directory.to_owned(),
        }),
        made => made.map_err(SaveError::host("create", directory)),
    }
}

pub(super) async fn survey_files(
    survey: Survey,
    memory: Option<MemoryRecord>,
    progress: watch::Sender<Progress>,
    cancel: Cancel,
) -> Result<Record, SaveError> {
    let work = move || describe::record(&survey, memory, &progress, &cancel);
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(SaveError::Cancelled))
}

pub(super) fn write(path: &Path, record: &Record) -> Result<(), SaveError> {
    let json = serde_json::to_vec_pretty(record).map_err(io::Error::other);
    json.and_then(|bytes| write_atomically(path, &bytes))
        .map_err(SaveError::host("write", path))
}
