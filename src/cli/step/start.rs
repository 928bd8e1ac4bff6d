//! A stage's beginning as the command line sees it: waited for, ended by a signal, told if it is refused.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use tokio::runtime::Runtime;

use crate::cli::say;
use crate::driver::StopSignals;
use crate::evidence::RunDir;
use crate::plan::Plan;

use super::args::Wanted;
use super::begin::{Begun, Refused};

impl Refused {
    /// Tells it. Gives the exit code.
    pub(in crate::cli) fn tell(&self, as_json: bool) -> ExitCode {
        let Self { problem, help, code } = self;
        if as_json {
            let errors = json!({ "errors": [{ "message": problem, "help": help }] });
            let _ = say::answer(format_args!("{errors}\n"));
        } else {
            say::tell(format_args!("error: {problem}\n  help: {help}\n\nnothing was started"));
        }
        ExitCode::from(*code)
    }
}

/// Brings what a stage goes on with into its run; a signal ends that. If it is refused, nothing is left of the run.
pub(in crate::cli) fn start(
    runtime: &Runtime,
    step: Option<Wanted>,
    plan: &mut Plan,
    (runs, run, gate_sha256): (&Path, &RunDir, &str),
    signals: &mut StopSignals,
) -> Result<Option<Begun>, Refused> {
    let Some(step) = step else { return Ok(None) };
    let begun = runtime.block_on(async {
        tokio::select! {
            begun = step.begin(plan, runs, run, gate_sha256) => begun,
            signal = signals.next() => Err(Refused {
                problem: format!("stopped by {} before the stage had begun", signal.name()),
                help: "nothing is left of it".to_owned(),
                code: 130,
            }),
        }
    });
    if begun.is_err() {
        // Nothing of it is of any use.
        let _ = std::fs::remove_dir_all(run.path());
    }
    begun.map(Some)
}
