//! What a CI job sees: why nothing was started, marks beside a wrong gate file, and no command that is not ours in anything
//! that is printed.

#[path = "support/ci_log.rs"]
mod ci_log;
mod cli_support;
#[path = "support/hostile.rs"]
mod hostile;

use std::path::{Path, PathBuf};

use bootgate::evidence::{Durability, RunDir};
use ci_log::{assert_harmless, github};
use cli_support::{Gate, Seen, bootgate, see};
use proptest::prelude::*;
use serde_json::json;

const GATE: &str = r#"gate = "small"

[image]
iso = "live.iso"

[machine]
memory = "64MiB"

[host]
HOST

[[disk]]
name = "system"
size = "4GiB"

[console]
markers = ["ready"]

[[stage]]
name = "boot"
kind = "boot"
timeout = "1m"
"#;

fn gate(host: &str) -> Gate {
    let gate = Gate::new(&GATE.replace("HOST", host));
    gate.file("live.iso", b"not empty");
    gate
}

/// Runs it; nothing must have been made.
fn refused(gate: &Gate, arguments: &[&str]) -> Seen {
    let before = gate.names();
    let arguments = [&["run", "gate.toml"], arguments].concat();
    let seen = see(&mut gate.bootgate(&arguments));
    assert_eq!(gate.names(), before, "{seen:?}");
    assert!(
        seen.stderr.contains("nothing was started") || seen.stdout.starts_with('{'),
        "{seen:?}"
    );
    seen
}

#[test]
fn a_scratch_directory_that_is_not_there_is_wrong_usage() {
    let seen = refused(&gate("scratch = \"none\""), &[]);
    assert_eq!(seen.code, Some(2));
    assert!(seen.stderr.contains("none` is not there\n  help: make it"), "{seen:?}");
    let seen = refused(&gate(""), &["--scratch", "elsewhere", "--json"]);
    assert_eq!(seen.code, Some(2));
    assert_eq!(seen.json()["errors"][0]["what"], "scratch");
}

#[test]
fn a_host_with_too_little_room_is_told_with_figures() {
    let gate = gate("reserve = \"9000TiB\"");
    let seen = refused(&gate, &["--ci", "github"]);
    assert_eq!(seen.code, Some(4));
    assert!(
        seen.stderr.contains("free in") && seen.stderr.contains("9000 TiB"),
        "{seen:?}"
    );
    let marks = github(&seen.stderr);
    assert_eq!((marks.len(), marks[0].name.as_str()), (1, "error"));
    assert!(marks[0].data.contains("9000 TiB"), "{marks:?}");
    let checked = see(&mut gate.bootgate(&["check", "gate.toml"]));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stderr.contains("9000 TiB"), "{checked:?}");
    let doctor = see(&mut gate.bootgate(&["doctor", "gate.toml"]));
    assert!(
        doctor.stdout.contains("FAIL  space") && doctor.stdout.contains("9000 TiB"),
        "{doctor:?}"
    );
}

#[test]
fn what_another_run_has_left_is_no_image() {
    let gate = gate("");
    let began = "2026-01-01T12:00:00Z".parse().unwrap();
    let run = RunDir::create(&gate.path().join("old"), "other", began).unwrap();
    let disk = run.file("disks/target.raw").unwrap();
    std::fs::write(&disk, "a disk").unwrap();
    let image = disk.to_str().unwrap();
    let live = refused(&gate, &["--image", image]);
    assert_eq!(live.code, Some(4), "its run goes on");
    assert!(live.stderr.contains("that run goes on"), "{live:?}");
    drop(run);
    let seen = refused(&gate, &["--image", image]);
    assert_eq!(seen.code, Some(2));
    assert!(seen.stderr.contains("a run of the gate `other` has left"), "{seen:?}");
    assert!(seen.stderr.contains("pin it with `sha256`"), "{seen:?}");
}

#[test]
fn mistakes_of_a_gate_file_are_marked_at_their_lines() {
    let gate = Gate::new("gate = \"x\"\n\n[image]\nisso = \"::error::a.iso\"\n");
    let mut command = gate.bootgate(&["run", "gate.toml"]);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", gate.path().parent().unwrap());
    let [summary, output] = ["summary", "output"].map(|name| gate.path().join(name));
    let seen = see(command
        .env("GITHUB_STEP_SUMMARY", &summary)
        .env("GITHUB_OUTPUT", &output));
    assert_eq!(seen.code, Some(2));
    let [summary, output] = [summary, output].map(|path| std::fs::read_to_string(path).unwrap());
    assert!(summary.starts_with("## ❌ bootgate started nothing\n"), "{summary}");
    assert!(summary.contains("gate.toml:4:1"), "{summary}");
    assert!(output.contains("\nusage\n") && output.contains("\n2\n"), "{output}");
    let marks = github(&seen.stderr);
    let folder = gate.path().file_name().unwrap().to_str().unwrap();
    let file = format!("{folder}/gate.toml");
    assert!(marks.len() >= 2, "{seen:?}");
    for mark in &marks {
        assert_eq!(
            (mark.name.as_str(), &mark.properties[0]),
            ("error", &("file".to_owned(), file.clone()))
        );
    }
    assert!(
        marks
            .iter()
            .any(|mark| mark.properties[1].1 == "4" && mark.data.contains("isso")),
        "{marks:?}"
    );
    assert_eq!(github(&see(&mut gate.bootgate(&["run", "gate.toml"])).stderr), []);
}

/// A run whose guest wrote these wherever it could.
fn run_saying(root: &Path, texts: &[String]) -> PathBuf {
    let run = RunDir::create(root, "live", "2026-01-01T12:00:00Z".parse().unwrap()).unwrap();
    std::fs::write(run.file("serial.log").unwrap(), texts.join("\n")).unwrap();
    let mut journal = run.trace().unwrap();
    let evidence = |text: &str| json!({"file": text, "offset_bytes": 5, "quote": text});
    for text in texts {
        for record in [
            json!({"seq": 1, "t_us": 0, "kind": "stage-began", "stage": text}),
            json!({"seq": 2, "t_us": 9, "kind": "transition", "stage": text, "from": text, "to": text, "event": text,
                   "confirmed_by": text, "detail": text, "evidence": evidence(text)}),
            json!({"seq": 3, "t_us": 10, "kind": "note", "what": text, "detail": text, "evidence": evidence(text)}),
        ] {
            journal.append(&record, Durability::Process).unwrap();
        }
    }
    let keys = [
        "cause",
        "title",
        "detail",
        "root_cause",
        "remedy",
        "tracker",
        "stage",
        "state",
    ];
    let mut verdict = json!({"class": "failed", "exit_code": 1, "evidence": evidence(&texts[0])});
    for (key, text) in keys.into_iter().zip(texts) {
        verdict[key] = json!(text);
    }
    run.write_result(&json!({ "verdict": verdict })).unwrap();
    run.path().to_owned()
}

/// What would do harm, and what rules look for.
fn words() -> impl Strategy<Value = String> {
    let telling = [
        "",
        "Kernel panic - not syncing: ",
        "No space left on device",
        "login: ",
        "emergency mode",
    ];
    (hostile::text(), prop::sample::select(telling.to_vec()), hostile::text())
        .prop_map(|(before, telling, after)| format!("{before}{telling}{after}"))
}

proptest! {
    // The program is started for each, so a case holds many texts.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2) })]

    #[test]
    fn no_command_shows_a_guests_command(texts in prop::collection::vec(words(), 60)) {
        let root = tempfile::tempdir().unwrap();
        let run = run_saying(root.path(), &texts);
        let log = root.path().join("old.log");
        let panics = texts.join("\nKernel panic - not syncing: ");
        std::fs::write(&log, format!("{panics}\n::error::z\n")).unwrap();
        let (run, log) = (run.to_str().unwrap(), log.to_str().unwrap());
        for words in [
            vec!["inspect", run],
            vec!["inspect", run, "--json"],
            vec!["trace", run, "--notes"],
            vec!["trace", run, "--json"],
            vec!["triage", log],
            vec!["triage", log, "--json"],
        ] {
            let mut command = bootgate(words.iter());
            let seen = see(command.env("CI", "true").env("GITHUB_ACTIONS", "true").env("BOOTGATE_RUNS", root.path()));
            prop_assert!(seen.stdout.len() > 100, "{words:?}: {seen:?}");
            assert_harmless(&words.join(" "), &(seen.stdout + &seen.stderr));
        }
    }
}
