//! What the built-in rules find in recorded consoles, and that each proves itself on its fixtures.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bootgate::machine::Cause;
use bootgate::triage::{Correlator, Finding, LogScan, RuleClass, Source, answer, builtin, builtin_fixture, lint};
use jiff::civil::date;

/// Recording, the rules that must find something in it, in the order in which they first do, and the one that is believed.
const RECORDINGS: [(&str, &[&str], Option<&str>); 9] = [
    ("debian-12/clean.bin", &[], None),
    (
        "debian-12/emergency.bin",
        &[
            "emergency-requested",
            "emergency-mode",
            "maintenance-prompt",
            "question-on-the-console",
        ],
        Some("emergency-requested"),
    ),
    (
        "debian-12/panic-no-root.bin",
        &["kernel-panic-no-root", "kernel-panic"],
        Some("kernel-panic-no-root"),
    ),
    ("debian-12/spinner.bin", &[], None),
    (
        "grub/command-line.bin",
        &["grub-no-configuration"],
        Some("grub-no-configuration"),
    ),
    (
        "grub/rescue.bin",
        &["grub-rescue", "grub-device-missing"],
        Some("grub-rescue"),
    ),
    ("ovmf/network.bin", &["network-boot", "uefi-boot-entry-failed"], None),
    (
        "ovmf/shell.bin",
        &["uefi-shell-started", "uefi-shell-prompt"],
        Some("uefi-shell-prompt"),
    ),
    (
        "seabios/nothing-to-boot.bin",
        &["bios-boot-failed", "bios-no-bootable-device"],
        Some("bios-no-bootable-device"),
    ),
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/serial")
}

/// What is found in one console, from its beginning to its end.
fn found(bytes: &[u8], chunk_bytes: usize) -> Vec<Finding> {
    let rules = builtin();
    let mut correlator = Correlator::new(rules.clone());
    let mut scan = LogScan::new(&rules, &[Source::Serial], "serial.log").unwrap();
    let (mut findings, now) = (Vec::new(), Instant::now());
    for chunk in bytes.chunks(chunk_bytes) {
        scan.feed(chunk, now, &mut correlator, &mut findings);
    }
    scan.finish(&mut correlator, &mut findings);
    findings.extend(correlator.end(None));
    findings
}

fn id(finding: &Finding) -> String {
    builtin().rule(finding.rule).id.clone()
}

#[test]
fn rules_find_what_is_there_and_nothing_else() {
    for (name, expected, believed) in RECORDINGS {
        let bytes = std::fs::read(directory().join(name)).unwrap();
        for chunk_bytes in [1, 777] {
            let findings = found(&bytes, chunk_bytes);
            let ids: Vec<_> = findings.iter().map(id).collect();
            assert_eq!(ids, expected, "{name} in chunks of {chunk_bytes}");
            assert_eq!(answer(&builtin(), &findings).map(id).as_deref(), believed, "{name}");
        }
    }
}

/// The recordings of gates that pass: the console of a live system, an installer's output, an installed system.
#[test]
fn over_whole_gates_no_rule_but_a_note_finds_anything() {
    let runs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/runs");
    let mut consoles = 0;
    for run in std::fs::read_dir(runs).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(result) = std::fs::read_to_string(run.join("result.json")) else {
            continue;
        };
        let result: serde_json::Value = serde_json::from_str(&result).unwrap();
        if result["verdict"]["class"] != "passed" {
            continue;
        }
        for console in ["serial.log", "serial-2.log", "firmware.log", "firmware-2.log"] {
            let Ok(bytes) = std::fs::read(run.join(console)) else {
                continue;
            };
            consoles += 1;
            for finding in found(&bytes, 4096) {
                let rule = builtin().rule(finding.rule).clone();
                assert_eq!(
                    rule.class,
                    RuleClass::Note,
                    "{} in {}/{console}",
                    rule.id,
                    run.display()
                );
            }
        }
    }
    assert!(consoles >= 4, "only {consoles} consoles of passed runs are recorded");
}

#[test]
fn over_clean_consoles_no_rule_but_a_note_finds_anything() {
    for name in ["debian-12/clean.bin", "debian-12/spinner.bin"] {
        let findings = found(&std::fs::read(directory().join(name)).unwrap(), 4096);
        assert_eq!(answer(&builtin(), &findings).map(id), None, "{name}");
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
    let tested: BTreeSet<_> = RECORDINGS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(files, tested);
}

#[test]
fn every_built_in_rule_proves_itself() {
    let rules = builtin();
    let read = |_: &Path, name: &str| {
        let bytes = builtin_fixture(name).ok_or("there is none of that name")?;
        Ok(bytes.to_vec())
    };
    let count = rules.as_slice().len();
    // A fixed day: that rules expire is for `bootgate triage --lint` to tell, not for a test that fails by the calendar.
    let problems = lint(&rules, count, &read, date(2026, 11, 1), Instant::now()).unwrap();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn sentences_are_sentences() {
    for rule in builtin().as_slice() {
        for sentence in [&rule.root_cause, &rule.remedy] {
            assert!(sentence.ends_with(['.', ')']), "{}: {sentence}", rule.id);
        }
        assert!(!rule.title.ends_with('.'), "{}: a title is not a sentence", rule.id);
    }
}

#[test]
fn rules_that_explain_causes_name_causes_that_there_are() {
    let rules = builtin();
    let explained = |number: usize| Cause::ALL.iter().any(|cause| rules.explains(number, cause.id()));
    for (number, rule) in rules.as_slice().iter().enumerate() {
        if rule.file.ends_with("machine.toml") {
            assert!(explained(number), "{} explains no cause of the machine", rule.id);
        }
    }
}

#[test]
fn the_users_own_failures_each_have_a_rule() {
    let classes = [
        ("container-blob-copy-enospc", RuleClass::Failed, false),
        ("tmpdir-not-honoured", RuleClass::Failed, false),
        ("sshd-absent", RuleClass::Untestable, false),
        ("host-key-race", RuleClass::Note, false),
        ("squashfs-build-enospc", RuleClass::Infrastructure, false),
        ("hostname-step-after-complete-install", RuleClass::KnownFailure, true),
        ("hostname-step-without-complete-install", RuleClass::Failed, false),
    ];
    for (id, class, publishable) in classes {
        let rules = builtin();
        let rule = rules.get(id).unwrap_or_else(|| panic!("there is no rule {id}"));
        assert_eq!((rule.class, rule.publishable), (class, publishable), "{id}");
        assert_eq!(rule.expires.is_some(), class == RuleClass::KnownFailure, "{id}");
    }
}
