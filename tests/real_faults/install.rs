//! Faults of the installer and of the connection under it.

use crate::row::{BOOT, Expect, PASSED, Row, seconds};
use crate::rows;

/// A fault while the installer runs, and a verdict from its outcome.
const INSTALL: Row = Row {
    stages: 2,
    expect: Expect {
        place: ("install", "Triaged"),
        event: "outcome-classified",
        ..BOOT.expect
    },
    ..BOOT
};

/// A line of the installer that a fatal rule knows.
const FATAL_LINE: Expect = Expect {
    place: ("install", "Installing"),
    event: "output-rule",
    ..BOOT.expect
};

rows! {
    installer_exits_1 => Row {
        faults: "fault:installer-exit-1",
        expect: Expect { cause: "command-failed", ..INSTALL.expect },
        ..INSTALL
    }, |run| assert_eq!(run.result["verdict"]["detail"], "exit status 1", "{}", run.story());

    installer_killed_by_a_signal => Row {
        faults: "fault:installer-killed",
        expect: Expect { cause: "command-killed", ..INSTALL.expect },
        ..INSTALL
    }, |run| assert_eq!(run.result["verdict"]["detail"], "SIGKILL", "{}", run.story());

    installer_silent => Row {
        faults: "fault:installer-silent",
        gate: &[("stage.1.no-progress", "'5s'")],
        expect: Expect {
            cause: "command-silent",
            place: ("install", "Installing"),
            event: "deadline-no-progress",
            within: Some(seconds(6)),
            ..INSTALL.expect
        },
        ..INSTALL
    }, |_| {};

    // A fatal line ends the stage at once, though the installer may go on.
    guest_disk_full => Row {
        faults: "fault:installer-enospc",
        expect: Expect {
            cause: "guest-disk-full",
            rule: Some("container-blob-copy-enospc"),
            ..FATAL_LINE
        },
        ..INSTALL
    }, |run| {
        let verdict = &run.result["verdict"];
        assert_eq!(verdict["evidence"]["file"], "ssh/install.log", "{}", run.story());
        assert!(verdict["evidence"]["quote"].as_str().unwrap().to_lowercase().contains("no space left"));
        assert_eq!(verdict["publishable"], false);
    };

    tmpdir_not_honoured => Row {
        faults: "fault:installer-tmpdir",
        expect: Expect {
            cause: "tmpdir-not-honoured",
            rule: Some("tmpdir-not-honoured"),
            ..FATAL_LINE
        },
        ..INSTALL
    }, |run| assert_eq!(run.result["verdict"]["led_by"][0]["quote"], "# TMPDIR=/scratch", "{}", run.story());

    host_name_step_after_installation => Row {
        faults: "fault:installer-hostname",
        expect: Expect {
            class: "known-failure",
            exit: 3,
            cause: "installer-hostname-step",
            rule: Some("hostname-step-after-complete-install"),
            ..FATAL_LINE
        },
        ..INSTALL
    }, |run| {
        let verdict = &run.result["verdict"];
        assert_eq!(verdict["publishable"], true, "{}", run.story());
        assert!(verdict["rule"]["expires"].is_string(), "until when is told: {}", run.story());
    };

    host_name_step_without_installation => Row {
        faults: "fault:installer-hostname-early",
        expect: Expect {
            cause: "installation-incomplete",
            rule: Some("hostname-step-without-complete-install"),
            ..FATAL_LINE
        },
        ..INSTALL
    }, |run| assert_eq!(run.result["verdict"]["publishable"], false, "{}", run.story());

    kernel_panic_under_the_installer => Row {
        faults: "fault:panic-install",
        expect: Expect {
            cause: "kernel-panic",
            rule: Some("kernel-panic"),
            place: ("install", "Installing"),
            event: "console-rule",
            ..INSTALL.expect
        },
        ..INSTALL
    }, |_| {};

    // The guest keeps a copy of what its installer printed; a stage behind it tells the copy's length and digest.
    connection_lost_under_the_installer => Row {
        faults: "fault:ssh-drop",
        gate: &[
            ("stage.1.command", "'''set -o pipefail; tiny-install 2>&1 | tee /run/copy'''"),
            ("stage.2.name", "'copy'"),
            ("stage.2.kind", "'command'"),
            ("stage.2.timeout", "'1m'"),
            ("stage.2.command", "'wc -c </run/copy; sha256sum </run/copy'"),
        ],
        expect: PASSED,
        ..INSTALL
    }, |run| {
        for what in ["connection-lost", "command-reattached"] {
            assert_eq!(run.notes(what).count(), 1, "{what}: {}", run.story());
        }
        let kept = run.read_file("ssh/install.log");
        let digest = bootgate::qemu::disk::digest(&run.path.join("ssh/install.log"), |_| std::ops::ControlFlow::Continue(()));
        let expected = format!("{}\n{}  -\n", kept.len(), digest.unwrap());
        let copy = String::from_utf8(run.read_file("ssh/copy.log")).unwrap();
        assert_eq!(copy, expected, "{}", String::from_utf8_lossy(&kept));
    };
}
