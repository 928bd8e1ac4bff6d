//! Archives that no honest bootgate writes.

use std::path::{Path, PathBuf};

use bootgate::qemu::disk::Digest;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

/// An archive in the making.
#[derive(Default)]
pub(crate) struct Forge {
    files: Vec<Value>,
    entries: Vec<u8>,
    pub(crate) manifest: Value,
}

impl Forge {
    /// One that says that it is a bundle.
    pub(crate) fn new() -> Self {
        let manifest = json!({
            "format": 1, "bootgate_version": "0.1.0", "run": "forged", "checkpoint": null,
            "files": [], "images": [], "dropped": [],
        });
        Self {
            manifest,
            ..Self::default()
        }
    }

    /// Names a file in the manifest.
    pub(crate) fn lists(mut self, path: &str, data: &[u8]) -> Self {
        let sha256 = Digest::from(Sha256::new_with_prefix(data)).to_string();
        let file = json!({ "path": path, "size_bytes": data.len(), "sha256": sha256 });
        self.files.push(json!({ "role": "evidence", "file": file }));
        self
    }

    /// Names something as a file in the manifest.
    pub(crate) fn lists_value(mut self, file: &Value) -> Self {
        self.files.push(json!({ "role": "disk", "file": file }));
        self
    }

    /// Adds an entry, whatever its name is.
    pub(crate) fn entry(mut self, path: &[u8], kind: EntryType, data: &[u8]) -> Self {
        let header = header(path, kind, data.len() as u64);
        self.entries.extend(header.as_bytes());
        self.entries.extend(data);
        self.entries.resize(self.entries.len().next_multiple_of(512), 0);
        self
    }

    /// Adds an entry that claims another length than it has.
    pub(crate) fn claims(mut self, path: &[u8], size_bytes: u64, data: &[u8]) -> Self {
        self.entries
            .extend(header(path, EntryType::Regular, size_bytes).as_bytes());
        self.entries.extend(data);
        self
    }

    /// The archive, not compressed.
    pub(crate) fn tar(mut self) -> Vec<u8> {
        self.manifest["files"] = self.files.into();
        let json = serde_json::to_vec(&self.manifest).unwrap();
        let mut tar = header(b"bundle.json", EntryType::Regular, json.len() as u64)
            .as_bytes()
            .to_vec();
        tar.extend(json);
        tar.resize(tar.len().next_multiple_of(512), 0);
        tar.extend(self.entries);
        tar.extend([0; 1024]);
        tar
    }

    /// Writes it to a file of a folder.
    pub(crate) fn write(self, folder: &Path) -> PathBuf {
        write(folder, &zstd::encode_all(&self.tar()[..], 1).unwrap())
    }
}

/// Writes bytes as a bundle.
pub(crate) fn write(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("forged.tar.zst");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn header(path: &[u8], kind: EntryType, size_bytes: u64) -> Header {
    let mut header = Header::new_ustar();
    // `set_path` refuses what is forged here.
    header.as_old_mut().name[..path.len()].copy_from_slice(path);
    if kind.is_symlink() || kind.is_hard_link() {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_size(size_bytes);
    header.set_mode(0o4777);
    header.set_entry_type(kind);
    header.set_cksum();
    header
}
