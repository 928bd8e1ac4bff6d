//! `bootgate trace`: what a run did, from its evidence.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::evidence::{self, EvidenceError, JournalRead, RunRecord, RunState};
use crate::machine::Verdict;
use crate::report::trace_table;
use crate::text::printable_json;

use super::{args, say};

/// Show the transitions of a run, each with its event, confirming signal and evidence.
///
/// A run that is still going on, or whose bootgate was killed, is shown as far as it came.
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
        let read = evidence::open(&self.runs, &self.run).and_then(|record| {
            let journal = journal(&record)?;
            Ok((record, journal))
        });
        let (record, journal) = match read {
            Ok(read) => read,
            Err(error) => {
                say::tell(format_args!("error: {error}"));
                return ExitCode::from(Verdict::EXIT_USAGE);
            }
        };
        let text = if self.json {
            journal.records.iter().fold(String::new(), |text, record| {
                text + &printable_json(record, false) + "\n"
            })
        } else {
            let table = trace_table(&journal.records, self.notes);
            format!("run {}\n{table}", record.info.id)
        };
        let said = say::answer(text);
        for remark in remarks(&record, &journal) {
            say::tell(format_args!("note: {remark}"));
        }
        said
    }
}

/// The trace. A run that was killed before it began one has an empty one.
fn journal(record: &RunRecord) -> Result<JournalRead, EvidenceError> {
    match record.trace() {
        Err(EvidenceError::File { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(JournalRead {
            records: Vec::new(),
            torn: None,
        }),
        read => read,
    }
}

/// What a reader of the table must know about it.
fn remarks(record: &RunRecord, journal: &JournalRead) -> Vec<String> {
    let mut remarks = Vec::new();
    let state = record.verdict_state();
    if let Some(torn) = &journal.torn {
        let (length, offset) = (torn.length_bytes, torn.offset_bytes);
        remarks.push(match state {
            Ok(RunState::Live) => "the last record is being written".to_owned(),
            _ => format!("what follows the last whole record is left out: {length} bytes at offset {offset}"),
        });
    }
    match state {
        Ok(RunState::Finished) => {}
        Ok(RunState::Live) => remarks.push("the run is still going on".to_owned()),
        Ok(RunState::Interrupted { reaped }) => {
            let qemu = if reaped { "; `reap` has killed its QEMU" } else { "" };
            remarks.push(format!(
                "the run was interrupted: its bootgate was killed before there was a verdict{qemu}"
            ));
        }
        Err(error) => remarks.push(format!("whether the run is over can't be told: {error}")),
    }
    remarks
}
