//! `doctor` on this host, and on a host without QEMU. How each finding reads is tested beside the code.

mod cli_support;

use cli_support::{Gate, Seen, bootgate, see};
use serde_json::Value;

const GATE: &str = r#"
gate = "small"
[image]
iso = "live.iso"
[machine]
firmware = "bios"
accelerator = "tcg"
memory = "64MiB"
cpus = 1
[[disk]]
name = "system"
size = "1MiB"
format = "raw"
[console]
markers = ["ready"]
[[stage]]
name = "boot"
kind = "boot"
timeout = "1m"
"#;

fn findings(seen: &Seen) -> Vec<(String, String)> {
    let json = seen.json();
    let findings = json.as_array().expect("a list").iter();
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    findings
        .map(|finding| (word(finding, "id"), word(finding, "level")))
        .collect()
}

fn level<'a>(findings: &'a [(String, String)], id: &str) -> &'a str {
    let found = findings.iter().find(|finding| finding.0 == id);
    &found.unwrap_or_else(|| panic!("no `{id}` in {findings:?}")).1
}

#[test]
fn a_host_with_qemu_is_looked_at_whole() {
    let root = tempfile::tempdir().expect("a directory");
    let runs = root.path().join("runs");
    let seen = see(bootgate(["doctor", "--json"]).env("BOOTGATE_RUNS", &runs));
    let findings = findings(&seen);
    let ids: Vec<_> = findings.iter().map(|finding| &*finding.0).collect();
    let expected = [
        "qemu",
        "sandbox",
        "devices",
        "qemu-img",
        "accelerator",
        "uefi",
        "bios",
        "memory",
        "cpus",
        "user",
        "space",
        "runs",
    ];
    assert_eq!(ids, expected, "install qemu-system-x86 for this test: {seen:?}");
    let fails = findings.iter().any(|finding| finding.1 == "fail");
    assert_eq!(seen.code, Some(if fails { 4 } else { 0 }));
    for finding in seen.json().as_array().expect("a list") {
        assert_eq!(finding["mend"].is_string(), finding["level"] != "ok", "{finding}");
    }
    assert!(!runs.exists());
}

#[test]
fn a_gate_is_held_against_the_host() {
    let gate = Gate::new(GATE);
    let seen = see(&mut gate.bootgate(&["doctor", "gate.toml", "--json"]));
    let lacking = findings(&seen);
    assert_eq!((seen.code, level(&lacking, "inputs")), (Some(4), "fail"));
    gate.file("live.iso", b"not empty");
    let seen = see(&mut gate.bootgate(&["doctor", "gate.toml", "--json"]));
    let ready = findings(&seen);
    assert_eq!((level(&ready, "gate"), level(&ready, "inputs")), ("ok", "ok"));
    assert_eq!((level(&ready, "accelerator"), level(&ready, "memory")), ("ok", "ok"));
    assert!(!ready.iter().any(|finding| finding.0 == "uefi"), "{ready:?}");
    let text = see(&mut gate.bootgate(&["doctor", "gate.toml"])).stdout;
    assert!(
        text.starts_with("ok    gate         small: 1 stage on 1 machine\n"),
        "{text}"
    );
}

#[test]
fn a_host_without_qemu_says_what_to_install() {
    let nothing = tempfile::tempdir().expect("a directory");
    let seen = see(bootgate(["doctor"])
        .env("PATH", nothing.path())
        .env("BOOTGATE_RUNS", nothing.path()));
    assert_eq!(seen.code, Some(4));
    let mut lines = seen.stdout.lines();
    assert_eq!(
        lines.next(),
        Some("FAIL  qemu    there is no `qemu-system-x86_64`: no directory of PATH has it")
    );
    assert!(
        lines
            .next()
            .is_some_and(|mend| mend.contains("apt install qemu-system-x86"))
    );
    assert!(seen.stdout.contains("\nnot ready: 1 failure"), "{}", seen.stdout);
}
