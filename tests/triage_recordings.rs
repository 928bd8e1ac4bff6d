//! What the built-in rules find in recorded consoles.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bootgate::serial::marker::{PROMPT_QUIET, Target, Watch};
use bootgate::triage::{Source, builtin};

/// Recording, and the rules that must find something in it, in the order in which they first do.
const RECORDINGS: [(&str, &[&str]); 9] = [
    ("debian-12/clean.bin", &[]),
    ("debian-12/emergency.bin", &["emergency-mode", "maintenance-prompt"]),
    ("debian-12/panic-no-root.bin", &["kernel-panic-no-root", "kernel-panic"]),
    ("debian-12/spinner.bin", &[]),
    ("grub/command-line.bin", &["grub-no-configuration"]),
    ("grub/rescue.bin", &["grub-device-missing", "grub-rescue"]),
    ("ovmf/network.bin", &["network-boot", "uefi-boot-entry-failed"]),
    ("ovmf/shell.bin", &["uefi-shell-started", "uefi-shell-prompt"]),
    (
        "seabios/nothing-to-boot.bin",
        &["bios-boot-failed", "bios-no-bootable-device"],
    ),
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/serial")
}

fn watch() -> Watch {
    let targets = builtin()
        .patterns_for(Source::Serial)
        .map(|(id, pattern, prompt)| Target {
            id: id.to_owned(),
            pattern: pattern.clone(),
            prompt,
        });
    Watch::new(targets).expect("the built-in rules can be watched for together")
}

/// The names of the rules that find something, in the order in which they first do.
fn found(bytes: &[u8], chunk_bytes: usize) -> Vec<String> {
    let mut watch = watch();
    let mut ids: Vec<String> = Vec::new();
    let mut seen = |id: String| {
        if !ids.contains(&id) {
            ids.push(id);
        }
    };
    let now = Instant::now();
    for chunk in bytes.chunks(chunk_bytes) {
        watch.feed(chunk, now, |found| seen(found.id));
    }
    watch.finish(|found| seen(found.id));
    ids
}

#[test]
fn rules_find_what_is_there_and_nothing_else() {
    for (name, expected) in RECORDINGS {
        let bytes = std::fs::read(directory().join(name)).unwrap();
        for chunk_bytes in [1, 777] {
            assert_eq!(
                found(&bytes, chunk_bytes),
                expected,
                "{name} in chunks of {chunk_bytes}"
            );
        }
    }
}

#[test]
fn every_recording_is_tested() {
    let mut files = BTreeSet::new();
    for directory in std::fs::read_dir(directory()).unwrap() {
        let directory = directory.unwrap();
        if directory.file_type().unwrap().is_dir() {
            for file in std::fs::read_dir(directory.path()).unwrap() {
                let name = (directory.file_name(), file.unwrap().file_name());
                files.insert(format!("{}/{}", name.0.display(), name.1.display()));
            }
        }
    }
    let tested: BTreeSet<_> = RECORDINGS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, tested);
}

#[test]
fn every_rule_finds_its_own_lines_on_a_console() {
    let mut watch = watch();
    let mut now = Instant::now();
    for rule in builtin().iter().filter(|rule| rule.sources.contains(&Source::Serial)) {
        for line in &rule.matches {
            let mut ids = Vec::new();
            let ended = if rule.prompt { "" } else { "\r\n" };
            let raw = format!("\r\nbefore\r\n\x1b[1m{line}\x1b[0m{ended}");
            watch.feed(raw.as_bytes(), now, |found| ids.push(found.id));
            now += PROMPT_QUIET;
            watch.quiet(now, |found| ids.push(found.id));
            assert!(ids.contains(&rule.id), "{}: {line}", rule.id);
        }
    }
}
