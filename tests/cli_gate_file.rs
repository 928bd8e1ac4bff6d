//! Wrong gate files and missing inputs, as a user meets them: exit code 2, everything told at once, nothing made.

mod cli_support;

use std::path::{Path, PathBuf};

use bootgate::plan;
use cli_support::{Gate, ROOT, Seen, bootgate, run, see};

/// A gate whose image, upload and password are to come from somewhere.
const NEEDS_INPUTS: &str = r#"
gate = "needs-inputs"
[image]
iso = "images/live.iso"
[console]
markers = ["ready"]
[ssh]
user = "root"
password = { env = "BOOTGATE_TEST_PASSWORD" }
[[stage]]
name = "boot"
kind = "boot"
timeout = "1m"
[[stage]]
name = "install"
kind = "command"
command = "./install"
timeout = "1m"
[[stage.upload]]
from = "install.sh"
to = "/root/install"
"#;

/// The bad gate files, as a user at the top of the repository names them.
fn bad_gate_files() -> Vec<PathBuf> {
    let directory = Path::new("fixtures/gates/bad");
    let entries = std::fs::read_dir(Path::new(ROOT).join(directory)).expect("the fixtures are there");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names.map(|name| directory.join(name)).collect()
}

#[test]
fn every_bad_gate_file_is_refused_and_nothing_is_made() {
    let root = tempfile::tempdir().expect("a directory");
    let runs = root.path().join("runs");
    let files = bad_gate_files();
    assert!(files.len() >= 40);
    for file in files {
        let text = std::fs::read_to_string(Path::new(ROOT).join(&file)).expect("a fixture is readable");
        let errors = plan::parse(&file, &text).expect_err("a bad gate file");
        for command in ["run", "check", "doctor"] {
            let with_runs = |command: &str| {
                let mut command = bootgate([command]);
                command.arg(&file).env("BOOTGATE_RUNS", &runs);
                command
            };
            let seen = see(&mut with_runs(command));
            assert_eq!(
                (seen.code, &*seen.stdout),
                (Some(2), ""),
                "{command} {}",
                file.display()
            );
            assert!(seen.stderr.starts_with(&errors.render(false)), "{}", seen.stderr);
            assert!(seen.stderr.ends_with("nothing was started\n"), "{}", seen.stderr);
            if command != "doctor" {
                let seen = see(with_runs(command).arg("--json"));
                assert_eq!((seen.code, &*seen.stderr), (Some(2), ""), "{}", file.display());
                assert_eq!(seen.json(), errors.to_json());
            }
        }
        assert!(!runs.exists(), "{}", file.display());
    }
}

#[test]
fn what_is_no_gate_file_is_refused() {
    let gate = Gate::new("");
    gate.file("image.iso", &vec![b'#'; 2 * 1024 * 1024]);
    gate.file("vmlinuz", b"MZ\x90\x00\xff\xfe");
    gate.file("directory/x", b"");
    let pages: Vec<_> = ["nowhere.toml", "directory", "image.iso", "vmlinuz", "gate.toml/x"]
        .iter()
        .flat_map(|name| ["run", "check"].map(|command| see(&mut gate.bootgate(&[command, name]))))
        .map(|seen| {
            assert_eq!(seen.code, Some(2));
            seen.page(&[])
        })
        .collect();
    // `run` and `check` say the same.
    for pair in pages.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
    let pages: Vec<_> = pages.into_iter().step_by(2).collect();
    insta::assert_snapshot!("no_gate_file", pages.join("\n"));
    let json = see(&mut gate.bootgate(&["check", "nowhere.toml", "--json"])).json();
    assert_eq!(json["file"], "nowhere.toml");
    assert_eq!(
        json["errors"][0]["message"],
        "the gate file `nowhere.toml` does not exist"
    );
    assert!(!gate.names().contains(&"runs".to_owned()));
}

#[test]
fn in_an_empty_folder_the_first_step_is_told() {
    let folder = tempfile::tempdir().expect("a directory");
    for command in ["run", "check"] {
        let seen = see(bootgate([command]).current_dir(&folder));
        assert_eq!(seen.code, Some(2));
        let told = "the gate file `gate.toml` does not exist\n  help: check the path; `bootgate init IMAGE` ";
        assert!(seen.stderr.contains(told), "{seen:?}");
    }
}

#[test]
fn missing_inputs_are_told_all_at_once() {
    let gate = Gate::new(NEEDS_INPUTS);
    let seen = see(&mut gate.bootgate(&["run", "gate.toml"]));
    insta::assert_snapshot!("missing_inputs", seen.page(&[]));
    let json = see(&mut gate.bootgate(&["run", "gate.toml", "--json"]));
    assert_eq!(
        (json.code, json.json()["errors"].as_array().map(Vec::len)),
        (Some(2), Some(3))
    );
    assert_eq!(gate.names(), ["gate.toml"]);

    gate.file("install.sh", b"#!/bin/sh\n");
    gate.file("images/live.iso", b"");
    let run = |gate: &Gate| see(gate.bootgate(&["run", "gate.toml"]).env("BOOTGATE_TEST_PASSWORD", "x"));
    let seen: Seen = run(&gate);
    assert!(seen.stderr.contains("`images/live.iso` is empty"), "{}", seen.stderr);
    assert_eq!((seen.code, seen.stderr.matches("error: ").count()), (Some(2), 1));
}

#[test]
fn a_passphrase_that_no_keyboard_types_is_told_before_anything_is_started() {
    let stage = |channel: &str| {
        format!(
            r#"{NEEDS_INPUTS}
[[disk]]
name = "target"
size = "1GiB"
[[stage]]
name = "installed"
kind = "installed-boot"
target = "Reached target"
timeout = "1m"
unlock = {{ prompt = "passphrase", answer = {{ env = "BOOTGATE_TEST_PASSPHRASE" }}, channel = "{channel}" }}
"#
        )
    };
    for (channel, told) in [("screen", true), ("auto", false), ("serial", false)] {
        let gate = Gate::new(&stage(channel));
        let passphrase = "stra\u{df}e";
        let seen = see(gate
            .bootgate(&["run", "gate.toml"])
            .env("BOOTGATE_TEST_PASSPHRASE", passphrase));
        let complaint = "stage `installed`: the answer to the prompt can't be typed on the screen that asks for it: \
                         its character 5 is not on a US keyboard";
        assert_eq!(seen.stderr.contains(complaint), told, "{channel}: {}", seen.stderr);
        assert!(!seen.stderr.contains(passphrase), "{}", seen.stderr);
        assert_eq!((seen.code, gate.names()), (Some(2), vec!["gate.toml".to_owned()]));
    }
}

#[test]
fn colours_are_for_terminals_only() {
    let file = "fixtures/gates/bad/12-unknown-key-near.toml";
    let seen = run(["check", file]);
    assert!(!seen.stderr.contains('\u{1b}'), "{}", seen.stderr);
}
