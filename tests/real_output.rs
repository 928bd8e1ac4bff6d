//! A run whose reader goes away: QEMU is ended and the evidence is written all the same.

mod cli_support;

use std::io::pipe;
use std::path::PathBuf;
use std::process::Stdio;

use bootgate::evidence::{RunState, list};
use bootgate::procfs;
use cli_support::Gate;

/// An image that no firmware can boot.
const GATE: &str = r#"
gate = "nothing-to-boot"
timeout-scale = 1.0
[image]
iso = "empty.iso"
[machine]
firmware = "bios"
accelerator = "tcg"
memory = "64MiB"
cpus = 1
[console]
markers = ["ready"]
[[stage]]
name = "boot"
kind = "boot"
timeout = "20s"
"#;

fn closed() -> Stdio {
    let (reader, writer) = pipe().expect("a pipe can be made");
    drop(reader);
    writer.into()
}

fn machines_of(uuid: &str) -> Vec<u32> {
    let is_ours = |pid: &u32| {
        let arguments = procfs::arguments(*pid).unwrap_or_default();
        arguments.iter().any(|argument| argument == uuid.as_bytes())
    };
    procfs::all_pids().expect("/proc").into_iter().filter(is_ours).collect()
}

#[test]
fn a_run_that_nobody_listens_to_ends_as_it_should() {
    let gate = Gate::new(GATE);
    gate.file("empty.iso", &vec![0; 1024 * 1024]);
    for arguments in [&["run", "gate.toml"][..], &["run", "gate.toml", "--json"]] {
        let mut command = gate.bootgate(arguments);
        let status = command.stdout(closed()).stderr(closed()).status();
        let status = status.expect("bootgate starts");
        assert_eq!(
            status.code(),
            Some(1),
            "install qemu-system-x86 and seabios for this test"
        );
    }
    let runs = list(&gate.path().join("runs")).expect("the runs can be listed");
    assert_eq!(runs.len(), 2);
    for run in runs {
        assert_eq!(run.verdict_state().expect("a state"), RunState::Finished);
        let result = run.result().expect("readable").expect("a result");
        assert_eq!(result["verdict"]["class"], "failed", "{result:#}");
        let trace = run.trace().expect("a trace");
        assert!(trace.torn.is_none() && trace.records.iter().any(|record| record["kind"] == "verdict"));
        let missing = |name: &&str| !PathBuf::from(&run.path).join(name).exists();
        let names = ["manifest.json", "junit.xml", "summary.md", "qmp.jsonl", "argv.txt"];
        assert_eq!(names.into_iter().find(|name| missing(name)), None);
        assert_eq!(machines_of(&run.info.uuid.to_string()), [] as [u32; 0]);
    }
}
