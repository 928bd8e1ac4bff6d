//! What `reopen` was asked for, and why it may be refused.

use std::path::{Path, PathBuf};

use tokio::sync::watch;

use crate::bundle::{self, Limits, Manifest, UnpackError};
use crate::checkpoint::{Cancel, Progress};
use crate::driver::CHECKPOINT;
use crate::evidence;
use crate::machine::Verdict;
use crate::text::terminal_line;

/// The exit code if the machine can't be opened again.
pub(super) const EXIT_REFUSED: u8 = 4;
const PROBLEM_CHARS_MAX: usize = 2000;
/// Where a bundle is unpacked in the directory of its machine.
pub(super) const UNPACKED: &str = "bundle";
const WHAT_TO_NAME: &str = "name a bundle, or a run whose machine was saved: `last`, its id or its directory; `bootgate bundle RUN` makes a bundle";

/// Why it is not reopened, and what to do: for a person.
pub(super) struct Refused {
    pub(super) problem: String,
    pub(super) help: String,
    pub(super) code: u8,
}

impl Refused {
    pub(super) fn usage(problem: impl Into<String>, help: &str) -> Self {
        Self::new(problem, help, Verdict::EXIT_USAGE)
    }

    pub(super) fn host(problem: impl Into<String>) -> Self {
        Self::new(problem, "free space, or choose another place with --runs", EXIT_REFUSED)
    }

    pub(super) fn machine(problem: impl Into<String>) -> Self {
        Self::new(problem, "nothing was changed; the bundle is as it was", EXIT_REFUSED)
    }

    pub(super) fn cancelled() -> Self {
        Self::new("stopped before the machine was open", "nothing is left of it", 130)
    }

    fn new(problem: impl Into<String>, help: &str, code: u8) -> Self {
        Self {
            problem: terminal_line(problem.into(), PROBLEM_CHARS_MAX),
            help: help.to_owned(),
            code,
        }
    }

    fn unpacking(error: &UnpackError) -> Self {
        match error {
            UnpackError::NotABundle { .. } => Self::usage(error.to_string(), WHAT_TO_NAME),
            _ => Self::new(
                error.to_string(),
                "nothing of it is left; the file is as it was",
                EXIT_REFUSED,
            ),
        }
    }
}

/// A saved machine.
pub(super) enum Saved {
    /// In this file.
    Bundle(PathBuf),
    /// In the directory of its run.
    Run(PathBuf),
}

impl Saved {
    /// What was asked for, if it is one: nothing is written for anything else.
    pub(super) fn find(asked: &Path, runs: &Path) -> Result<Self, Refused> {
        if asked.is_file() {
            let manifest = bundle::look(asked).map_err(|error| Refused::unpacking(&error))?;
            return match manifest.checkpoint {
                Some(_) => Ok(Self::Bundle(asked.to_owned())),
                None => Err(evidence_only(&manifest)),
            };
        }
        let run = if asked.is_dir() {
            asked.to_owned()
        } else {
            let found = evidence::open(runs, &asked.to_string_lossy());
            let missing = |error| Refused::usage(format!("no such file, and {error}"), WHAT_TO_NAME);
            found.map_err(missing)?.path
        };
        if run.join(CHECKPOINT).is_dir() {
            Ok(Self::Run(run))
        } else {
            let problem = format!("the machine of `{}` was not saved", run.display());
            Err(Refused::usage(problem, WHAT_TO_NAME))
        }
    }

    /// The directory of its checkpoint, and images that came along: a bundle is unpacked below `directory`.
    pub(super) async fn checkpoint(
        &self,
        directory: &Path,
        progress: &watch::Sender<Progress>,
    ) -> Result<(PathBuf, Vec<PathBuf>), Refused> {
        let bundle = match self {
            Self::Run(run) => return Ok((run.join(CHECKPOINT), Vec::new())),
            Self::Bundle(bundle) => bundle.clone(),
        };
        let into = directory.join(UNPACKED);
        let unpacking = bundle::unpack(bundle, into, Limits::default(), progress.clone(), Cancel::default());
        let unpacked = unpacking.await.map_err(|error| Refused::unpacking(&error))?;
        match unpacked.checkpoint() {
            Some(checkpoint) => Ok((checkpoint, unpacked.images())),
            None => Err(evidence_only(&unpacked.manifest)),
        }
    }
}

fn evidence_only(manifest: &Manifest) -> Refused {
    let dropped = manifest.dropped.iter();
    let dropped: Vec<_> = dropped
        .map(|dropped| format!("; without {}: {}", dropped.role.as_str(), dropped.reason))
        .collect();
    Refused::new(
        format!("the bundle holds no machine, only evidence{}", dropped.concat()),
        "its files can be read with `tar --zstd -xf`",
        EXIT_REFUSED,
    )
}
