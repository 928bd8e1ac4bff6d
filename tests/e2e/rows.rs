//! The rows: four steps that pass, and each failure of the documentation that they come from.

use crate::gate::GateFile;
use crate::live::{gate, live, text};
use crate::row::{Expect, Row};
use crate::run::Run;

const PASSED: Expect = Expect {
    class: "passed",
    exit: 0,
    cause: "every-claim-proved",
    rule: None,
    stage: "",
};

const FAILED: Expect = Expect {
    class: "failed",
    exit: 1,
    cause: "",
    rule: None,
    stage: "",
};

/// Every row, the cheap ones last.
pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "four-steps-uefi",
        gate: || gate("live-install.toml"),
        expect: PASSED,
        check: marker_before_sshd,
    },
    Row {
        name: "encrypted-bios",
        gate: encrypted,
        expect: PASSED,
        check: |_| {},
    },
    Row {
        name: "first-step-bios",
        gate: || first_step("bios"),
        expect: PASSED,
        check: marker_before_sshd,
    },
    Row {
        name: "export-runs-out-of-space",
        gate: || export("sudo live-install --export-only"),
        expect: Expect {
            cause: "guest-disk-full",
            rule: Some("container-blob-copy-enospc"),
            stage: "oci-export",
            ..FAILED
        },
        check: |run| assert_eq!(run.result["verdict"]["publishable"], false, "{}", run.story()),
    },
    Row {
        name: "tmpdir-not-forwarded",
        gate: || export("sudo live-install --tmpdir /scratch --export-only"),
        expect: Expect {
            cause: "tmpdir-not-honoured",
            rule: Some("tmpdir-not-honoured"),
            stage: "oci-export",
            ..FAILED
        },
        check: |_| {},
    },
    Row {
        name: "production-without-sshd",
        gate: production,
        expect: Expect {
            class: "untestable",
            exit: 5,
            cause: "ssh-not-listening",
            rule: Some("sshd-absent"),
            stage: "boot-live",
        },
        check: |_| {},
    },
    // With this much memory, and no scratch disk, the full /var/tmp hides: the export is complete.
    Row {
        name: "hostname-after-completion",
        gate: || install("installer-hostname", "--hostname live-test", 2),
        expect: Expect {
            class: "known-failure",
            exit: 3,
            cause: "installer-hostname-step",
            rule: Some("hostname-step-after-complete-install"),
            stage: "install",
        },
        check: |run| {
            assert_eq!(run.result["verdict"]["publishable"], true, "{}", run.story());
            let output = String::from_utf8(run.read_file("ssh/install.log")).unwrap();
            assert!(output.contains("OCI export complete"), "{output}");
        },
    },
    Row {
        name: "hostname-without-completion",
        gate: || install("installer-hostname-early", "--no-image", 2),
        expect: Expect {
            cause: "installation-incomplete",
            rule: Some("hostname-step-without-complete-install"),
            stage: "install",
            ..FAILED
        },
        check: |run| assert_eq!(run.result["verdict"]["publishable"], false, "{}", run.story()),
    },
    Row {
        name: "disk-without-boot-loader",
        gate: || install("no-bootloader", "--no-image", 3),
        expect: Expect {
            cause: "no-boot-loader",
            rule: Some("installed-without-boot-loader"),
            stage: "installed",
            ..FAILED
        },
        check: |_| {},
    },
    Row {
        name: "emergency-shell-installed",
        gate: || {
            let mut gate = install("", "--no-image", 3);
            gate.faults("fault:installed-emergency");
            gate
        },
        expect: Expect {
            cause: "mount-failed",
            rule: Some("emergency-mount-failed"),
            stage: "installed",
            ..FAILED
        },
        check: |_| {},
    },
    Row {
        name: "emergency-shell-live",
        gate: || {
            let mut gate = first_step("bios");
            gate.faults("fault:emergency");
            gate
        },
        expect: Expect {
            cause: "mount-failed",
            rule: Some("emergency-mount-failed"),
            stage: "boot-live",
            ..FAILED
        },
        check: |_| {},
    },
];

/// The marker came before sshd's host keys, so there were attempts that were reset, and the stage passed nevertheless.
fn marker_before_sshd(run: &Run) {
    let details: Vec<_> = run
        .notes("ssh-probe")
        .map(|note| note["detail"].as_str().unwrap())
        .collect();
    assert!(
        details
            .iter()
            .any(|detail| detail.starts_with("reset") || detail.starts_with("closed")),
        "{details:?}"
    );
    assert!(
        run.records("finding").any(|finding| finding["rule"] == "host-key-race"),
        "{}",
        run.story()
    );
}

fn first_step(firmware: &str) -> GateFile {
    let mut gate = gate("live-install.toml");
    gate.put("machine.firmware", firmware.into());
    gate.truncate(1);
    gate
}

/// The first two steps, with another command in the second.
fn export(command: &str) -> GateFile {
    let mut gate = gate("live-install.toml");
    gate.set("machine.firmware", "'bios'");
    gate.truncate(2);
    gate.put("stage.1.command", command.into());
    gate
}

fn production() -> GateFile {
    let mut gate = first_step("bios");
    gate.put("image.iso", text(&live().production).into());
    gate.set("ssh.appear-within", "'10s'");
    gate
}

fn encrypted() -> GateFile {
    let mut gate = gate("live-luks.toml");
    let passphrase = crate::tiny::repository().join("fixtures/gates/live-luks.passphrase");
    gate.file("live-luks.passphrase", &std::fs::read_to_string(passphrase).unwrap());
    gate
}

/// A live system with much memory, a plain installation with a fault, and the installed system: so many of the three.
fn install(fault: &str, arguments: &str, stages: usize) -> GateFile {
    let mut gate = gate("live-luks.toml");
    let command = format!("sudo LIVE_FAULTS=fault:{fault} live-install {arguments}");
    gate.put("stage.1.command", command.into());
    gate.set("stage.1.upload", "[]");
    gate.remove("stage.2.unlock");
    gate.truncate(stages);
    gate
}
