//! The recordings and what is known about them.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Where the recordings are.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/qmp")
}

/// One message of a recording.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    /// Since the connection was taken over.
    pub(crate) t_us: u64,
    /// `rx` came from QEMU, `tx` went to it.
    pub(crate) dir: String,
    /// The line, without its ending.
    pub(crate) raw: String,
}

/// `MANIFEST.toml`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) file: Vec<Entry>,
}

/// What is known about a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) sha256: String,
    pub(crate) bytes: u64,
    /// As QEMU's greeting says it.
    pub(crate) qemu: String,
    pub(crate) arch: String,
    pub(crate) captured: String,
    /// True if a person wrote or changed it.
    pub(crate) synthetic: bool,
    pub(crate) redactions: Vec<String>,
    /// The events that a replay gives, in order; none for a schema.
    pub(crate) events: Vec<String>,
}

pub(crate) fn manifest() -> Manifest {
    toml::from_str(&fs::read_to_string(root().join("MANIFEST.toml")).unwrap()).unwrap()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// Every recording with its entry.
pub(crate) fn recordings() -> Vec<(Entry, Vec<Message>)> {
    let is_recording = |entry: &Entry| entry.path.ends_with(".qmp.jsonl");
    let read = |entry: Entry| {
        let text = fs::read_to_string(root().join(&entry.path)).unwrap();
        let messages = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (entry, messages)
    };
    let recordings: Vec<_> = manifest().file.into_iter().filter(is_recording).map(read).collect();
    assert!(recordings.len() >= 10, "there are only {} recordings", recordings.len());
    recordings
}

#[test]
fn the_manifest_tells_every_file_and_its_hash() {
    let mut found = Vec::new();
    for directory in fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        for file in fs::read_dir(directory).unwrap() {
            let path = file.unwrap().path();
            found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    }
    found.sort();
    let entries = manifest().file;
    assert_eq!(
        found,
        entries.iter().map(|entry| entry.path.clone()).collect::<Vec<_>>()
    );
    for entry in entries {
        let bytes = fs::read(root().join(&entry.path)).unwrap();
        assert_eq!(
            sha256(&bytes),
            entry.sha256,
            "{} was changed; record it again or mark it synthetic",
            entry.path
        );
        assert!(bytes.len() <= 256 * 1024, "{} is too large to keep", entry.path);
    }
}
