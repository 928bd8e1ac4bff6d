//! A real collector takes a run over OTLP/HTTP and prints what it has understood.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli_support::{ROOT, bootgate, see};
use crate::spans::exported;

/// How long the collector may take to listen.
const START_MAX: Duration = Duration::from_secs(60);

/// It takes no TLS by itself.
pub(crate) struct Collector {
    child: Child,
    pub(crate) endpoint: String,
    _directory: tempfile::TempDir,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let fetched = Command::new(format!("{ROOT}/fixtures/otlp/collector.sh"))
            .stderr(Stdio::inherit())
            .output();
        let fetched = fetched.expect("a script of the repository starts");
        assert!(
            fetched.status.success(),
            "there is no collector; what is missing stands above"
        );
        let program = String::from_utf8(fetched.stdout).unwrap();
        let directory = tempfile::tempdir().unwrap();
        // Both are bound at the same time, so they differ.
        let ports = [
            TcpListener::bind("127.0.0.1:0").unwrap(),
            TcpListener::bind("127.0.0.1:0").unwrap(),
        ];
        let [grpc, http] = ports.map(|port| port.local_addr().unwrap().to_string());
        let child = Command::new(program.trim())
            .args(["start", "--otlp-grpc-endpoint", &grpc, "--otlp-http-endpoint", &http])
            .args([
                "--exporter",
                "blackhole",
                "--debug-log",
                "traces",
                "--debug-log-verbosity",
                "detailed",
            ])
            .current_dir(directory.path())
            .args(["--pid-file", "pid", "--log-file", "log"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the collector starts");
        Self {
            child,
            endpoint: format!("http://{http}"),
            _directory: directory,
        }
    }

    /// It says nothing once it listens, so it is asked until it answers.
    pub(crate) fn send(run: &str, endpoint: &str, variables: &[(&str, &str)]) {
        let begun = Instant::now();
        loop {
            let mut command = bootgate(["trace", run, "--otlp-endpoint", endpoint]);
            let seen = see(command.env("NO_PROXY", "*").envs(variables.iter().copied()));
            if seen.code == Some(0) {
                return;
            }
            let waits = seen.stderr.contains("can't be reached") && begun.elapsed() < START_MAX;
            assert!(waits, "{seen:?}");
        }
    }

    /// What it prints, up to a line that holds these words.
    pub(crate) fn lines_to(&mut self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for line in BufReader::new(self.child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let found = line.contains(last);
            lines.push(line.trim().to_owned());
            if found {
                return lines;
            }
        }
        panic!("the collector has ended: {lines:?}");
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Name, id and parent of each span, then its status.
fn understood(lines: &[String]) -> Vec<[String; 4]> {
    let mut spans: Vec<[String; 4]> = Vec::new();
    for line in lines {
        if line.starts_with("Span #") {
            spans.push(Default::default());
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let place = match name.trim() {
            "Name" => 0,
            "ID" => 1,
            "Parent ID" => 2,
            "Status code" => 3,
            _ => continue,
        };
        if let Some(span) = spans.last_mut().filter(|span| span[place].is_empty()) {
            value.trim().clone_into(&mut span[place]);
        }
    }
    spans
}

#[test]
fn a_collector_understands_every_span_and_event() {
    let run = "fixtures/runs/kernel-panic";
    let (_, spans) = exported(run);
    let mut collector = Collector::start();
    Collector::send(run, &collector.endpoint, &[]);
    let last = &spans.last().unwrap().id;
    let mut lines = collector.lines_to(&format!("ID             : {last}"));
    // The status of the last span stands behind its id.
    lines.push("Status code : none".to_owned());
    let seen = understood(&lines);
    let status = ["none", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
    assert_eq!(seen.len(), spans.len());
    for (seen, span) in seen.iter().zip(&spans) {
        assert_eq!(seen[1..3], [span.id.clone(), span.parent.clone()]);
        assert!(
            seen[0] == span.name || seen[0].is_empty() && span.id == *last,
            "{seen:?}"
        );
        let status = status[usize::try_from(span.status).unwrap()];
        assert!(
            seen[3] == status || seen[3].is_empty() && span.status == 0,
            "{seen:?}: {span:?}"
        );
    }
    let text = lines.join("\n");
    for words in [
        "service.name: Str(bootgate)",
        "Kernel panic - not syncing",
        "bootgate.evidence.offset_bytes: Int(1551)",
        "kernel-seen",
    ] {
        assert!(text.contains(words), "no `{words}` in:\n{text}");
    }
}
