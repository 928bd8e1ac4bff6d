//! Faults from power-on to a stable login.

use nix::sys::signal::Signal;

use crate::row::{BOOT, Expect, PASSED, Row, seconds};
use crate::rows;
use crate::run::Run;

/// A stage that passes although something was wrong on the way leaves no complaint behind.
fn without_noise(run: &Run) {
    assert_eq!(run.remarks(), [""; 0], "{}", run.story());
    assert_eq!(run.records("deadline-near").count(), 0, "{}", run.story());
    let probes: Vec<_> = run.notes("ssh-probe").map(|note| &note["detail"]).collect();
    assert!(probes.iter().all(|probe| **probe == "logged-in"), "{probes:?}");
    assert!(
        !run.stderr.contains("warning") && !run.stderr.contains("WARN"),
        "{}",
        run.stderr
    );
}

rows! {
    kernel_panic => Row {
        faults: "fault:panic",
        expect: Expect { cause: "kernel-panic", rule: Some("kernel-panic"), event: "console-rule", ..BOOT.expect },
        ..BOOT
    }, |run| {
        let by = &run.result["verdict"]["confirmed_by"];
        assert!(by.as_array().unwrap().contains(&"QMP GUEST_PANICKED".into()), "two signals: {by}");
        let console = String::from_utf8(run.read_file("serial.log")).unwrap();
        assert!(console.contains("Call Trace:") && console.contains("RIP: "), "{console}");
    };

    emergency_shell => Row {
        faults: "fault:emergency",
        expect: Expect { cause: "mount-failed", rule: Some("emergency-mount-failed"), event: "console-rule", ..BOOT.expect },
        ..BOOT
    }, |_| {};

    dracut_shell => Row {
        faults: "fault:dracut",
        expect: Expect { cause: "root-not-found", rule: Some("dracut-device-missing"), event: "console-rule", ..BOOT.expect },
        ..BOOT
    }, |_| {};

    question_that_nobody_answers => Row {
        faults: "fault:prompt",
        expect: Expect {
            cause: "waiting-for-input",
            event: "input-awaited",
            within: Some(seconds(5)),
            ..BOOT.expect
        },
        ..BOOT
    }, |run| {
        let quote = &run.result["verdict"]["evidence"]["quote"];
        assert_eq!(quote, "Select keyboard layout [us]: ", "{}", run.story());
    };

    power_off_while_booting => Row {
        faults: "fault:poweroff",
        expect: Expect { cause: "guest-powered-off", event: "guest-shut-down", ..BOOT.expect },
        ..BOOT
    }, |_| {};

    reset_loop => Row {
        faults: "fault:reset-loop",
        expect: Expect { cause: "reset-loop", event: "guest-reset", ..BOOT.expect },
        ..BOOT
    }, |run| assert_eq!(run.faults.len(), 2, "one reset is no loop yet");

    qemu_killed => Row {
        signal: Some(Signal::SIGKILL),
        expect: Expect {
            class: "infrastructure",
            exit: 4,
            cause: "qemu-killed",
            event: "qemu-ended",
            within: Some(seconds(1)),
            ..BOOT.expect
        },
        ..BOOT
    }, |_| {};

    qemu_stopped => Row {
        signal: Some(Signal::SIGSTOP),
        expect: Expect {
            class: "infrastructure",
            exit: 4,
            cause: "qemu-stopped",
            event: "qmp-silent",
            within: Some(seconds(10)),
            ..BOOT.expect
        },
        ..BOOT
    }, |_| {};

    no_marker_but_ssh => Row {
        faults: "fault:no-marker",
        expect: PASSED,
        ..BOOT
    }, |run| {
        assert_eq!(run.remarks().len(), 1, "{}", run.story());
        assert!(run.remarks()[0].contains("before any marker"), "{}", run.story());
        assert_eq!(run.result["stages"][0]["reached"], "login");
        assert!(run.path_of_states().contains(&("Booting", "SshStable")), "{}", run.story());
        assert!(run.stderr.contains("ssh-stable-before-marker"), "a person sees it too: {}", run.stderr);
    };

    marker_but_nothing_behind_the_port => Row {
        faults: "fault:no-sshd",
        gate: &[("ssh.appear-within", "'6s'")],
        expect: Expect {
            class: "untestable",
            exit: 5,
            cause: "ssh-not-listening",
            rule: Some("sshd-absent"),
            place: ("boot-live", "MarkerSeen"),
            event: "deadline-ssh-appear",
            within: Some(seconds(7)),
        },
        ..BOOT
    }, |_| {};

    connections_reset_for_ten_seconds => Row {
        faults: "fault:late-sshd=10",
        expect: PASSED,
        ..BOOT
    }, without_noise;

    ssh_flapping => Row {
        faults: "fault:flap",
        gate: &[
            ("ssh.stable-within", "'12s'"),
            ("ssh.stable-window", "'4s'"),
            ("ssh.retry-every", "'500ms'"),
        ],
        expect: Expect {
            cause: "ssh-flapping",
            place: ("boot-live", "MarkerSeen"),
            event: "deadline-ssh-stable",
            within: Some(seconds(20)),
            ..BOOT.expect
        },
        ..BOOT
    }, |_| {};

    wrong_password => Row {
        gate: &[("ssh.password", "'not-the-password'")],
        since: Some(|record| record["what"] == "ssh-probe"),
        expect: Expect {
            class: "untestable",
            exit: 5,
            cause: "ssh-auth-rejected",
            rule: None,
            place: ("boot-live", "MarkerSeen"),
            event: "ssh-auth-rejected",
            within: Some(seconds(8)),
        },
        ..BOOT
    }, |_| {};
}
