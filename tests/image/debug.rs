//! `bootgate debug-iso`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};

use crate::build::{ROOT, System, with_files};
use crate::cli_support::{Seen, run};
use crate::{sha256, tiny};

fn debug(production: &Path, output: &Path, more: &[&str]) -> Seen {
    let (production, output) = (production.to_str().unwrap(), output.to_str().unwrap());
    run(["debug-iso", production, "-o", output]
        .into_iter()
        .chain(more.iter().copied()))
}

/// What an archive of the image's squashfs holds: path to header, attributes and content.
fn squashfs_of(iso: &Path, directory: &Path) -> BTreeMap<String, String> {
    let squashfs = directory.join("out.squashfs");
    let _ = std::fs::remove_file(&squashfs);
    let mut extract = Command::new("osirrox");
    extract
        .args(["-no_rc", "-indev"])
        .arg(iso)
        .args(["-extract", ROOT])
        .arg(&squashfs);
    let Output { status, .. } = extract.output().unwrap();
    assert!(status.success());
    let archive = Command::new("sqfs2tar")
        .args(["-s", "-r", "."])
        .arg(&squashfs)
        .output()
        .unwrap();
    assert!(archive.status.success());
    let mut archive = tar::Archive::new(archive.stdout.as_slice());
    let mut entries = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let attributes: Vec<_> = match entry.pax_extensions().unwrap() {
            Some(found) => found.map(|record| record.unwrap().value_bytes().to_vec()).collect(),
            None => Vec::new(),
        };
        let header = entry.header();
        let told = format!(
            "{:?} {:o} {}/{} {} {:?} {:?} {:?} {attributes:?} {}",
            header.entry_type(),
            header.mode().unwrap(),
            header.uid().unwrap(),
            header.gid().unwrap(),
            header.mtime().unwrap(),
            entry
                .link_name_bytes()
                .map(|name| String::from_utf8_lossy(&name).into_owned()),
            header.device_major().unwrap(),
            header.device_minor().unwrap(),
            String::from_utf8_lossy(&content)
        );
        entries.insert(entry.path().unwrap().to_string_lossy().into_owned(), told);
    }
    entries
}

/// The boot records, and the volume's name and time, without places.
fn records(iso: &Path) -> (Vec<String>, Vec<u8>) {
    let mut command = Command::new("xorriso");
    command.args(["-no_rc", "-indev"]).arg(iso);
    let report = command
        .args([
            "-report_el_torito",
            "plain",
            "-report_system_area",
            "plain",
            "-pvd_info",
        ])
        .output();
    let report = String::from_utf8(report.unwrap().stdout).unwrap();
    let lasting = |line: &&str| line.contains("summary") || line.contains("img path") || line.contains("Volume Id");
    let mut time = [0; 17];
    let file = std::fs::File::open(iso).unwrap();
    file.read_exact_at(&mut time, 32768 + 830).unwrap();
    (
        report.lines().filter(lasting).map(str::to_owned).collect(),
        time.to_vec(),
    )
}

#[test]
fn the_debug_image_is_the_production_image_with_a_server_and_one_key() {
    let directory = tempfile::tempdir().unwrap();
    let production = System::production().iso(directory.path());
    let digest = sha256(&production);
    let output = directory.path().join("debug.iso");
    let seen = debug(&production, &output, &["--json"]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let record = seen.json();
    assert_eq!(sha256(&production), digest, "the production image is only read");
    assert_eq!(record["production"]["sha256"], digest);
    assert_eq!(record["debug"]["sha256"], sha256(&output));
    let beside = std::fs::read_to_string(directory.path().join("debug.iso.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&beside).unwrap(), record);
    assert_eq!(records(&production), records(&output));

    let before = squashfs_of(&production, directory.path());
    let mut after = squashfs_of(&output, directory.path());
    for (path, told) in &before {
        assert_eq!(after.remove(path).as_ref(), Some(told), "{path}");
    }
    let added: Vec<_> = after.keys().map(String::as_str).collect();
    let wants = "./etc/systemd/system/graphical.target.wants/ssh.service";
    assert!(added.contains(&wants), "{added:?}");
    assert!(
        after[wants].contains("/usr/lib/systemd/system/ssh.service"),
        "{}",
        after[wants]
    );
    assert!(
        after.values().all(|told| told.contains("115, 121, 115")),
        "labels: {after:?}"
    );
    let changes = record["changes"].as_array().unwrap();
    assert_eq!(changes.len(), added.len());

    let key = directory.path().join("debug.iso.key");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let public = Command::new("ssh-keygen")
        .arg("-y")
        .arg("-f")
        .arg(&key)
        .output()
        .unwrap();
    let public = String::from_utf8(public.stdout).unwrap();
    let words: Vec<_> = public.split_whitespace().take(2).collect();
    assert!(after["./etc/ssh/bootgate-debug/root"].contains(&words.join(" ")));
    let left: Vec<_> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !left.iter().any(|name| name.to_string_lossy().starts_with('.')),
        "{left:?}"
    );

    let judged = run(["verify-production", output.to_str().unwrap()]);
    assert_eq!(judged.code, Some(1), "a debug image is none for publishing");
    let again = debug(&output, &directory.path().join("again.iso"), &[]);
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("a debug image already"), "{again:?}");
}

#[test]
fn a_password_is_made_for_the_image_and_changes_nothing_but_its_field() {
    let directory = tempfile::tempdir().unwrap();
    let production = System::production().iso(directory.path());
    let output = directory.path().join("debug.iso");
    let seen = debug(&production, &output, &["--password"]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let password = std::fs::read_to_string(directory.path().join("debug.iso.password")).unwrap();
    assert!(password.trim().len() >= 20);
    assert!(!seen.stdout.contains(password.trim()) && !seen.stderr.contains(password.trim()));
    let (before, after) = (
        squashfs_of(&production, directory.path()),
        squashfs_of(&output, directory.path()),
    );
    let shadow = &after["./etc/shadow"];
    assert!(
        shadow.contains("root:$6$") && shadow.contains("daemon:!:1") && shadow.contains("640 0/42"),
        "{shadow}"
    );
    assert_eq!(before["./usr/bin/ping6"], after["./usr/bin/ping6"]);
    let unknown = debug(
        &production,
        &directory.path().join("b.iso"),
        &["--password", "--user", "live"],
    );
    assert_eq!(
        (unknown.code, unknown.stderr.contains("no user `live`")),
        (Some(2), true),
        "{unknown:?}"
    );
}

#[test]
fn nothing_is_replaced_or_left_half_made() {
    let directory = tempfile::tempdir().unwrap();
    let production = System::production().iso(directory.path());
    let output = directory.path().join("debug.iso");
    std::fs::write(&output, "mine").unwrap();
    let refused = debug(&production, &output, &[]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("--force"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "mine");
    let itself = debug(&production, &production, &["--force"]);
    assert_eq!(itself.code, Some(2));
    assert!(
        itself.stderr.contains("would replace the production image"),
        "{itself:?}"
    );
    assert_eq!(debug(&production, &output, &["--force"]).code, Some(0));
}

#[test]
fn an_image_that_can_not_be_changed_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("debug.iso");
    let tiny = debug(&tiny::tiny().iso, &output, &[]);
    assert_eq!(tiny.code, Some(5));
    assert!(tiny.stderr.contains("holds no squashfs"), "{tiny:?}");
    let no_iso = directory.path().join("text.iso");
    std::fs::write(&no_iso, "no image").unwrap();
    let refused = debug(&no_iso, &output, &[]);
    assert!(refused.stderr.contains("is not an ISO 9660 image"), "{refused:?}");
    assert_eq!(refused.code, Some(2));
    let missing = debug(&directory.path().join("missing.iso"), &output, &[]);
    assert!(missing.stderr.contains("No such file"), "{missing:?}");
    assert_eq!(missing.code, Some(2));

    let squashfs = directory.path().join("a.squashfs");
    System::production().pack(&squashfs);
    let several = with_files(
        directory.path(),
        &[(&squashfs, "/a.squashfs"), (&squashfs, "/b.squashfs")],
    );
    let seen = debug(&several, &output, &[]);
    assert!(seen.stderr.contains("--squashfs"), "{seen:?}");
    let seen = debug(&several, &output, &["--squashfs", "b.squashfs"]);
    assert_eq!(seen.code, Some(0), "{seen:?}");

    let missing = crate::cli_support::bootgate(["debug-iso", several.to_str().unwrap(), "-o", "/dev/null/x"])
        .env("PATH", directory.path())
        .output()
        .unwrap();
    let told = String::from_utf8(missing.stderr).unwrap();
    assert!(told.contains("apt-get install xorriso"), "{told}");
}
