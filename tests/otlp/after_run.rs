//! A run sends itself when it ends, if the environment names a collector. A step without the one before it ends at once.

use std::net::TcpListener;

use crate::cli_support::{Gate, Seen, see};
use crate::refused::collector;

const GATE: &str = r#"
gate = "two-steps"
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
timeout = "20s"
[[stage]]
name = "install"
kind = "command"
command = "true"
timeout = "20s"
"#;

fn run(variable: &str, endpoint: &str) -> Seen {
    let gate = Gate::new(GATE);
    gate.file("empty.iso", &vec![0; 1024 * 1024]);
    let mut command = gate.bootgate(&["run", "gate.toml", "--stage", "install"]);
    see(command.env("NO_PROXY", "*").env(variable, endpoint))
}

#[test]
fn a_run_that_ends_is_at_the_collector() {
    for (variable, path) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/v1/traces"),
    ] {
        let (address, served) = collector(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        let seen = run(variable, &format!("{address}{path}"));
        assert_eq!(seen.code, Some(4), "{seen:?}");
        assert!(
            seen.stdout.contains("predecessor-missing") && !seen.stderr.contains("collector"),
            "{seen:?}"
        );
        let (head, length) = served.join().unwrap();
        assert!(head.starts_with("post /v1/traces ") && length > 200, "{head}");
    }
}

#[test]
fn a_collector_that_is_not_there_changes_no_verdict() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let seen = run("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{free}"));
    assert_eq!(seen.code, Some(4), "{seen:?}");
    assert!(seen.stdout.contains("predecessor-missing"), "{seen:?}");
    assert!(
        seen.stderr.contains("warning: the run is not at the collector") && seen.stderr.contains("sends it again"),
        "{seen:?}"
    );
}
