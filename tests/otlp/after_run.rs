//! A run sends itself when it ends, if the environment names a collector. A step without the one before it ends at once.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cli_support::{Gate, Seen, see};
use crate::http::{Message, TAKEN, collector, nobody, silent};

const GATE: &str = r#"
gate = "two-steps"
on-failure = "discard"
[image]
iso = "empty.iso"
[machine]
firmware = "bios"
accelerator = "tcg"
memory = "64MiB"
[console]
markers = ["ready"]
[ssh]
password = "word"
[[stage]]
name = "boot"
kind = "boot"
timeout = "60s"
[[stage]]
name = "install"
kind = "command"
command = "true"
timeout = "20s"
"#;

/// A cancelled run must be gone within this time, whatever the collector does.
const CANCELLED_WITHIN: Duration = Duration::from_secs(5);

fn gate() -> Gate {
    let gate = Gate::new(GATE);
    gate.file("empty.iso", &vec![0; 1024 * 1024]);
    gate
}

fn run(variable: &str, endpoint: &str) -> Seen {
    let gate = gate();
    let mut command = gate.bootgate(&["run", "gate.toml", "--stage", "install"]);
    see(command.env("NO_PROXY", "*").env(variable, endpoint))
}

#[test]
fn a_run_that_ends_is_at_the_collector() {
    for (variable, path) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/v1/traces"),
    ] {
        let (address, served) = collector(TAKEN);
        let seen = run(variable, &format!("{address}{path}"));
        assert_eq!(seen.code, Some(4), "{seen:?}");
        assert!(
            seen.stdout.contains("predecessor-missing") && !seen.stderr.contains("collector"),
            "{seen:?}"
        );
        let request = served.join().unwrap();
        assert!(request.head.starts_with("POST /v1/traces ") && request.tells("predecessor-missing"));
    }
}

/// Whatever the collector does, the run's end is the same; what is missing is told as a warning.
#[test]
fn a_collector_that_fails_changes_no_verdict() {
    let busy = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n";
    let (busy, served) = collector(busy);
    let (mute, stream) = silent(b"");
    for (endpoint, words) in [
        (nobody(), "can't be reached"),
        (busy, "503 Service Unavailable, Retry-After: 7"),
        (mute, "can't be reached: timeout"),
        ("no address".to_owned(), "is not the address of a collector"),
    ] {
        let gate = gate();
        let mut command = gate.bootgate(&["run", "gate.toml", "--stage", "install"]);
        command
            .env("NO_PROXY", "*")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        let seen = see(command.env("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"));
        assert_eq!(seen.code, Some(4), "{seen:?}");
        assert!(seen.stdout.contains("predecessor-missing"), "{seen:?}");
        for words in ["warning: the run is not at the collector", words, "sends it again"] {
            assert!(seen.stderr.contains(words), "{words}: {seen:?}");
        }
    }
    served.join().unwrap();
    stream.join().unwrap();
}

/// A run that has begun.
struct Begun {
    child: std::process::Child,
    gate: Gate,
}

impl Begun {
    fn new(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let gate = gate();
        let mut command = gate.bootgate(&[&["run", "gate.toml"], arguments].concat());
        command.env("NO_PROXY", "*").envs(variables.iter().copied());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, gate }
    }

    fn interrupt(&self) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(id, Signal::SIGINT).unwrap();
    }

    /// Interrupts it when its guest boots, and waits for its end.
    fn cancelled(mut self) -> (Seen, Duration, Gate) {
        let mut lines = BufReader::new(self.child.stderr.take().unwrap());
        let mut told = String::new();
        while !told.contains("Preparing → Booting") {
            assert_ne!(lines.read_line(&mut told).unwrap(), 0, "{told}");
        }
        let asked = Instant::now();
        self.interrupt();
        lines.read_to_string(&mut told).unwrap();
        let output = self.child.wait_with_output().unwrap();
        let seen = Seen {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: told,
        };
        (seen, asked.elapsed(), self.gate)
    }
}

#[test]
fn a_cancelled_run_is_at_the_collector_too() {
    let (address, served) = collector(TAKEN);
    let begun = Begun::new(&["--json"], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &address)]);
    let (seen, took, _gate) = begun.cancelled();
    assert_eq!(seen.code, Some(130), "{seen:?}");
    assert!(
        !seen.stderr.contains("collector") && took < CANCELLED_WITHIN,
        "{took:?}: {seen:?}"
    );
    let request = served.join().unwrap();
    assert!(request.tells("Booting") && request.tells("cancelled"));
}

#[test]
fn a_cancelled_run_does_not_wait_for_its_collector() {
    let (mute, stream) = silent(b"");
    for endpoint in [mute, nobody()] {
        let begun = Begun::new(&["--json"], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
        let (seen, took, _gate) = begun.cancelled();
        assert_eq!(seen.code, Some(130), "{seen:?}");
        assert_eq!(seen.json()["verdict"]["class"], "cancelled");
        assert!(
            seen.stderr.contains("warning: the run is not at the collector"),
            "{seen:?}"
        );
        assert!(took < CANCELLED_WITHIN, "{took:?}: {seen:?}");
    }
    stream.join().unwrap();
}

#[test]
fn who_does_not_want_to_wait_for_the_collector_interrupts() {
    let (mute, stream) = silent(b"");
    // No test lasts so long.
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", mute.as_str()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
    ];
    let begun = Begun::new(&["--stage", "install"], &variables);
    let stream = stream.join().unwrap();
    begun.interrupt();
    let output = begun.child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("a signal came before the collector had answered"),
        "{told}"
    );
    drop(stream);
}

/// Every file below a directory that holds the text.
fn files_with(text: &str, place: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap());
    let found = entries.flat_map(|entry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => files_with(text, &entry.path()),
        kind if kind.is_file() => {
            let bytes = std::fs::read(entry.path()).unwrap();
            let holds = bytes.windows(text.len()).any(|part| part == text.as_bytes());
            holds.then(|| entry.path().display().to_string()).into_iter().collect()
        }
        _ => Vec::new(),
    });
    found.collect()
}

/// With every log line that there is, and whatever becomes of the request.
#[test]
fn the_headers_stay_out_of_logs_and_evidence() {
    const TOKEN: &str = "a-token-of-nobody";
    let headers = format!("authorization=Bearer%20{TOKEN},x-key={TOKEN}");
    let (taking, served) = collector(TAKEN);
    for (endpoint, headers) in [
        (taking, headers.clone()),
        (nobody(), headers.clone()),
        // Neither is a name or a value that HTTP knows.
        (nobody(), format!("x y={TOKEN}")),
        (nobody(), format!("x={TOKEN}%0d%0a")),
        (nobody(), TOKEN.to_owned()),
    ] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_HEADERS", &headers),
            ("BOOTGATE_LOG", "trace"),
        ];
        let (seen, _, gate) = Begun::new(&["--json"], &variables).cancelled();
        assert_eq!(seen.code, Some(130), "{seen:?}");
        assert!(!format!("{seen:?}").contains(TOKEN), "{seen:?}");
        assert_eq!(files_with(TOKEN, gate.path()), [""; 0]);
    }
    let request: Message = served.join().unwrap();
    assert!(request.head.contains(TOKEN));
}
