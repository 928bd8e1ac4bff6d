//! `bootgate check`: reads a gate file and shows what it would do; starts nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::machine::Verdict;
use crate::plan;

use super::gate;

/// Read a gate file, print its plan and QEMU's command line; start nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bootgate check gate.toml")]
pub(super) struct Check {
    /// The gate file.
    gate: PathBuf,
    /// Print the plan, or the mistakes, as JSON.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn execute(self) -> ExitCode {
        match gate::read(&self.gate) {
            Ok(plan) => {
                print!("{}", plan::describe(&plan));
                ExitCode::SUCCESS
            }
            Err(error) => {
                gate::tell(&error, self.json);
                ExitCode::from(Verdict::EXIT_USAGE)
            }
        }
    }
}
