//! `manifest.json`: what a run has left, so that anybody can tell whether it is still all there.

use super::error::{Context, EvidenceError};
use super::record::read_json;
use super::rundir::{LAST, LOCK, RESERVE, RunDir};
use crate::units::MIB;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The name of the manifest.
pub const MANIFEST: &str = "manifest.json";
/// The largest file that is hashed if nothing else is asked for, in bytes. It leaves out disks and memory, which take
/// longer than a run may take to end.
pub const HASH_BYTES_MAX: u64 = 256 * MIB;

/// A file that a run was to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its path below the run directory.
    pub path: String,
    /// What it is.
    pub role: String,
}

/// The whole of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The uuid of the run.
    pub run_uuid: Uuid,
    /// The files by their path below the run directory.
    pub files: BTreeMap<String, ManifestEntry>,
    /// What was to be there and is not.
    pub missing: Vec<String>,
    /// Always true: the file is written last and appears whole.
    pub complete: bool,
}

/// One file of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// What it is; empty if nobody declared it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// Its length, in bytes.
    pub size_bytes: u64,
    /// What it takes on the disk, in bytes: less than its length if it has holes.
    pub allocated_bytes: u64,
    /// The SHA-256 of its content, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Why there is no hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How a run differs from its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A file is gone.
    Missing(String),
    /// A file has another length or content.
    Changed(String),
    /// A file is there that was not when the manifest was written.
    Added(String),
}

/// Lists what is in the run directory, hashes what is at most `hash_bytes_max` bytes long, and writes the manifest. To be
/// done last: the manifest says that the run is complete.
pub fn write_manifest(run: &RunDir, declared: &[Declared], hash_bytes_max: u64) -> Result<Manifest, EvidenceError> {
    let roles: BTreeMap<&str, &str> = declared.iter().map(|file| (&*file.path, &*file.role)).collect();
    let mut files = BTreeMap::new();
    for name in files_below(run.path())? {
        let path = run.path().join(&name);
        let entry = examine(&path, hash_bytes_max).context("read", &path)?;
        let role = roles.get(&*name).copied().unwrap_or_default().to_owned();
        files.insert(name, ManifestEntry { role, ..entry });
    }
    let missing = roles
        .into_keys()
        .filter(|&path| !files.contains_key(path))
        .map(str::to_owned)
        .collect();
    let manifest = Manifest {
        run_uuid: run.info().uuid,
        files,
        missing,
        complete: true,
    };
    run.write_json(MANIFEST, &manifest)?;
    Ok(manifest)
}

/// Compares a run with its manifest. A file without a hash is compared by its length.
pub fn verify_manifest(directory: &Path) -> Result<(Manifest, Vec<Difference>), EvidenceError> {
    let path = directory.join(MANIFEST);
    let manifest: Manifest = read_json(&path)?;
    if !manifest.complete {
        let problem = "it does not say that it is complete".to_owned();
        return Err(EvidenceError::Malformed { path, problem });
    }
    let mut differences = Vec::new();
    let there = files_below(directory)?;
    for (name, entry) in &manifest.files {
        if !there.contains(name) {
            differences.push(Difference::Missing(name.clone()));
            continue;
        }
        let path = directory.join(name);
        let hash_bytes_max = if entry.sha256.is_some() { entry.size_bytes } else { 0 };
        let now = examine(&path, hash_bytes_max).context("read", &path)?;
        if (now.size_bytes, &now.sha256) != (entry.size_bytes, &entry.sha256) {
            differences.push(Difference::Changed(name.clone()));
        }
    }
    let added = there.into_iter().filter(|name| !manifest.files.contains_key(name));
    differences.extend(added.map(Difference::Added));
    Ok((manifest, differences))
}

/// The regular files below a directory, by their path in it; not the manifest and what only a live run needs. A link is
/// not followed: it could lead out of the run.
fn files_below(directory: &Path) -> Result<Vec<String>, EvidenceError> {
    let (mut names, mut waiting) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(below) = waiting.pop() {
        let here = directory.join(&below);
        for entry in std::fs::read_dir(&here).context("list", &here)? {
            let entry = entry.context("list", &here)?;
            let name = below.join(entry.file_name());
            let kind = entry.file_type().context("examine", &entry.path())?;
            if kind.is_dir() {
                waiting.push(name);
            } else if kind.is_file() && ![MANIFEST, LOCK, RESERVE, LAST].map(Path::new).contains(&&*name) {
                names.push(name.to_string_lossy().into_owned());
            }
        }
    }
    names.sort();
    Ok(names)
}

fn examine(path: &Path, hash_bytes_max: u64) -> io::Result<ManifestEntry> {
    let file = File::open(path)?;
    let data: Metadata = file.metadata()?;
    let size_bytes = data.len();
    let hashed = size_bytes <= hash_bytes_max;
    Ok(ManifestEntry {
        role: String::new(),
        size_bytes,
        allocated_bytes: data.blocks() * 512,
        sha256: if hashed {
            Some(sha256(file.take(size_bytes))?)
        } else {
            None
        },
        note: (!hashed).then(|| format!("not hashed: larger than {hash_bytes_max} bytes")),
    })
}

fn sha256(mut reader: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    Ok(hash.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn declared(path: &str) -> Declared {
        Declared {
            path: path.to_owned(),
            role: format!("the {path}"),
        }
    }

    #[test]
    fn it_lists_hashes_and_misses() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(root.path(), "g", Timestamp::UNIX_EPOCH).unwrap();
        std::fs::write(run.file("ssh/install.log").unwrap(), "abc").unwrap();
        let disk = File::create(run.file("disk.raw").unwrap()).unwrap();
        disk.set_len(10 * MIB).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", run.file("link").unwrap()).unwrap();
        let wanted = [declared("ssh/install.log"), declared("serial.log")];
        let manifest = write_manifest(&run, &wanted, MIB).unwrap();
        let names: Vec<_> = manifest.files.keys().map(String::as_str).collect();
        assert_eq!(names, ["disk.raw", "run.json", "ssh/install.log"]);
        assert_eq!(manifest.missing, ["serial.log"]);
        let log = &manifest.files["ssh/install.log"];
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(
            (log.role.as_str(), log.sha256.as_deref()),
            ("the ssh/install.log", Some(abc))
        );
        let disk = &manifest.files["disk.raw"];
        assert_eq!(
            (disk.size_bytes, disk.allocated_bytes, &disk.sha256),
            (10 * MIB, 0, &None)
        );
        assert_eq!(verify_manifest(run.path()).unwrap(), (manifest, vec![]));
    }

    #[test]
    fn a_change_is_seen() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(root.path(), "g", Timestamp::UNIX_EPOCH).unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(run.file(name).unwrap(), "old").unwrap();
        }
        write_manifest(&run, &[], HASH_BYTES_MAX).unwrap();
        std::fs::write(run.file("a").unwrap(), "new").unwrap();
        std::fs::remove_file(run.file("b").unwrap()).unwrap();
        std::fs::write(run.file("d").unwrap(), "").unwrap();
        let (_, differences) = verify_manifest(run.path()).unwrap();
        let expected = [
            Difference::Changed("a".into()),
            Difference::Missing("b".into()),
            Difference::Added("d".into()),
        ];
        assert_eq!(differences, expected);
    }
}
