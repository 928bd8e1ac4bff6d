//! `bootgate reap`: ends what runs that were killed have left.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::evidence::{Reaped, find_orphans, list, reap};

use super::args;

/// End every QEMU whose bootgate is gone. Runs that are going on are never touched.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bootgate reap")]
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
        let found = sweep(&self.runs);
        if self.json {
            println!("{}", serde_json::json!({"reaped": found.lines, "left": found.left}));
        } else if found.lines.is_empty() {
            println!("nothing to reap");
        } else {
            for line in &found.lines {
                println!("{line}");
            }
        }
        if found.left == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(4)
        }
    }
}

/// What a sweep did.
struct Found {
    lines: Vec<String>,
    left: usize,
}

fn sweep(runs: &Path) -> Found {
    let mut found = Found {
        lines: Vec::new(),
        left: 0,
    };
    let orphans = match find_orphans(runs) {
        Ok(orphans) => orphans,
        Err(error) => {
            found.lines.push(format!("the processes can't be listed: {error}"));
            found.left = 1;
            return found;
        }
    };
    for orphan in orphans {
        let what = format!("QEMU {} of run {}", orphan.qemu.pid, orphan.uuid);
        let line = match reap(&orphan, jiff::Timestamp::now()) {
            Ok(Reaped::Killed) => format!("killed {what}"),
            Ok(Reaped::AlreadyGone) => continue,
            Ok(Reaped::Busy) => continue,
            Ok(Reaped::StillThere) => {
                found.left += 1;
                format!("{what} was killed and is still there; look at the host's kernel log for a hung disk")
            }
            Err(error) => {
                found.left += 1;
                format!("{what} can't be ended: {error}")
            }
        };
        found.lines.push(line);
    }
    // A killed run can't give its reserve back itself.
    for record in list(runs).unwrap_or_default() {
        let _ = record.discard_reserve();
    }
    found
}

/// Every run begins by ending what earlier ones have left.
pub(super) fn before_run(runs: &Path) {
    for line in sweep(runs).lines {
        eprintln!("note: {line}");
    }
}
