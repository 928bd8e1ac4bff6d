//! The guest debian-live, as far as it fits the time of every change: its gates are right, it boots, and the copy of its
//! container image really fills its /var/tmp. The rest is `make e2e`.

#[path = "support/bench.rs"]
mod bench;
#[path = "support/gate.rs"]
mod gate;
#[path = "support/live.rs"]
mod live;
#[path = "support/tiny.rs"]
mod tiny;

use std::process::Command;

use bench::Bench;
use live::gate;

#[test]
fn the_gates_are_right() {
    for name in ["live-install.toml", "live-luks.toml"] {
        let mut gate = gate(name);
        gate.file("live-luks.passphrase", "a passphrase\n");
        let bench = Bench::new(&gate);
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootgate"));
        let output = command
            .args(["check", "gate.toml"])
            .current_dir(bench.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_real_copy_fills_a_real_overlay() {
    let mut gate = gate("live-install.toml");
    gate.put("gate", "live-enospc".into());
    gate.set("machine.firmware", "'bios'");
    gate.truncate(2);
    gate.set("stage.1.command", "'sudo live-install --export-only'");
    let outcome = Bench::new(&gate).whole();

    let verdict = &outcome.result["verdict"];
    assert_eq!(verdict["cause"], "guest-disk-full", "{}", outcome.story());
    assert_eq!(
        verdict["rule"]["id"],
        "container-blob-copy-enospc",
        "{}",
        outcome.story()
    );
    assert_eq!(
        (verdict["stage"].as_str(), outcome.exit_code),
        (Some("oci-export"), 1),
        "{}",
        outcome.story()
    );
    let quote = verdict["evidence"]["quote"].as_str().unwrap();
    assert!(quote.contains("/var/tmp/"), "{quote}");
    // The marker came before sshd's host keys, which the stage before got over.
    assert_eq!(outcome.result["stages"][0]["outcome"], "passed", "{}", outcome.story());
    assert!(outcome.notes_rule("host-key-race"), "{}", outcome.story());
}
