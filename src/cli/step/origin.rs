//! Where the run of the stage before is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tokio::sync::watch;

use crate::bundle::{self, Limits};
use crate::checkpoint::{Cancel, Checkpoint, Progress};
use crate::evidence::{self, newest_step};

use super::begin::Refused;

/// The file that a directory has if it is a run.
const RUN_INFO: &str = "run.json";

/// A run of the stage before.
#[derive(Debug)]
pub(super) enum Origin {
    /// Its directory.
    Run(PathBuf),
    /// Its bundle.
    Bundle(PathBuf),
}

impl Origin {
    /// What is asked for, or the newest one. `None`: there is none.
    pub(super) fn find(asked: Option<&str>, runs: &Path, gate: &str, stage: &str) -> Result<Option<Self>, Refused> {
        let Some(asked) = asked else {
            return Ok(newest_step(runs, gate, stage)?.map(|run| Self::Run(run.path)));
        };
        let path = Path::new(asked);
        if path.is_file() {
            return Ok(Some(Self::Bundle(path.to_owned())));
        }
        if path.is_dir() && !path.join(RUN_INFO).exists() {
            return Ok(newest_step(path, gate, stage)?.map(|run| Self::Run(run.path)));
        }
        let run = evidence::open(runs, asked);
        let run = run.map_err(|error| {
            Refused::usage(
                error.to_string(),
                "--from takes a run, the directory of one or of several, or a bundle",
            )
        })?;
        Ok(Some(Self::Run(run.path)))
    }

    /// What was found.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Run(path) | Self::Bundle(path) => path,
        }
    }

    /// The directory in which it can be read, and the images that it has taken along. A bundle is unpacked into `into`.
    pub(super) async fn open(&self, into: &Path) -> Result<(PathBuf, Vec<PathBuf>), Refused> {
        let Self::Bundle(bundle) = self else {
            return Ok((self.path().to_owned(), Vec::new()));
        };
        let (progress, _) = watch::channel(Progress::default());
        let unpacking = bundle::unpack(
            bundle.clone(),
            into.to_owned(),
            Limits::default(),
            progress,
            Cancel::default(),
        );
        let unpacked = unpacking
            .await
            .map_err(|error| Refused::host(error.to_string(), "copy or download the bundle again"))?;
        let images = unpacked.images();
        Ok((unpacked.directory, images))
    }

    /// Removes what was unpacked and is of no use: all but the files of the checkpoint.
    pub(super) fn forget(&self, into: &Path, keep: Option<&Checkpoint>) {
        let Self::Bundle(_) = self else { return };
        let Some(checkpoint) = keep else {
            // It only takes space.
            let _ = std::fs::remove_dir_all(into);
            return;
        };
        let files = checkpoint
            .record()
            .files()
            .into_iter()
            .map(|file| into.join(&file.path));
        let folders = [into.join(crate::driver::CHECKPOINT), into.join("images")];
        let kept: BTreeSet<_> = files.chain(folders).collect();
        forget_others(into, &kept);
    }
}

/// Removes the files below a directory that are neither wanted nor in a wanted directory.
fn forget_others(directory: &Path, kept: &BTreeSet<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if kept.contains(&path) {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            forget_others(&path, kept);
            // Only if nothing is left in it.
            let _ = std::fs::remove_dir(&path);
        } else {
            let _ = std::fs::remove_file(&path);
        }
    }
}
