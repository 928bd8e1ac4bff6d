//! The command: what it is asked, and the order in which it looks.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::cli::{args, gate, host, say};
use crate::driver::{Check, check_leavings, check_space};
use crate::machine::Verdict;

use super::finding::{any_fails, render, to_json};
use super::needs::{self, Needs};
use super::{machine, qemu, runs};

/// The exit code if something fails: the host's fault.
const EXIT_NOT_READY: u8 = 4;

/// Look at this host: can it run gates, or this gate? Each finding comes with its mend.
///
/// KVM is tried with a boot sector of 512 bytes, for two seconds at most. Nothing is changed, and no image is booted.
/// The exit code is 0 if nothing fails, 4 if something does, 2 if the gate file is wrong.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bootgate doctor\n  bootgate doctor gate.toml --runs /srv/runs")]
pub(in crate::cli) struct Doctor {
    /// A gate file: look whether this host has what that gate needs.
    gate: Option<PathBuf>,
    #[command(flatten)]
    runs: args::RunsDir,
    /// Look at this directory for the disks, in place of the gate file's `[host] scratch`.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(in crate::cli) fn execute(self) -> ExitCode {
        let mut plan = match self.gate.as_deref().map(gate::read).transpose() {
            Ok(plan) => plan,
            Err(error) => {
                gate::tell(&error, self.json);
                return ExitCode::from(Verdict::EXIT_USAGE);
            }
        };
        if let (Some(plan), Some(scratch)) = (&mut plan, &self.scratch) {
            plan.host.scratch = Some(scratch.clone());
        }
        let mut findings = plan.as_ref().map(needs::gate).unwrap_or_default();
        let mut needs = plan.as_ref().map_or_else(Needs::usual, Needs::of);
        needs.disks.scratch = self.scratch.or(needs.disks.scratch);
        findings.extend(look(&needs, &self.runs.dir));
        let left = plan.as_ref().map(check_leavings).unwrap_or_default();
        findings.extend(left);
        let said = if self.json {
            say::answer(format_args!("{:#}\n", to_json(&findings)))
        } else {
            say::answer(render(&findings))
        };
        if any_fails(&findings) {
            ExitCode::from(EXIT_NOT_READY)
        } else {
            said
        }
    }
}

fn look(needs: &Needs, runs: &Path) -> Vec<Check> {
    let mut findings =
        host::wait_for(qemu::findings(needs)).unwrap_or_else(|lack| vec![Check::host("qemu", lack.problem, lack.mend)]);
    findings.extend(machine::findings(needs));
    findings.extend(check_space(runs, &needs.disks));
    findings.extend(runs::findings(runs));
    findings
}
