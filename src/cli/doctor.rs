//! `bootgate doctor`.

use std::process::ExitCode;

use clap::Args;

/// Look at this host.
#[derive(Debug, Args)]
pub(super) struct Doctor {}

impl Doctor {
    pub(super) fn execute(self) -> ExitCode {
        ExitCode::SUCCESS
    }
}
