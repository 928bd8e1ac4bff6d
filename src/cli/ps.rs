//! `bootgate ps`: the machines that are there now.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::evidence::{Held, HoldRecord, RunRecord, RunState, list};
use crate::text::terminal_line;
use crate::units::human_span;

use super::{args, say};

const CAUSE_CHARS_MAX: usize = 40;

/// List the runs that are going on and the machines that are held, with what ends them.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bootgate ps\n  bootgate ps --runs /srv/runs --json")]
pub(super) struct Ps {
    #[command(flatten)]
    runs: args::RunsDir,
    /// Print the list as JSON.
    #[arg(long)]
    json: bool,
}

impl Ps {
    pub(super) fn execute(self) -> ExitCode {
        let runs = match list(&self.runs.dir) {
            Ok(runs) => runs,
            Err(error) => {
                say::tell(format_args!("error: {error}"));
                return ExitCode::from(4);
            }
        };
        let live = runs
            .into_iter()
            .filter(|run| matches!(run.verdict_state(), Ok(RunState::Live)))
            .map(|run| (run.hold(), run));
        if self.json {
            let rows: Vec<_> = live.map(|(hold, run)| row_json(&run, hold.as_ref())).collect();
            return say::answer(format_args!("{:#}\n", Value::from(rows)));
        }
        let now = Timestamp::now();
        let rows: String = live.map(|(hold, run)| row(&run, hold.as_ref(), now)).collect();
        if rows.is_empty() {
            return say::answer("nothing runs and nothing is held\n");
        }
        say::answer(rows)
    }
}

fn row(run: &RunRecord, hold: Option<&HoldRecord>, now: Timestamp) -> String {
    let id = &run.info.id;
    match hold {
        None => format!("{id}  running\n"),
        Some(hold) => {
            let left = hold.expires.duration_since(now);
            let left = human_span(left.try_into().unwrap_or_default());
            format!(
                "{id}  held for {left} more  {}\n  bootgate inspect {id}   bootgate inspect {id} quit\n",
                what(run, hold)
            )
        }
    }
}

fn what(run: &RunRecord, hold: &HoldRecord) -> String {
    match hold.what {
        Held::Reopened => "reopened from a bundle".to_owned(),
        Held::Failure => {
            let result = run.result().ok().flatten().unwrap_or_default();
            let cause = result
                .pointer("/verdict/cause")
                .and_then(Value::as_str)
                .unwrap_or("failed");
            terminal_line(cause, CAUSE_CHARS_MAX)
        }
    }
}

fn row_json(run: &RunRecord, hold: Option<&HoldRecord>) -> Value {
    json!({
        "run": run.info.id,
        "path": run.path,
        "hold": hold.map(|hold| json!({
            "what": hold.what,
            "since": hold.since.to_string(),
            "expires": hold.expires.to_string(),
            "holder_pid": hold.holder.pid,
            "qemu_pid": hold.qemu.pid,
        })),
    })
}
