//! `bootgate demo`: the whole gate on the tiny guest.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::machine::Verdict;
use crate::plan;

use super::ci::CiArg;
use super::failure::FailureArgs;
use super::run::How;
use super::{args, run, say};

/// The demo's gate file, also shown in the README.
const GATE: &str = include_str!("../../fixtures/gates/tiny-install.toml");

/// Run the demo gate: the tiny guest boots, installs itself, and boots from its disk.
///
/// `make demo` builds the tiny guest and calls this with its path.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bootgate demo --iso \"$(fixtures/guests/tiny/build.sh)\"")]
pub(super) struct Demo {
    /// The tiny guest's ISO.
    #[arg(long, value_name = "FILE")]
    iso: PathBuf,
    #[command(flatten)]
    runs: args::RunsDir,
}

impl Demo {
    pub(super) fn execute(self) -> ExitCode {
        let mut plan = match plan::parse("fixtures/gates/tiny-install.toml".as_ref(), GATE) {
            Ok(plan) => plan,
            Err(errors) => {
                say::tell(errors.render(false));
                return ExitCode::from(Verdict::EXIT_INTERNAL);
            }
        };
        run::replace_image(&mut plan, self.iso);
        run::run_plan(
            plan,
            GATE,
            &self.runs.dir,
            &How {
                json: false,
                quiet: false,
                scratch: None,
                ci: CiArg::Auto,
                failure: FailureArgs::NONE,
            },
        )
    }
}
