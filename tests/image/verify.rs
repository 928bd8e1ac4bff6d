//! `bootgate verify-production`.

use std::path::Path;

use crate::build::{ROOT, System, with_files};
use crate::cli_support::{Seen, run};
use crate::tiny;

fn verify(image: &Path, more: &[&str]) -> Seen {
    let arguments = ["verify-production", "--json"].into_iter().chain(more.iter().copied());
    run(arguments.chain([image.to_str().unwrap()]))
}

/// Checks and paths of what was found.
fn found(seen: &Seen) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let json = seen.json();
    let findings = json["findings"].as_array().unwrap_or_else(|| panic!("{seen:?}"));
    findings
        .iter()
        .map(|finding| (text(&finding["check"]), text(&finding["path"])))
        .collect()
}

#[test]
fn an_image_that_lets_nobody_in_is_fit_for_publishing() {
    let directory = tempfile::tempdir().unwrap();
    let image = System::production().iso(directory.path());
    let seen = verify(&image, &[]);
    assert_eq!((seen.code, found(&seen)), (Some(0), vec![]), "{seen:?}");
    let json = seen.json();
    assert_eq!(json["production_ready"], true);
    assert_eq!(json["looked_at"]["users"], 2);
    assert!(json["looked_at"]["files_read"].as_u64().unwrap() >= 7, "{json}");
    let told = run(["verify-production", image.to_str().unwrap()]);
    assert!(told.stdout.contains("starts no SSH server"), "{told:?}");
}

#[test]
fn everything_that_lets_somebody_in_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let mut system = System::production();
    system.link(
        "./etc/systemd/system/sshd.service",
        "/usr/lib/systemd/system/ssh.service",
    );
    system.link(
        "./etc/systemd/system/basic.target.wants/sshd.service",
        "/usr/lib/systemd/system/ssh.service",
    );
    system.file("./etc/rc3.d/S02dropbear", "");
    system.file("./etc/shadow-", "root:$y$j9T$a$b:1::::::\nlive::1::::::\n");
    system.file("./root/.ssh/authorized_keys", "ssh-ed25519 AAAA");
    system.file("./etc/default/live", "DEBUG=1\n");
    system.file("./etc/motd", "build.internal.example\n");
    let squashfs = directory.path().join("root.squashfs");
    system.pack(&squashfs);
    let config = directory.path().join("more.cfg");
    std::fs::write(&config, "linux /live/vmlinuz systemd.wants=ssh.service quiet\n").unwrap();
    let image = with_files(directory.path(), &[(&squashfs, ROOT), (&config, "/boot/more.cfg")]);
    let seen = verify(&image, &["--forbid", "internal.example", "--forbid", "/usr/bin/ping"]);
    assert_eq!(seen.code, Some(1));
    let found = found(&seen);
    let expected = [
        ("sshd-enabled", "/etc/rc3.d/S02dropbear"),
        ("sshd-enabled", "/etc/systemd/system/basic.target.wants/sshd.service"),
        ("kernel-arguments", "/boot/more.cfg"),
        ("password-set", "/etc/shadow-"),
        ("password-empty", "/etc/shadow-"),
        ("authorized-key", "/root/.ssh/authorized_keys"),
        ("debug-marker", "/etc/default/live"),
        ("forbidden", "/etc/motd"),
        ("forbidden", "/usr/bin/ping"),
    ];
    for (check, path) in expected {
        assert!(
            found.iter().any(|(c, p)| c == check && p.ends_with(path)),
            "{check} {path} in {found:?}"
        );
    }
    let allowed = verify(&image, &["--allow-empty-password", "live=a kiosk"]);
    assert!(!allowed.stdout.contains("password-empty"), "{allowed:?}");
    assert!(allowed.stdout.contains("as allowed: a kiosk"), "{allowed:?}");
}

#[test]
fn what_was_not_looked_at_is_not_proved() {
    let directory = tempfile::tempdir().unwrap();
    let seen = verify(&tiny::tiny().iso, &[]);
    assert_eq!(
        (seen.code, found(&seen)[0].0.as_str()),
        (Some(1), "not-looked-at"),
        "{seen:?}"
    );
    let squashfs = directory.path().join("bare.squashfs");
    System::bare().pack(&squashfs);
    let seen = verify(&with_files(directory.path(), &[(&squashfs, ROOT)]), &[]);
    assert_eq!(seen.code, Some(1));
    assert!(seen.stdout.contains("/etc/shadow"), "{seen:?}");
}

#[test]
fn a_squashfs_that_is_cut_off_or_garbage_is_an_error_and_no_pass() {
    let directory = tempfile::tempdir().unwrap();
    let squashfs = directory.path().join("a.squashfs");
    System::production().pack(&squashfs);
    let whole = std::fs::read(&squashfs).unwrap();
    let garbage = [b"hsqs".as_slice(), &[0xff; 4096]].concat();
    for (name, bytes) in [("cut", &whole[..200]), ("garbage", &garbage)] {
        let place = directory.path().join(name);
        std::fs::create_dir(&place).unwrap();
        let broken = place.join("broken");
        std::fs::write(&broken, bytes).unwrap();
        let seen = verify(&with_files(&place, &[(&broken, ROOT)]), &[]);
        assert_eq!(seen.code, Some(1), "{seen:?}");
        assert!(
            seen.json()["error"]
                .as_str()
                .is_some_and(|error| error.contains("squashfs")),
            "{seen:?}"
        );
    }
}
