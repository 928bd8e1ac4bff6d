//! `bootgate trace`: what a run did, from its evidence.

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::evidence::{self, EvidenceError, JournalRead, RunRecord, RunState};
use crate::machine::Verdict;
use crate::report::{Comparison, chrome_trace, mermaid_gantt, trace_table};
use crate::text::printable_json;

#[cfg(feature = "otlp")]
use super::otlp;
use super::{args, say};

/// Show the transitions of a run, each with its event, confirming signal and evidence.
///
/// A run that is still going on, or whose bootgate was killed, is shown as far as it came.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bootgate trace last\n  bootgate trace runs/live-20260101T120000Z-1a2b3c4d --notes\n  bootgate trace last --format chrome > trace.json   # open it in ui.perfetto.dev\n  bootgate trace 1a2b3c4d last"
)]
pub(super) struct Trace {
    /// The run: `last`, its id or a part of it, or its directory.
    #[arg(default_value = "last")]
    run: String,
    /// Another run, to be compared with the first: where the time went, and which state differs.
    #[arg(conflicts_with_all = ["notes", "format"])]
    other: Option<String>,
    #[command(flatten)]
    runs: args::RunsDir,
    /// Show notes as well: sightings, login attempts, warnings.
    #[arg(long)]
    notes: bool,
    /// How to show it: `table` for a terminal, `mermaid` for Markdown, `chrome` for Perfetto and other trace viewers,
    /// `jsonl` for the records as they are.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    format: Format,
    /// The same as `--format jsonl`; with two runs, the comparison as one JSON object.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    #[cfg(feature = "otlp")]
    #[command(flatten)]
    send: otlp::Send,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Mermaid,
    Chrome,
    Jsonl,
    /// One line of OTLP/JSON, for OpenTelemetry.
    #[cfg(feature = "otlp")]
    Otlp,
}

impl Trace {
    pub(super) fn execute(self) -> ExitCode {
        #[cfg(feature = "otlp")]
        if let Some(endpoint) = &self.send.otlp_endpoint {
            return otlp::send_run(endpoint, &self.runs.dir, &self.run);
        }
        match self.show() {
            Ok((text, remarks)) => {
                let said = say::answer(text);
                for remark in remarks {
                    say::tell(format_args!("note: {remark}"));
                }
                said
            }
            Err(error) => {
                say::tell(format_args!("error: {error}"));
                ExitCode::from(Verdict::EXIT_USAGE)
            }
        }
    }

    /// What is shown, and what its reader must know about it.
    fn show(&self) -> Result<(String, Vec<String>), EvidenceError> {
        let (record, trace) = self.read(&self.run)?;
        let run = record.info.id.as_str();
        let Some(other) = &self.other else {
            let text = match self.format {
                _ if self.json => as_lines(&trace.records),
                Format::Jsonl => as_lines(&trace.records),
                Format::Table => format!("run {run}\n{}", trace_table(&trace.records, self.notes)),
                Format::Mermaid => mermaid_gantt(run, &trace.records),
                #[cfg(feature = "otlp")]
                Format::Otlp => otlp::as_line(&record, &trace)?,
                Format::Chrome => printable_json(&chrome_trace(run, &trace.records), false) + "\n",
            };
            return Ok((text, remarks(&record, &trace)));
        };
        let (other_record, other_trace) = self.read(other)?;
        let other_run = other_record.info.id.as_str();
        let compared = Comparison::new((run, &trace.records), (other_run, &other_trace.records));
        let text = if self.json {
            printable_json(&compared.to_json(), true) + "\n"
        } else {
            compared.to_text()
        };
        let about = |run: &str, remarks: Vec<String>| {
            let prefix = format!("{run}: ");
            remarks
                .into_iter()
                .map(move |remark| prefix.clone() + &remark)
                .collect::<Vec<_>>()
        };
        let mut told = about(run, remarks(&record, &trace));
        told.extend(about(other_run, remarks(&other_record, &other_trace)));
        Ok((text, told))
    }

    fn read(&self, run: &str) -> Result<(RunRecord, JournalRead), EvidenceError> {
        let record = evidence::open(&self.runs.dir, run)?;
        let trace = journal(&record)?;
        Ok((record, trace))
    }
}

/// One JSON object a line.
fn as_lines(records: &[Value]) -> String {
    records.iter().fold(String::new(), |text, record| {
        text + &printable_json(record, false) + "\n"
    })
}

/// The trace. A run that was killed before it began one has an empty one.
pub(super) fn journal(record: &RunRecord) -> Result<JournalRead, EvidenceError> {
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
