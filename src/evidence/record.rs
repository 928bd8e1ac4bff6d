//! The directory of a run, as anybody who did not run it reads it.

use super::atomic::DRAFT_PREFIX;
use super::error::{Context, EvidenceError};
use super::journal::{JournalRead, read_journal};
use super::reap::REAPED;
use super::rundir::{LAST, LOCK, RESERVE, RESULT, RUN_INFO, RunInfo, TRACE};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The largest JSON file of a run that is read, in bytes.
const JSON_BYTES_MAX: u64 = 16 * crate::units::MIB;

/// How far a run got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Its controller runs it now.
    Live,
    /// It has a verdict.
    Finished,
    /// Its controller died before the verdict.
    Interrupted {
        /// True if its QEMU had to be killed afterwards.
        reaped: bool,
    },
}

/// A run on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// Its directory, as an absolute path.
    pub path: PathBuf,
    /// What it is.
    pub info: RunInfo,
}

impl RunRecord {
    /// Reads `run.json` of the run in this directory.
    pub fn read(path: &Path) -> Result<Self, EvidenceError> {
        let path = path.canonicalize().context("find the run", path)?;
        let info = read_json(&path.join(RUN_INFO))?;
        Ok(Self { path, info })
    }

    /// How far it got.
    pub fn verdict_state(&self) -> Result<RunState, EvidenceError> {
        if self.is_locked()? {
            return Ok(RunState::Live);
        }
        let there = |name: &str| self.path.join(name).exists();
        if there(RESULT) {
            return Ok(RunState::Finished);
        }
        Ok(RunState::Interrupted { reaped: there(REAPED) })
    }

    /// Gives back the room that an interrupted run still keeps for its last words. True if there was any.
    pub fn discard_reserve(&self) -> Result<bool, EvidenceError> {
        if self.is_locked()? {
            return Ok(false);
        }
        let path = self.path.join(RESERVE);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            removed => removed.context("remove", &path).map(|()| true),
        }
    }

    /// Its `result.json`; `None` if it has none.
    pub fn result(&self) -> Result<Option<Value>, EvidenceError> {
        match read_json(&self.path.join(RESULT)) {
            Err(EvidenceError::File { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// Its `trace.jsonl`.
    pub fn trace(&self) -> Result<JournalRead, EvidenceError> {
        read_journal(&self.path.join(TRACE))
    }

    /// True if its controller lives. A shared lock is enough to tell, so readers don't get in each other's way.
    pub(super) fn is_locked(&self) -> Result<bool, EvidenceError> {
        let path = self.path.join(LOCK);
        let lock = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            opened => opened.context("open", &path)?,
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(source)) => Err(source).context("lock", &path),
        }
    }
}

/// All runs in `root`, the oldest first. What is no run is passed over.
pub fn list(root: &Path) -> Result<Vec<RunRecord>, EvidenceError> {
    let entries = match std::fs::read_dir(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context("list", root)?,
    };
    let mut runs = Vec::new();
    for entry in entries {
        let entry = entry.context("list", root)?;
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let unfinished = entry.file_name().to_string_lossy().starts_with(DRAFT_PREFIX);
        if is_directory && !unfinished {
            runs.extend(RunRecord::read(&entry.path()));
        }
    }
    runs.sort_by(|a, b| (&a.info.started, &a.info.id).cmp(&(&b.info.started, &b.info.id)));
    Ok(runs)
}

/// Finds a run: `last`, the name of a run in `root`, a part of one that only one run has, or the path of a run directory.
pub fn open(root: &Path, asked: &str) -> Result<RunRecord, EvidenceError> {
    let in_root = root.join(asked);
    let is_name = !asked.is_empty() && !asked.contains('/');
    if is_name && in_root.join(RUN_INFO).exists() {
        return RunRecord::read(&in_root);
    }
    if Path::new(asked).join(RUN_INFO).exists() {
        return RunRecord::read(Path::new(asked));
    }
    if asked.contains('/') {
        return Err(EvidenceError::NotARun { path: asked.into() });
    }
    let runs = list(root)?;
    // The link leads nowhere when the newest run has been removed.
    if let (true, Some(newest)) = (asked == LAST, runs.last()) {
        return Ok(newest.clone());
    }
    let is_meant = |run: &&RunRecord| !asked.is_empty() && run.info.id.contains(asked);
    let matching: Vec<&RunRecord> = runs.iter().filter(is_meant).collect();
    if let [only] = matching[..] {
        return Ok(only.clone());
    }
    let hint = match (&matching[..], runs.last()) {
        (_, None) => "no gate has been run there yet; `bootgate run GATE` runs one".to_owned(),
        ([first, .., last], _) => format!(
            "{} runs have that in their name, from `{}` to `{}`; write more of it",
            matching.len(),
            first.info.id,
            last.info.id
        ),
        (_, Some(newest)) => format!(
            "write `{LAST}`, the path of a run, or a name such as `{}`",
            newest.info.id
        ),
    };
    Err(EvidenceError::NoSuchRun {
        asked: asked.to_owned(),
        root: root.to_owned(),
        hint,
    })
}

/// Reads a JSON file of a run, which may come from another machine.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, EvidenceError> {
    let mut bytes = Vec::new();
    let file = File::open(path).context("open", path)?;
    file.take(JSON_BYTES_MAX)
        .read_to_end(&mut bytes)
        .context("read", path)?;
    serde_json::from_slice(&bytes).map_err(|error| EvidenceError::Malformed {
        path: path.to_owned(),
        problem: error.to_string(),
    })
}
