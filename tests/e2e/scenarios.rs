//! The scenarios. A live system that is booted once serves several rows: each goes on from its checkpoint, and what it
//! runs is a script beside the gate file, which stays the same.

use crate::bench::{Bench, Outcome};
use crate::gate::GateFile;
use crate::live::{gate, live, text};
use crate::row::{Expect, FirstStep, PASSED, Table, failed};

/// The four steps, one after the other, under UEFI.
pub(crate) fn four_steps(table: &mut Table) {
    let bench = Bench::new(&gate("live-install.toml"));
    let mut first_step = None;
    table.row(
        "four-steps-uefi",
        PASSED,
        || bench.whole(),
        |outcome| {
            marker_before_sshd(outcome);
            let stages = outcome.result["stages"].as_array().unwrap();
            assert_eq!(stages.len(), 4, "{}", outcome.story());
            assert_eq!(stages[3]["reached"], "target", "{}", outcome.story());
            first_step = Some(FirstStep::of(outcome));
        },
    );
    table.first_step = first_step;
}

/// With little memory: the first step under BIOS, and the exports that fail, from its checkpoint.
pub(crate) fn small_memory(table: &mut Table) {
    let bench = Bench::new(&scripted("1GiB"));
    let Some(booted) = table.row(
        "first-step-bios",
        PASSED,
        || bench.step("boot-live", None),
        marker_before_sshd,
    ) else {
        return;
    };
    let export = |arguments: &str| {
        bench.file("script.sh", &format!("exec live-install --export-only {arguments}\n"));
        bench.step("install", Some(&booted))
    };
    table.row(
        "export-runs-out-of-space",
        failed("guest-disk-full", "container-blob-copy-enospc"),
        || export(""),
        |outcome| assert_eq!(outcome.result["verdict"]["publishable"], false, "{}", outcome.story()),
    );
    table.row(
        "tmpdir-not-forwarded",
        failed("tmpdir-not-honoured", "tmpdir-not-honoured"),
        || export("--tmpdir /scratch"),
        |_| {},
    );
}

/// With more memory: the bug hides, what goes wrong late in an installation or after it, and an encrypted one.
pub(crate) fn large_memory(table: &mut Table) {
    let bench = Bench::new(&scripted("3GiB"));
    let Some(booted) = table.row(
        "boot-with-more-memory",
        PASSED,
        || bench.step("boot-live", None),
        |_| {},
    ) else {
        return;
    };
    let install = |fault: &str, arguments: &str| {
        let script = format!("export LIVE_FAULTS=fault:{fault}\nexec live-install {arguments}\n");
        bench.file("script.sh", &script);
        bench.step("install", Some(&booted))
    };
    hides(table, &bench, &install);
    hostname(table, &install);
    after_installation(table, &bench, &install);
    encrypted(table, &bench, &install);
}

/// Installs with a fault and arguments, from the checkpoint of the live system.
type Install<'a> = &'a dyn Fn(&str, &str) -> Outcome;

fn hides(table: &mut Table, bench: &Bench, install: Install<'_>) {
    let untested = Expect {
        cause: "not-everything-tested",
        ..PASSED
    };
    table.row(
        "export-hides-with-more-memory",
        untested,
        || {
            bench.file("condition.sh", "test $(stat -f -c %b /var/tmp) -lt 53248\n");
            install("none", "--export-only")
        },
        |outcome| {
            let stage = outcome.result["stages"].as_array().unwrap().last().unwrap();
            assert_eq!(stage["outcome"], "not-tested", "{}", outcome.story());
        },
    );
    bench.file("condition.sh", "true\n");
}

fn hostname(table: &mut Table, install: Install<'_>) {
    // No scratch disk: the export is complete because the bug hides.
    let known = Expect {
        class: "known-failure",
        exit: 3,
        cause: "installer-hostname-step",
        rule: Some("hostname-step-after-complete-install"),
    };
    table.row(
        "hostname-after-completion",
        known,
        || install("installer-hostname", ""),
        |outcome| {
            assert_eq!(outcome.result["verdict"]["publishable"], true, "{}", outcome.story());
            let output = outcome.text("ssh/install.log");
            assert!(output.contains("OCI export complete"), "{output}");
        },
    );
    table.row(
        "hostname-without-completion",
        failed("installation-incomplete", "hostname-step-without-complete-install"),
        || install("installer-hostname-early", "--no-image"),
        |outcome| assert_eq!(outcome.result["verdict"]["publishable"], false, "{}", outcome.story()),
    );
}

/// The installed system is at fault.
fn after_installation(table: &mut Table, bench: &Bench, install: Install<'_>) {
    let after = [
        (
            "disk-without-boot-loader",
            "no-bootloader",
            failed("no-boot-loader", "installed-without-boot-loader"),
        ),
        (
            "emergency-shell-installed",
            "installed-emergency",
            failed("mount-failed", "emergency-mount-failed"),
        ),
    ];
    for (name, fault, expect) in after {
        let Some(installed) = table.row(
            &format!("{name}: install"),
            PASSED,
            || install(fault, "--no-image"),
            |_| {},
        ) else {
            continue;
        };
        table.row(name, expect, || bench.step("installed", Some(&installed)), |_| {});
    }
}

/// The installed system asks for its passphrase, and its root is of the other file system.
fn encrypted(table: &mut Table, bench: &Bench, install: Install<'_>) {
    let arguments = "--luks /tmp/passphrase --filesystem btrfs --hostname live-luks --no-image";
    let installed = table.row("encrypted-bios: install", PASSED, || install("none", arguments), |_| {});
    let Some(installed) = installed else { return };
    table.row(
        "encrypted-bios",
        PASSED,
        || bench.step("installed", Some(&installed)),
        |outcome| {
            let console = outcome.text("serial.log");
            assert!(console.contains("Please unlock disk live-root"), "{}", outcome.story());
            let stage = outcome.result["stages"].as_array().unwrap().last().unwrap();
            assert_eq!(stage["reached"], "target", "{}", outcome.story());
        },
    );
}

/// What is seen when the live system boots.
pub(crate) fn live_faults(table: &mut Table) {
    let mut emergency = first_step();
    emergency.faults("fault:emergency");
    let bench = Bench::new(&emergency);
    table.row(
        "emergency-shell-live",
        failed("mount-failed", "emergency-mount-failed"),
        || bench.whole(),
        |_| {},
    );
    let mut production = first_step();
    production.put("image.iso", text(&live().production).into());
    production.set("ssh.appear-within", "'5s'");
    let untestable = Expect {
        class: "untestable",
        exit: 5,
        cause: "ssh-not-listening",
        rule: Some("sshd-absent"),
    };
    let bench = Bench::new(&production);
    table.row("production-without-sshd", untestable, || bench.whole(), |_| {});
}

/// systemd of the live system takes root's key from the firmware's tables; nothing else would let root in.
pub(crate) fn credentials(table: &mut Table) {
    let mut gate = first_step();
    gate.remove("image.production");
    gate.set("ssh", "{ user = 'root', open-by = { credentials = {} } }");
    let bench = Bench::new(&gate);
    table.row(
        "root-by-credentials",
        PASSED,
        || bench.whole(),
        |outcome| {
            assert_eq!(
                outcome.result["image"]["access"]["by"],
                "credentials",
                "{}",
                outcome.story()
            );
            assert_eq!(outcome.result["stages"][0]["reached"], "login", "{}", outcome.story());
        },
    );
}

/// The gate files that `bootgate init` writes for both forms, as they are.
pub(crate) fn first_use(table: &mut Table) {
    for (row, image) in [("init-production", &live().production), ("init-debug", &live().debug)] {
        let bench = Bench::new(&first_step());
        let written = std::process::Command::new(env!("CARGO_BIN_EXE_bootgate"))
            .args(["init", text(image), "-o", "gate.toml", "--force"])
            .current_dir(bench.path())
            .status();
        assert!(written.unwrap().success(), "{row}: no gate file");
        table.row(
            row,
            PASSED,
            || bench.whole(),
            |outcome| assert_eq!(outcome.result["stages"][0]["reached"], "login", "{}", outcome.story()),
        );
    }
}

/// The marker came before sshd's host keys, so there were attempts that failed, and the stage passed nevertheless.
fn marker_before_sshd(outcome: &Outcome) {
    assert!(outcome.notes_rule("host-key-race"), "{}", outcome.story());
}

/// The first step alone, under BIOS.
pub(crate) fn first_step() -> GateFile {
    let mut gate = gate("live-install.toml");
    gate.set("machine.firmware", "'bios'");
    gate.truncate(1);
    gate
}

/// A gate whose command is the script `script.sh` beside it, and tests something if `condition.sh` says so, under BIOS.
fn scripted(memory: &str) -> GateFile {
    let mut gate = gate("live-luks.toml");
    gate.put("machine.memory", memory.into());
    gate.set(
        "stage.1.upload",
        "[{ from = 'live-luks.passphrase', to = '/tmp/passphrase', mode = '0600' }, \
          { from = 'script.sh', to = '/tmp/script.sh' }, { from = 'condition.sh', to = '/tmp/condition.sh' }]",
    );
    gate.set(
        "stage.1.only-tests-if",
        "{ command = 'sh /tmp/condition.sh', because = 'with more memory the layer of 208 MiB fits into /var/tmp' }",
    );
    gate.set("stage.1.command", "'sudo bash /tmp/script.sh'");
    gate.set("stage.1.pass", "['\"message\":']");
    let passphrase = crate::tiny::repository().join("fixtures/gates/live-luks.passphrase");
    gate.file("live-luks.passphrase", &std::fs::read_to_string(passphrase).unwrap());
    gate.file("script.sh", "false\n");
    gate.file("condition.sh", "true\n");
    gate
}
