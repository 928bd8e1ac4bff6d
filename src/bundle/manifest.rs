//! `bundle.json`: what a bundle holds, and what it does not.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::checkpoint::{BaseImage, StoredFile};

/// The name of the first entry.
pub const MANIFEST: &str = "bundle.json";
/// The form that this version of bootgate writes and reads.
pub const FORMAT: u32 = 1;
/// The most files that a bundle may have.
pub(super) const FILES_MAX: usize = 4096;

/// What a bundle holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The bootgate that wrote it.
    pub bootgate_version: String,
    /// The name of the run's directory.
    pub run: String,
    /// The directory of the checkpoint in the bundle, if there is one.
    pub checkpoint: Option<String>,
    /// The files, in the order of the archive.
    pub files: Vec<Packed>,
    /// The images that the machine needs.
    pub images: Vec<Image>,
    /// What was left out, and why.
    pub dropped: Vec<Dropped>,
}

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packed {
    /// What it is.
    pub role: Role,
    /// The file.
    pub file: StoredFile,
}

/// What a file of a bundle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// What the run recorded.
    Evidence,
    /// The guest's memory, its firmware, and the machine's description.
    Memory,
    /// What the guest wrote to its disks.
    Disk,
    /// An image that the guest only read.
    Image,
}

impl Role {
    /// What it is called in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evidence => "evidence",
            Self::Memory => "memory",
            Self::Disk => "disks",
            Self::Image => "images",
        }
    }
}

/// An image that the machine needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Which one, by its digest.
    pub image: BaseImage,
    /// Its path in the bundle, if it was taken along.
    pub path: Option<String>,
}

/// What was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropped {
    /// What it was.
    pub role: Role,
    /// How much it was, in bytes of data.
    pub data_bytes: u64,
    /// Why it is not there, as a clause.
    pub reason: String,
}

impl Manifest {
    /// What is wrong with it, if anything: every path is safe and there once.
    pub(super) fn problem(&self) -> Option<String> {
        if self.files.len() > FILES_MAX {
            return Some(format!("it names more than {FILES_MAX} files"));
        }
        let mut seen = BTreeSet::new();
        for Packed { file, .. } in &self.files {
            if let Err(fault) = file.validate() {
                return Some(fault.to_string());
            }
            if file.path == MANIFEST || !seen.insert(&file.path) {
                return Some(format!("it names `{}` twice", file.path));
            }
        }
        // A file can't lie below another file.
        let below = |path: &&String| {
            let parents = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
            parents.into_iter().any(|parent| seen.contains(&parent))
        };
        let nested = seen.iter().copied().find(below);
        nested.map(|path| format!("it names `{path}` below a file"))
    }
}
