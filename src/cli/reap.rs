//! `bootgate reap`: ends what runs that were killed have left.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::evidence::{Orphan, RESERVE_BYTES, Reaped, find_orphans, list, reap};
use crate::units::ByteSize;

use super::{args, say};

/// The exit code if something could not be ended: the host's fault.
const EXIT_LEFT: u8 = 4;

/// End every QEMU whose bootgate is gone. Runs that are going on are never touched.
///
/// A QEMU dies with its bootgate; this is for the host on which it did not. It also gives back the disk space that a
/// killed run kept for its last words. Each `bootgate run` begins with the same.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bootgate reap\n  bootgate reap --runs /srv/runs --json")]
pub(super) struct Reap {
    /// The directory that keeps the runs.
    #[arg(long, value_name = "DIR", env = "BOOTGATE_RUNS", default_value_os_t = args::default_runs())]
    runs: PathBuf,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
}

impl Reap {
    pub(super) fn execute(self) -> ExitCode {
        let sweep = Sweep::of(&self.runs);
        let said = if self.json {
            say::answer(format_args!("{:#}\n", sweep.to_json()))
        } else if sweep.found.is_empty() {
            say::answer("nothing to reap\n")
        } else {
            say::answer(sweep.lines().map(|line| line + "\n").collect::<String>())
        };
        if sweep.left() { ExitCode::from(EXIT_LEFT) } else { said }
    }
}

/// Every run begins by ending what earlier ones have left.
pub(super) fn before_run(runs: &Path) {
    for line in Sweep::of(runs).lines() {
        say::tell(format_args!("note: {line}"));
    }
}

/// What a sweep found and did.
struct Sweep {
    found: Vec<Found>,
}

enum Found {
    Killed(Orphan),
    StillThere(Orphan),
    Failed(Orphan, String),
    /// A killed run can't give its reserve back itself.
    Reserve {
        run: PathBuf,
    },
    /// The sweep itself could not look.
    Blind(String),
}

impl Sweep {
    fn of(runs: &Path) -> Self {
        let mut found = Vec::new();
        match find_orphans(runs) {
            Err(error) => found.push(Found::Blind(error.to_string())),
            Ok(orphans) => {
                for orphan in orphans {
                    found.extend(match reap(&orphan, jiff::Timestamp::now()) {
                        Ok(Reaped::Killed) => Some(Found::Killed(orphan)),
                        Ok(Reaped::AlreadyGone | Reaped::Busy) => None,
                        Ok(Reaped::StillThere) => Some(Found::StillThere(orphan)),
                        Err(error) => Some(Found::Failed(orphan, error.to_string())),
                    });
                }
            }
        }
        for record in list(runs).unwrap_or_default() {
            if record.discard_reserve().unwrap_or(false) {
                found.push(Found::Reserve { run: record.path });
            }
        }
        Self { found }
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        self.found.iter().map(ToString::to_string)
    }

    /// True if a person has to see to something.
    fn left(&self) -> bool {
        !self
            .found
            .iter()
            .all(|found| matches!(found, Found::Killed(_) | Found::Reserve { .. }))
    }

    fn to_json(&self) -> Value {
        json!({
            "found": self.found.iter().map(Found::to_json).collect::<Vec<_>>(),
            "left": self.left(),
        })
    }
}

impl Found {
    fn orphan(&self) -> Option<&Orphan> {
        match self {
            Self::Killed(orphan) | Self::StillThere(orphan) | Self::Failed(orphan, _) => Some(orphan),
            Self::Reserve { .. } | Self::Blind(_) => None,
        }
    }

    fn to_json(&self) -> Value {
        let what = match self {
            Self::Killed(_) => "killed",
            Self::StillThere(_) => "still-there",
            Self::Failed(..) => "not-killed",
            Self::Reserve { .. } => "reserve-given-back",
            Self::Blind(_) => "not-looked-at",
        };
        let orphan = self.orphan();
        let run = match self {
            Self::Reserve { run } => Some(run),
            _ => orphan.and_then(|orphan| orphan.run.as_ref()),
        };
        json!({
            "what": what,
            "message": self.to_string(),
            "run": run.map(|path| path.to_string_lossy()),
            "run_uuid": orphan.map(|orphan| orphan.uuid),
            "qemu_pid": orphan.map(|orphan| orphan.qemu.pid),
        })
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed(orphan) => write!(f, "killed {}", Name(orphan)),
            Self::StillThere(orphan) => write!(
                f,
                "killed {}, and it is still there: it waits in the kernel; look for a hung disk in `dmesg`",
                Name(orphan)
            ),
            Self::Failed(orphan, why) => write!(f, "{} can't be ended: {why}", Name(orphan)),
            Self::Reserve { run } => {
                let size = ByteSize(RESERVE_BYTES);
                write!(
                    f,
                    "gave back up to {size} that {} kept for its last words",
                    run.display()
                )
            }
            Self::Blind(why) => write!(f, "can't look for orphans: {why}"),
        }
    }
}

/// A virtual machine as a person knows it.
struct Name<'a>(&'a Orphan);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Orphan { qemu, uuid, run } = self.0;
        write!(f, "QEMU {} of ", qemu.pid)?;
        match run {
            Some(run) => write!(f, "{}", run.display()),
            None => write!(f, "run {uuid}, whose directory is gone"),
        }
    }
}
