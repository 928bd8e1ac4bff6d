//! The command line of `inspect`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::{args, say};
use crate::evidence;
use crate::machine::Verdict;

use super::live;
use super::verb::Verb;

/// Look into a run, and into its machine if that is held.
///
/// Without a verb, the cause, the screen, the console's end and the timeline are shown. What needs the machine works while
/// it is held (`bootgate ps`); `show`, `screenshot`, `registers` and `disk` work afterwards, too, from the evidence.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bootgate inspect last\n  bootgate inspect last disk cat /var/log/installer.log\n  bootgate inspect last resume"
)]
pub(in crate::cli) struct Inspect {
    /// The run: `last`, its id or a part of it, or its directory.
    #[arg(default_value = "last")]
    run: String,
    #[command(flatten)]
    runs: args::RunsDir,
    /// Print what a program would read as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

impl Inspect {
    pub(in crate::cli) fn execute(self) -> ExitCode {
        match evidence::open(&self.runs.dir, &self.run) {
            Ok(record) => live::perform(&record, self.verb.unwrap_or(Verb::Show), self.json),
            Err(error) => {
                say::tell(format_args!("error: {error}"));
                ExitCode::from(Verdict::EXIT_USAGE)
            }
        }
    }
}
