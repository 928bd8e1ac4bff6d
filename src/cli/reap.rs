//! `bootgate reap`: ends what runs that were killed have left.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::evidence::{HoldRecord, Orphan, RESERVE_BYTES, Reaped, find_orphans, list, reap};
use crate::procfs::{ProcessGrip, ProcessIdentity};
use crate::units::ByteSize;

use super::{args, inspect, say};

/// The exit code if something could not be ended: the host's fault.
const EXIT_LEFT: u8 = 4;
/// How long a holder may take to end its machine by the ladder.
const HOLDER_ENDS_WITHIN: Duration = Duration::from_secs(15);
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// End what is held, and every QEMU whose bootgate is gone; runs that are going on stay.
///
/// A QEMU dies with its bootgate; this is for the host on which it did not. It also gives back the disk space that a
/// killed run kept for its last words. Each `bootgate run` begins with the same, except that it leaves holds alone.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bootgate reap\n  bootgate reap --runs /srv/runs --json")]
pub(super) struct Reap {
    #[command(flatten)]
    runs: args::RunsDir,
    /// Leave the machines that are held for a person.
    #[arg(long)]
    keep_held: bool,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
}

impl Reap {
    pub(super) fn execute(self) -> ExitCode {
        let mut sweep = Sweep::of(&self.runs.dir);
        if !self.keep_held {
            sweep.end_holds(&self.runs.dir);
        }
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
    /// A machine that was held for a person.
    Released {
        run: PathBuf,
    },
    /// One whose holder does not let go of it.
    StillHeld {
        run: PathBuf,
        hold: HoldRecord,
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

    /// Asks every holder to end its machine, and ends the holder that does not.
    fn end_holds(&mut self, runs: &Path) {
        let held = list(runs).unwrap_or_default().into_iter();
        for (record, hold) in held.filter_map(|record| record.hold().map(|hold| (record, hold))) {
            let run = record.path;
            let asked = inspect::quit(&run);
            let found = if asked && is_gone(hold.holder, HOLDER_ENDS_WITHIN) || kill(hold.holder) {
                Found::Released { run }
            } else {
                Found::StillHeld { run, hold }
            };
            self.found.push(found);
        }
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        self.found.iter().map(ToString::to_string)
    }

    /// True if a person has to see to something.
    fn left(&self) -> bool {
        !self
            .found
            .iter()
            .all(|found| matches!(found, Found::Killed(_) | Found::Reserve { .. } | Found::Released { .. }))
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
            Self::Reserve { .. } | Self::Released { .. } | Self::StillHeld { .. } | Self::Blind(_) => None,
        }
    }

    fn to_json(&self) -> Value {
        let what = match self {
            Self::Killed(_) => "killed",
            Self::StillThere(_) => "still-there",
            Self::Failed(..) => "not-killed",
            Self::Reserve { .. } => "reserve-given-back",
            Self::Released { .. } => "hold-ended",
            Self::StillHeld { .. } => "still-held",
            Self::Blind(_) => "not-looked-at",
        };
        let orphan = self.orphan();
        let run = match self {
            Self::Reserve { run } | Self::Released { run } | Self::StillHeld { run, .. } => Some(run),
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
            Self::Released { run } => write!(f, "ended the machine that was held for {}", run.display()),
            Self::StillHeld { run, hold } => write!(
                f,
                "the machine of {} is still held: {} does not end; look for a hung disk in `dmesg`",
                run.display(),
                hold.holder
            ),
            Self::Blind(why) => write!(f, "can't look for orphans: {why}"),
        }
    }
}

fn is_gone(process: ProcessIdentity, within: Duration) -> bool {
    match ProcessGrip::take(process) {
        Ok(Some(grip)) => grip.wait_until_gone(within).unwrap_or(false),
        Ok(None) => true,
        Err(_) => false,
    }
}

/// Its QEMU dies with it.
fn kill(process: ProcessIdentity) -> bool {
    match ProcessGrip::take(process) {
        Ok(Some(grip)) => grip.signal(Signal::KILL).is_ok() && is_gone(process, KILLED_WITHIN),
        Ok(None) => true,
        Err(_) => false,
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
