//! Runs as OpenTelemetry spans: printed, or sent to a collector by OTLP/HTTP.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use thiserror::Error;
use ureq::http::Uri;

use crate::driver::StopSignals;
use crate::evidence::{self, EvidenceError, JournalRead, RunRecord, read_journal};
use crate::machine::Verdict;
use crate::plan::Secret;
use crate::report::{OtlpInputs, otlp_bytes, otlp_json, otlp_refusal};
use crate::text::{printable_json, terminal_line};

use super::print::Printer;
use super::say;

/// Where spans are taken below a collector's address, as OTLP/HTTP has it.
const PATH: &str = "/v1/traces";
/// What the OpenTelemetry specification has for `OTEL_EXPORTER_OTLP_TIMEOUT` where it is not set.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A cancelled run must be gone within 5 s.
const CANCELLED_TIMEOUT: Duration = Duration::from_secs(1);
/// The most bytes of a collector's answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 * crate::units::KIB;
/// The most characters of it that are shown.
const ANSWER_CHARS_MAX: usize = 300;
const EXIT_NOT_SENT: u8 = 4;

/// Where spans are sent.
#[derive(Debug, Args)]
pub(super) struct Send {
    /// Send the run as OpenTelemetry spans to the collector at this address, by OTLP/HTTP, in place of showing it.
    /// OTEL_EXPORTER_OTLP_HEADERS and OTEL_EXPORTER_OTLP_TIMEOUT are heeded.
    #[arg(long, value_name = "URL", conflicts_with_all = ["other", "notes", "format", "json"])]
    pub(super) otlp_endpoint: Option<String>,
}

/// Why spans were not sent. No variant holds a header, nor the user's part of an address.
#[derive(Debug, Error)]
enum SendError {
    #[error(
        "`{0}` is not the address of a collector: it must begin with http:// or https:// and name a host, as http://127.0.0.1:4318 does"
    )]
    Address(String),
    #[error("OTEL_EXPORTER_OTLP_HEADERS is not of the form name=value,name=value")]
    Headers,
    #[error("the collector at {to} can't be reached: {problem}")]
    Unreached { to: String, problem: String },
    #[error("the collector at {to} did not take the spans: {problem}")]
    Refused { to: String, problem: String },
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

/// A collector.
struct Collector {
    uri: Uri,
    headers: Vec<(String, Secret)>,
    timeout: Duration,
}

impl Collector {
    /// The collector at an address to which the path of OTLP/HTTP is added.
    fn below(base: &str) -> Result<Self, SendError> {
        Self::at(&format!("{}{PATH}", base.trim_end_matches('/')))
    }

    /// The collector that the variables of OpenTelemetry name, if they do.
    fn of_environment() -> Option<Result<Self, SendError>> {
        match (
            variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
            variable("OTEL_EXPORTER_OTLP_ENDPOINT"),
        ) {
            (Some(whole), _) => Some(Self::at(&whole)),
            (None, Some(base)) => Some(Self::below(&base)),
            (None, None) => None,
        }
    }

    fn at(address: &str) -> Result<Self, SendError> {
        let wrong = || SendError::Address(terminal_line(without_user(address), ANSWER_CHARS_MAX));
        let uri: Uri = address.parse().map_err(|_| wrong())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err(wrong());
        }
        let headers = variable("OTEL_EXPORTER_OTLP_HEADERS").map_or(Ok(Vec::new()), |text| headers(&text))?;
        let timeout = variable("OTEL_EXPORTER_OTLP_TIMEOUT").and_then(|ms| ms.parse().ok());
        Ok(Self {
            uri,
            headers,
            timeout: timeout.map_or(TIMEOUT, Duration::from_millis),
        })
    }

    fn send(&self, spans: &[u8]) -> Result<(), SendError> {
        let to = || terminal_line(without_user(&self.uri.to_string()), ANSWER_CHARS_MAX);
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(self.timeout))
            .http_status_as_error(false)
            .build()
            .into();
        let request = agent.post(&self.uri).header("content-type", "application/x-protobuf");
        let with_header =
            |request: ureq::RequestBuilder<_>, (name, value): &(String, Secret)| request.header(name, value.expose());
        let unreached = |error: ureq::Error| SendError::Unreached {
            to: to(),
            problem: terminal_line(error.to_string(), ANSWER_CHARS_MAX),
        };
        let mut answer = self
            .headers
            .iter()
            .fold(request, with_header)
            .send(spans)
            .map_err(unreached)?;
        let body = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .unwrap_or_default();
        let problem = if answer.status().is_success() {
            otlp_refusal(&body)
        } else {
            Some(format!("{} {}", answer.status(), String::from_utf8_lossy(&body)))
        };
        problem.map_or(Ok(()), |problem| {
            Err(SendError::Refused {
                to: to(),
                problem: terminal_line(problem, ANSWER_CHARS_MAX),
            })
        })
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// An address without the user and password that may stand in it.
fn without_user(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let divider = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{divider}{host}{path}")
}

/// `name=value,name=value`, the values in the percent encoding of W3C Baggage.
fn headers(text: &str) -> Result<Vec<(String, Secret)>, SendError> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim().to_owned(), Secret::new(decoded(value.trim())?)))
    };
    let pairs = text.split(',').filter(|text| !text.trim().is_empty());
    pairs.map(pair).collect::<Option<_>>().ok_or(SendError::Headers)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(after.get(..2)?, 16).ok()?);
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
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
            say::tell(format_args!("error: {error}"));
            ExitCode::from(match error {
                SendError::Unreached { .. } | SendError::Refused { .. } => EXIT_NOT_SENT,
                SendError::Address(_) | SendError::Headers | SendError::Evidence(_) => Verdict::EXIT_USAGE,
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
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        },
        _ = signals.next() => "a signal came before the collector had answered".to_owned(),
    };
    printer.tell(format_args!(
        "warning: the run is not at the collector: {problem}\n  help: `bootgate trace {} --otlp-endpoint URL` sends it again",
        terminal_line(run.display().to_string(), ANSWER_CHARS_MAX)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_baggage_is() {
        let read = headers("authorization=Bearer%20abc%3D, x-team = a ,").unwrap();
        let read: Vec<_> = read
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()))
            .collect();
        assert_eq!(read, [("authorization", "Bearer abc="), ("x-team", "a")]);
        for wrong in ["authorization", "a=%4", "a=%zz", "a=%ff"] {
            assert!(headers(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_is_told_without_its_user() {
        assert_eq!(without_user("http://me:word@host:4318/a@b"), "http://host:4318/a@b");
        for wrong in [
            "127.0.0.1:4318",
            "ftp://host",
            "http://",
            "grpc://host:4317",
            "http://me:word@",
        ] {
            let error = Collector::below(wrong).err().map(|error| error.to_string());
            assert!(error.is_some_and(|error| !error.contains("word")), "{wrong}");
        }
    }
}
