//! The directory of a run, as its controller has it.

use super::atomic::{draft_beside, write_atomically};
use super::error::{Context, EvidenceError};
use super::journal::Journal;
use super::reserve::Reserve;
use crate::procfs::ProcessIdentity;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// The longest path of a socket, in bytes: `sun_path` in unix(7) has 108 with the zero at the end.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;
/// How much of a gate's name goes into the name of a run, in bytes, so that socket paths stay short.
const GATE_NAME_BYTES_MAX: usize = 32;

/// The gate file of a run, without its secrets.
pub const KEPT_GATE: &str = "gate.toml";

/// The gate's rules file with this number, from 1 on.
pub fn kept_rules(number: usize) -> String {
    format!("rules-{number}.toml")
}

pub(super) const RUN_INFO: &str = "run.json";
pub(super) const QEMU_RECORD: &str = "qemu.json";
pub(super) const LOCK: &str = "lock";
pub(super) const RESERVE: &str = "reserve";
pub(super) const RESULT: &str = "result.json";
pub(super) const TRACE: &str = "trace.jsonl";
pub(super) const LAST: &str = "last";

/// `run.json`: what a run is, known from its first moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The name of the run and of its directory: `<gate>-<yyyymmddThhmmssZ>-<first 8 digits of the uuid>`.
    pub id: String,
    /// The uuid of the run, which is also that of its virtual machines.
    pub uuid: Uuid,
    /// The name of the gate.
    pub gate: String,
    /// When it began, by the wall clock, in RFC 3339.
    pub started: String,
    /// The process that runs it.
    pub controller: ProcessIdentity,
    /// The version of bootgate that runs it.
    pub bootgate_version: String,
}

/// `qemu.json`: the QEMU of a run, or of its latest stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct QemuRecord {
    pub(super) qemu: ProcessIdentity,
    pub(super) uuid: Uuid,
}

/// The directory of a run that this process runs. A lock on it is held as long as this lives, and the kernel gives the
/// lock back if the process dies: a locked run is live, and only a live run is locked.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    info: RunInfo,
    reserve: Arc<Reserve>,
    _lock: File,
}

impl RunDir {
    /// Makes `<root>/<gate>-<utc>-<8 hex digits>/`, mode 0700, and lets `<root>/last` point to it. The directory appears
    /// under its name only when it is locked and described, so nobody can meet it half made. `root` is made, mode 0700,
    /// if it is not there.
    pub fn create(root: &Path, gate: &str, now: Timestamp) -> Result<Self, EvidenceError> {
        let run = Self::create_aside(root, gate, now)?;
        if let Some(root) = run.path.parent() {
            point_last_to(root, &run.info.id).context("replace", &root.join(LAST))?;
        }
        Ok(run)
    }

    /// The same for a machine that is no run of a gate: `last` stays where it points to.
    pub fn create_aside(root: &Path, gate: &str, now: Timestamp) -> Result<Self, EvidenceError> {
        private_directories()
            .recursive(true)
            .create(root)
            .context("create the directory", root)?;
        let root = &root.canonicalize().context("find", root)?;
        let info = describe(gate, now).context("examine", Path::new("/proc/self/stat"))?;
        let path = root.join(&info.id);
        let draft = draft_beside(&path);
        let made = make(&draft, &info).and_then(|lock| {
            std::fs::rename(&draft, &path).context("create the directory", &path)?;
            Ok(lock)
        });
        if made.is_err() {
            let _ = std::fs::remove_dir_all(&draft);
        }
        let lock = made?;
        let reserve = path.join(RESERVE);
        let reserve = Arc::new(Reserve::create(&reserve).context("keep 8 MiB back in", &reserve)?);
        Ok(Self {
            path,
            info,
            reserve,
            _lock: lock,
        })
    }

    /// Where it is, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the run is.
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    /// The room that is kept back for the journal and the result.
    pub fn reserve(&self) -> Arc<Reserve> {
        Arc::clone(&self.reserve)
    }

    /// The path of a file in it. `name` may have directories in it, as in `ssh/install.log`; they are made, mode 0700.
    pub fn file(&self, name: &str) -> Result<PathBuf, EvidenceError> {
        let path = self.path.join(name);
        let parent = path.parent().unwrap_or(&self.path);
        private_directories()
            .recursive(true)
            .create(parent)
            .context("create the directory", parent)?;
        Ok(path)
    }

    /// The path of a socket in it, if the kernel takes a path of that length.
    pub fn socket_path(&self, name: &str) -> Result<PathBuf, EvidenceError> {
        let path = self.path.join(name);
        let length_bytes = path.as_os_str().len();
        if length_bytes > SOCKET_PATH_BYTES_MAX {
            let limit_bytes = SOCKET_PATH_BYTES_MAX;
            return Err(EvidenceError::SocketPathTooLong {
                path,
                length_bytes,
                limit_bytes,
            });
        }
        Ok(path)
    }

    /// Starts `trace.jsonl`.
    pub fn trace(&self) -> Result<Journal, EvidenceError> {
        Journal::create(&self.path.join(TRACE), Some(self.reserve()))
    }

    /// Writes a JSON file whole or not at all, with the reserve if the disk is full.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<PathBuf, EvidenceError> {
        let path = self.file(name)?;
        let bytes = json_bytes(value).context("encode", &path)?;
        self.reserve
            .retry(|| write_atomically(&path, &bytes))
            .context("write", &path)?;
        Ok(path)
    }

    /// Keeps the gate file, without its secrets, so that a replay reads the run as it was meant.
    pub fn keep_gate(&self, text: &[u8]) -> Result<(), EvidenceError> {
        let path = self.file(KEPT_GATE)?;
        let write = || write_atomically(&path, text);
        self.reserve.retry(write).context("write", &path)
    }

    /// Keeps the gate's rules files, for the same reason.
    pub fn keep_rules(&self, texts: &[String]) -> Result<(), EvidenceError> {
        for (name, text) in (1..).map(kept_rules).zip(texts) {
            let path = self.file(&name)?;
            let write = || write_atomically(&path, text.as_bytes());
            self.reserve.retry(write).context("write", &path)?;
        }
        Ok(())
    }

    /// Writes `result.json`, which makes the run a finished one.
    pub fn write_result(&self, result: &Value) -> Result<PathBuf, EvidenceError> {
        self.write_json(RESULT, result)
    }

    /// Writes down which QEMU belongs to the run. To be done right after it was started, so that `reap` can find it if we
    /// are killed and the kernel fails to kill it too. `uuid` is that of its machine: the run's own, or, of a machine that
    /// was restored, that of the run that it was saved by.
    pub fn record_qemu(&self, qemu: ProcessIdentity, uuid: Uuid) -> Result<(), EvidenceError> {
        self.write_json(QEMU_RECORD, &QemuRecord { qemu, uuid }).map(drop)
    }
}

/// Pretty-printed, with a newline at the end: people read these files too.
pub(super) fn json_bytes(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn private_directories() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

fn describe(gate: &str, now: Timestamp) -> io::Result<RunInfo> {
    let uuid = Uuid::new_v4();
    let digits = uuid.simple().to_string();
    Ok(RunInfo {
        id: format!(
            "{}-{}-{}",
            file_name_of(gate),
            now.strftime("%Y%m%dT%H%M%SZ"),
            &digits[..8]
        ),
        uuid,
        gate: gate.to_owned(),
        started: now.to_string(),
        controller: ProcessIdentity::of(std::process::id())?,
        bootgate_version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// A gate's name as a part of a file name, of a QEMU `-name` and of a URL: nothing in it needs quoting, and it can't
/// be hidden, lead out of the directory or look like an option.
fn file_name_of(gate: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' || c == '.' {
            c
        } else {
            '-'
        }
    };
    let name: String = gate.chars().map(plain).take(GATE_NAME_BYTES_MAX).collect();
    let name = name.trim_matches(['.', '-']);
    if name.is_empty() {
        "gate".to_owned()
    } else {
        name.to_owned()
    }
}

fn make(draft: &Path, info: &RunInfo) -> Result<File, EvidenceError> {
    private_directories()
        .create(draft)
        .context("create the directory", draft)?;
    let path = draft.join(LOCK);
    let lock = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .context("create", &path)?;
    lock.lock().context("lock", &path)?;
    let path = draft.join(RUN_INFO);
    let bytes = json_bytes(info).context("encode", &path)?;
    write_atomically(&path, &bytes).context("write", &path)?;
    Ok(lock)
}

fn point_last_to(root: &Path, id: &str) -> io::Result<()> {
    let last = root.join(LAST);
    let draft = draft_beside(&last);
    std::os::unix::fs::symlink(id, &draft)?;
    std::fs::rename(&draft, &last).inspect_err(|_| drop(std::fs::remove_file(&draft)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_name_says_gate_time_and_run() {
        let root = tempfile::tempdir().unwrap();
        let now = "2026-03-04T05:06:07.8Z".parse().unwrap();
        let run = RunDir::create(root.path(), "live image", now).unwrap();
        let digits = run.info().uuid.simple().to_string();
        assert_eq!(run.info().id, format!("live-image-20260304T050607Z-{}", &digits[..8]));
        assert_eq!(root.path().join("last").canonicalize().unwrap(), run.path());
    }

    #[test]
    fn a_socket_path_that_the_kernel_would_refuse_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(root.path(), "g", Timestamp::UNIX_EPOCH).unwrap();
        let name_bytes = SOCKET_PATH_BYTES_MAX - run.path().as_os_str().len() - 1;
        let longest = run.socket_path(&"s".repeat(name_bytes)).unwrap();
        std::os::unix::net::UnixListener::bind(longest).unwrap();
        let error = run.socket_path(&"s".repeat(name_bytes + 1)).unwrap_err();
        assert!(
            error.to_string().contains("has 108 bytes and the kernel takes 107"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn any_gate_name_gives_a_plain_file_name(gate in ".{0,60}") {
            let name = file_name_of(&gate);
            prop_assert!(!name.is_empty() && name.len() <= GATE_NAME_BYTES_MAX);
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
            prop_assert!(!name.starts_with(['.', '-']));
        }
    }
}
