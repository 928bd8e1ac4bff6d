//! `bootgate trace`: what a run did, from its evidence.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::evidence::{self, RunState};
use crate::machine::Verdict;
use crate::report::trace_table;
use crate::text::printable_json;

use super::args;

/// Show the transitions of a run, each with its event, confirming signal and evidence.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bootgate trace last\n  bootgate trace runs/live-20260101T120000Z-1a2b3c4d --notes")]
pub(super) struct Trace {
    /// The run: `last`, its id or a part of it, or its directory.
    #[arg(default_value = "last")]
    run: String,
    /// The directory that keeps the runs.
    #[arg(long, value_name = "DIR", env = "BOOTGATE_RUNS", default_value_os_t = args::default_runs())]
    runs: PathBuf,
    /// Show notes as well: sightings, login attempts, warnings.
    #[arg(long)]
    notes: bool,
    /// Print the records as they are, one JSON object a line.
    #[arg(long)]
    json: bool,
}

impl Trace {
    pub(super) fn execute(self) -> ExitCode {
        let record = match evidence::open(&self.runs, &self.run) {
            Ok(record) => record,
            Err(error) => {
                eprintln!("error: {error}\n  help: `ls {}` shows the runs", self.runs.display());
                return ExitCode::from(Verdict::EXIT_USAGE);
            }
        };
        let journal = match record.trace() {
            Ok(journal) => journal,
            Err(error) => {
                eprintln!("error: the trace can't be read: {error}");
                return ExitCode::from(Verdict::EXIT_USAGE);
            }
        };
        if self.json {
            for record in &journal.records {
                println!("{}", printable_json(record, false));
            }
        } else {
            println!("run {}", record.info.id);
            print!("{}", trace_table(&journal.records, self.notes));
        }
        if let Some(torn) = &journal.torn {
            eprintln!("note: the last record was cut off at byte {}", torn.offset_bytes);
        }
        match record.verdict_state() {
            Ok(RunState::Live) => eprintln!("note: the run is still going on"),
            Ok(RunState::Interrupted { .. }) => {
                eprintln!("note: the run was interrupted before its verdict was written (bootgate was killed)");
            }
            _ => {}
        }
        ExitCode::SUCCESS
    }
}
