//! The record beside a debug image: of which production image it is made, and what was changed.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::evidence::write_atomically;
use crate::qemu::disk::Digest;

/// The largest record that is read, in bytes.
const RECORD_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The version of the record's form.
pub(super) const RECORD_VERSION: u32 = 1;

/// What is written beside a debug image, as `IMAGE.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebugRecord {
    /// The version of the form.
    pub version: u32,
    /// What made it, with its version.
    pub made_by: String,
    /// When.
    pub made: String,
    /// The image that may be published.
    pub production: ImageFacts,
    /// The image that is made of it for tests.
    pub debug: ImageFacts,
    /// The squashfs in which the changes are, by its path in both images.
    pub squashfs: String,
    /// The unit that serves SSH in the debug image.
    pub server: String,
    /// Who can log in to the debug image.
    pub login: LoginFacts,
    /// What was changed, file by file.
    pub changes: Vec<ChangeFacts>,
    /// Files and directories that are the same in both.
    pub entries_kept: usize,
    /// Worth knowing.
    pub notes: Vec<String>,
    /// The programs that did the work, with their versions.
    pub tools: Vec<String>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFacts {
    /// Its file's name.
    pub file: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its SHA-256.
    pub sha256: Digest,
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginFacts {
    /// The user.
    pub user: String,
    /// `key` or `password`.
    pub by: String,
    /// The file beside the image that holds the private key or the password. `None`: the caller has it.
    pub file: Option<String>,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeFacts {
    /// The file.
    pub path: String,
    /// What was done, as in "link added".
    pub what: String,
    /// What for.
    pub why: String,
}

/// Why a record can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It can't be read.
    #[error("the record `{}` can't be read: {problem}", path.display())]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// It is about other images.
    #[error("the record `{}` says that the {which} image has sha256 {recorded}, and `{}` has {found}", path.display(), image.display())]
    Mismatch {
        /// Where it is.
        path: PathBuf,
        /// `production` or `debug`.
        which: &'static str,
        /// The image.
        image: PathBuf,
        /// The digest in the record.
        recorded: Box<Digest>,
        /// The digest of the image.
        found: Box<Digest>,
    },
}

impl DebugRecord {
    /// Where the record of a debug image lies: beside it, with `.json` behind its name.
    pub fn place(image: &Path) -> PathBuf {
        beside(image, "json")
    }

    /// The record of a debug image. `None`: it has none.
    pub fn of(image: &Path) -> Result<Option<Self>, RecordError> {
        let path = Self::place(image);
        let unreadable = |problem: String| RecordError::Unreadable {
            path: path.clone(),
            problem,
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        let mut text = Vec::new();
        let read = file.take(RECORD_BYTES_MAX).read_to_end(&mut text);
        read.map_err(|error| unreadable(error.to_string()))?;
        let record = serde_json::from_slice::<Self>(&text).map_err(|error| unreadable(error.to_string()))?;
        if record.version != RECORD_VERSION {
            return Err(unreadable(format!("its form is of version {}", record.version)));
        }
        Ok(Some(record))
    }

    /// Holds the record against both images, each with its digest.
    pub fn check(&self, production: (&Path, Digest), debug: (&Path, Digest)) -> Result<(), RecordError> {
        let both = [
            ("production", &self.production, production),
            ("debug", &self.debug, debug),
        ];
        for (which, recorded, (image, found)) in both {
            if recorded.sha256 != found {
                return Err(RecordError::Mismatch {
                    path: Self::place(debug.0),
                    which,
                    image: image.to_owned(),
                    recorded: Box::new(recorded.sha256),
                    found: Box::new(found),
                });
            }
        }
        Ok(())
    }

    pub(super) fn write(&self, path: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::other)?;
        write_atomically(path, (text + "\n").as_bytes())?;
        // It holds no secret, and belongs to an image that others may read.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
    }
}

/// A file beside another, with a word behind its name.
pub(super) fn beside(path: &Path, word: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(word);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(digit: &str) -> Digest {
        digit.repeat(64).parse().unwrap()
    }

    fn record() -> DebugRecord {
        let image = |file: &str, sha256| ImageFacts {
            file: file.to_owned(),
            size_bytes: 1,
            sha256,
        };
        DebugRecord {
            version: RECORD_VERSION,
            made_by: "bootgate".to_owned(),
            made: "2026-01-01T00:00:00Z".to_owned(),
            production: image("a.iso", digest("a")),
            debug: image("b.iso", digest("b")),
            squashfs: "/live/filesystem.squashfs".to_owned(),
            server: "ssh.service".to_owned(),
            login: LoginFacts {
                user: "root".to_owned(),
                by: "key".to_owned(),
                file: None,
            },
            changes: Vec::new(),
            entries_kept: 0,
            notes: Vec::new(),
            tools: Vec::new(),
        }
    }

    #[test]
    fn a_record_is_found_beside_its_image_and_held_against_both() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("b.iso");
        assert!(DebugRecord::of(&image).unwrap().is_none());
        record().write(&DebugRecord::place(&image)).unwrap();
        let found = DebugRecord::of(&image).unwrap().unwrap();
        assert_eq!(found, record());
        let production = Path::new("a.iso");
        found.check((production, digest("a")), (&image, digest("b"))).unwrap();
        let error = found
            .check((production, digest("c")), (&image, digest("b")))
            .unwrap_err();
        assert!(
            error.to_string().contains("the production image has sha256 aaaa"),
            "{error}"
        );
        std::fs::write(DebugRecord::place(&image), "{}").unwrap();
        assert!(DebugRecord::of(&image).is_err());
    }
}
