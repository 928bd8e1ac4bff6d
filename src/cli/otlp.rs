//! Runs as OpenTelemetry spans: printed, or sent to a collector by OTLP/HTTP.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::driver::StopSignals;
use crate::evidence::{self, EvidenceError, JournalRead, RunRecord, read_journal};
use crate::machine::Verdict;
use crate::report::{OtlpInputs, otlp_bytes, otlp_json};
use crate::text::{printable_json, terminal_line};

use super::collector::{Collector, SendError};
use super::print::Printer;
use super::say;

/// A cancelled run must be gone within 5 s.
const CANCELLED_TIMEOUT: Duration = Duration::from_secs(1);
/// The most characters of a path that are shown.
const PATH_CHARS_MAX: usize = 300;
const EXIT_NOT_SENT: u8 = 4;

/// Where spans are sent.
#[derive(Debug, Args)]
pub(super) struct Send {
    /// Send the run as OpenTelemetry spans to the collector at this address, by OTLP/HTTP, in place of showing it.
    /// OTEL_EXPORTER_OTLP_HEADERS, _TIMEOUT, _CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY are heeded.
    #[arg(long, value_name = "URL", conflicts_with_all = ["other", "notes", "format", "json"])]
    pub(super) otlp_endpoint: Option<String>,
}

/// The run as one line of OTLP/JSON.
pub(super) fn as_line(run: &RunRecord, trace: &JournalRead) -> Result<String, EvidenceError> {
    with_inputs(run, trace, |inputs| {
        otlp_json(inputs).map_or_else(|error| format!("{error}\n"), |json| printable_json(&json, false) + "\n")
    })
}

fn with_inputs<T>(
    run: &RunRecord,
    trace: &JournalRead,
    make: impl FnOnce(&OtlpInputs<'_>) -> T,
) -> Result<T, EvidenceError> {
    let result = run.result()?;
    let qmp = read_journal(&run.path.join("qmp.jsonl"))
        .map(|read| read.records)
        .unwrap_or_default();
    Ok(make(&OtlpInputs {
        info: &run.info,
        records: &trace.records,
        result: result.as_ref(),
        qmp: &qmp,
    }))
}

fn spans(run: &RunRecord) -> Result<Vec<u8>, SendError> {
    let trace = super::trace::journal(run)?;
    Ok(with_inputs(run, &trace, otlp_bytes)?)
}

/// `trace RUN --otlp-endpoint URL`.
pub(super) fn send_run(endpoint: &str, runs: &Path, asked: &str) -> ExitCode {
    let sent = Collector::below(endpoint).and_then(|collector| {
        let run = evidence::open(runs, asked)?;
        collector.send(&spans(&run)?)?;
        Ok(run.info)
    });
    match sent {
        Ok(info) => say::answer(format_args!(
            "Sent:     run {} as trace {}\n",
            info.id,
            info.uuid.simple()
        )),
        Err(error) => {
            say::tell(format_args!("error: {}", with_help(&error)));
            ExitCode::from(if error.is_usage() {
                Verdict::EXIT_USAGE
            } else {
                EXIT_NOT_SENT
            })
        }
    }
}

/// Sends a run that has its result to the collector that the environment names. The verdict does not depend on it.
pub(super) async fn after_run(run: &Path, cancelled: bool, signals: &mut StopSignals, printer: &Printer) {
    let Some(collector) = Collector::of_environment() else {
        return;
    };
    let path = run.to_owned();
    let send = tokio::task::spawn_blocking(move || {
        let mut collector = collector?;
        if cancelled {
            collector.timeout = collector.timeout.min(CANCELLED_TIMEOUT);
        }
        collector.send(&spans(&RunRecord::read(&path)?)?)
    });
    let problem = tokio::select! {
        sent = send => match sent {
            Ok(Ok(())) => return,
            Ok(Err(error)) => with_help(&error),
            Err(error) => error.to_string(),
        },
        _ = signals.next() => "a signal came before the collector had answered".to_owned(),
    };
    printer.tell(format_args!(
        "warning: the run is not at the collector: {problem}\n  help: `bootgate trace {} --otlp-endpoint URL` sends it again",
        terminal_line(run.display().to_string(), PATH_CHARS_MAX)
    ));
}

fn with_help(error: &SendError) -> String {
    let help = error.help().map_or(String::new(), |help| format!("\n  help: {help}"));
    format!("{error}{help}")
}
