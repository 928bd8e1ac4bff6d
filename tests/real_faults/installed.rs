//! Faults of the installed system, found when it boots from its own disk.

use crate::row::{BOOT, Expect, PASSED, Row, seconds};
use crate::rows;

/// The whole gate; it fails when the installed disk boots.
const INSTALLED: Row = Row {
    stages: 3,
    gate: &[("stage.2.login-settle", "'4s'")],
    expect: Expect {
        place: ("installed", "BootingDisk"),
        event: "console-rule",
        within: None,
        ..BOOT.expect
    },
    ..BOOT
};

rows! {
    no_boot_loader_for_bios => Row {
        faults: "fault:no-bootloader",
        since: Some(|record| record["event"] == "images-released"),
        expect: Expect {
            cause: "no-boot-loader",
            rule: Some("installed-without-boot-loader"),
            place: ("installed", "Preparing"),
            event: "preparation-failed",
            within: Some(seconds(2)),
            ..INSTALLED.expect
        },
        ..INSTALLED
    }, |_| {};

    no_boot_loader_for_uefi => Row {
        faults: "fault:no-bootloader",
        gate: &[("machine.firmware", "'uefi'")],
        // What the firmware says when it gives the disk up.
        since: Some(|record| record["what"] == "console-rule"),
        // It waits five seconds before its shell asks for a command.
        expect: Expect { cause: "no-boot-device", rule: Some("uefi-shell-prompt"), within: Some(seconds(10)), ..INSTALLED.expect },
        ..INSTALLED
    }, |_| {};

    stopped_at_a_login_prompt => Row {
        faults: "fault:installed-login-only",
        expect: Expect {
            cause: "stopped-at-login-prompt",
            place: ("installed", "Verifying"),
            event: "deadline-login-settle",
            within: Some(seconds(7)),
            ..INSTALLED.expect
        },
        ..INSTALLED
    }, |_| {};

    target_told_behind_a_login_prompt => Row {
        faults: "fault:installed-login-only",
        gate: &[("stage.2.target-check", "'echo asked; test -e /etc/hostname'")],
        expect: Expect { place: ("installed", "Releasing"), ..PASSED },
        ..INSTALLED
    }, |run| {
        let told: Vec<_> = run.notes("target-told").collect();
        assert_eq!(told[0]["evidence"]["file"], "ssh/installed.target.txt", "{}", run.story());
        let answer = String::from_utf8(run.read_file("ssh/installed.target.txt")).unwrap();
        assert!(answer.ends_with("asked\n(exit status 0)\n"), "{answer}");
    };

    installed_kernel_panic => Row {
        faults: "fault:installed-panic",
        expect: Expect {
            cause: "kernel-panic",
            rule: Some("kernel-panic"),
            place: ("installed", "Verifying"),
            within: Some(seconds(2)),
            ..INSTALLED.expect
        },
        ..INSTALLED
    }, |_| {};
}
