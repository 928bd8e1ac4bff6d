//! A collector of OpenTelemetry: where it is, and what it is sent.
//!
//! The variables are those of the "OpenTelemetry Protocol Exporter" specification; one that is for traces alone comes first.

mod tls;

use std::io::ErrorKind;
use std::time::Duration;

use thiserror::Error;
use ureq::http::Uri;

use self::tls::Tls;

use crate::evidence::EvidenceError;
use crate::plan::Secret;
use crate::report::otlp_refusal;
use crate::text::terminal_line;

/// Where spans are taken below a collector's address, as OTLP/HTTP has it.
const PATH: &str = "/v1/traces";
/// What the specification has for `OTEL_EXPORTER_OTLP_TIMEOUT` where it is not set.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a collector's answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 * crate::units::KIB;
/// The most characters of it that are shown.
const ANSWER_CHARS_MAX: usize = 300;

/// Why spans were not sent. No variant holds a header, a key, nor the user's part of an address.
#[derive(Debug, Error)]
pub(super) enum SendError {
    #[error(
        "`{0}` is not the address of a collector: it must begin with http:// or https:// and name a host, as http://127.0.0.1:4318 does"
    )]
    Address(String),
    #[error("OTEL_EXPORTER_OTLP_HEADERS is not of the form name=value,name=value")]
    Headers,
    #[error("{variable} names {path} as {what}: {problem}")]
    Pem {
        variable: &'static str,
        path: String,
        what: &'static str,
        problem: String,
    },
    #[error("{variable} is set without {missing}: the certificate of a client and its key go together")]
    Half {
        variable: &'static str,
        missing: &'static str,
    },
    #[error("the key in {key} does not belong to the certificate in {certificate}")]
    OtherKey { key: String, certificate: String },
    #[error("the collector at {to} shows a certificate that is not trusted: {problem}")]
    Untrusted { to: String, problem: String, help: String },
    #[error("the collector at {to} does not let this client in: {problem}")]
    NotLetIn { to: String, problem: String, help: String },
    #[error("the collector at {to} can't be reached: {problem}")]
    Unreached {
        to: String,
        problem: String,
        help: Option<String>,
    },
    #[error("the collector at {to} did not take the spans: {problem}")]
    Refused { to: String, problem: String },
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

impl SendError {
    /// What to do about it, where the error itself does not say so.
    pub(super) fn help(&self) -> Option<&str> {
        match self {
            Self::Untrusted { help, .. } | Self::NotLetIn { help, .. } => Some(help),
            Self::Unreached { help, .. } => help.as_deref(),
            _ => None,
        }
    }

    /// True if the variables or the arguments are wrong, so that nothing was sent.
    pub(super) fn is_usage(&self) -> bool {
        match self {
            Self::Address(_)
            | Self::Headers
            | Self::Pem { .. }
            | Self::Half { .. }
            | Self::OtherKey { .. }
            | Self::Evidence(_) => true,
            Self::Untrusted { .. } | Self::NotLetIn { .. } | Self::Unreached { .. } | Self::Refused { .. } => false,
        }
    }
}

/// A collector.
pub(super) struct Collector {
    uri: Uri,
    headers: Vec<(String, Secret)>,
    /// The time that all of sending may take.
    pub(super) timeout: Duration,
}

impl Collector {
    /// The collector at an address to which the path of OTLP/HTTP is added.
    pub(super) fn below(base: &str) -> Result<Self, SendError> {
        Self::at(&format!("{}{PATH}", base.trim_end_matches('/')))
    }

    /// The collector that the variables of OpenTelemetry name, if they do.
    pub(super) fn of_environment() -> Option<Result<Self, SendError>> {
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
        let first = |names: [&str; 2]| names.into_iter().find_map(variable);
        let headers = first(["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"]);
        let timeout = first(["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]);
        Ok(Self {
            uri,
            headers: headers.map_or(Ok(Vec::new()), |text| self::headers(&text))?,
            timeout: timeout
                .and_then(|ms| ms.parse().ok())
                .map_or(TIMEOUT, Duration::from_millis),
        })
    }

    /// Sends it in one request, which is not repeated.
    pub(super) fn send(&self, spans: &[u8]) -> Result<(), SendError> {
        let tls = if self.uri.scheme_str() == Some("https") {
            Some(Tls::of_environment()?)
        } else {
            None
        };
        // A header is for the collector alone, so no redirection is followed.
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(self.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .tls_config(tls.as_ref().map(|tls| tls.config.clone()).unwrap_or_default())
            .build()
            .into();
        let request = agent.post(&self.uri).header("content-type", "application/x-protobuf");
        let with_header =
            |request: ureq::RequestBuilder<_>, (name, value): &(String, Secret)| request.header(name, value.expose());
        let mut answer = self
            .headers
            .iter()
            .fold(request, with_header)
            .send(spans)
            .map_err(|error| self.unreached(&error, tls.as_ref()))?;
        let later = answer.headers().get("retry-after").map_or(String::new(), |value| {
            format!(", Retry-After: {}", String::from_utf8_lossy(value.as_bytes()))
        });
        let body = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .unwrap_or_default();
        let problem = if answer.status().is_success() {
            otlp_refusal(&body)
        } else {
            let body = String::from_utf8_lossy(&body);
            Some(format!("{}{later} {body}", answer.status()))
        };
        problem.map_or(Ok(()), |problem| {
            Err(SendError::Refused {
                to: self.told(),
                problem: terminal_line(problem, ANSWER_CHARS_MAX),
            })
        })
    }

    /// The address as it may be shown.
    fn told(&self) -> String {
        terminal_line(without_user(&self.uri.to_string()), ANSWER_CHARS_MAX)
    }

    fn unreached(&self, error: &ureq::Error, tls: Option<&Tls>) -> SendError {
        let to = self.told();
        tls.and_then(|tls| tls.refusal(&to, error))
            .unwrap_or_else(|| SendError::Unreached {
                to,
                problem: terminal_line(error.to_string(), ANSWER_CHARS_MAX),
                // A server that hangs up on data that has come already takes back what it has said before.
                help: tls.filter(|_| has_hung_up(error)).map(Tls::way_in),
            })
    }
}

fn has_hung_up(error: &ureq::Error) -> bool {
    let ureq::Error::Io(error) = error else {
        return false;
    };
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
    )
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
