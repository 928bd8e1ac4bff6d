//! `replay` on a small recorded run, as it was and with changes.

mod cli_support;

use std::path::PathBuf;

use cli_support::{Seen, bootgate, see};
use serde_json::{Value, json};

const GATE: &str = "gate = \"live\"\ntimeout-scale = 1.0\n[image]\niso = \"live.iso\"\n[console]\nmarkers = [\"LIVE-READY\"]\n\
     [[stage]]\nname = \"boot\"\nkind = \"boot\"\ntimeout = \"20s\"\nclaims = \"marker\"\n";
const CONSOLE: &str = "Linux version 6.1.0 (fake)\r\nWelcome to Fake\r\nLIVE-READY\r\n";

/// A rules file that knows the recorded console.
const RULE: &str = "[[rule]]\nid = \"fake\"\nclass = \"failed\"\ncause = \"fake-image\"\nfatal = true\nsources = [\"serial\"]\n\
                text = \"Welcome to Fake\"\ntitle = \"The image is a fake.\"\nroot-cause = \"It says so.\"\n\
                remedy = \"Take a real one.\"\nmatches = [\"Welcome to Fake\"]\nignores = [\"Welcome\"]\n";

/// A folder that keeps one recorded run.
struct Recorded(tempfile::TempDir);

impl Recorded {
    fn new() -> Self {
        let recorded = Self(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir_all(recorded.run()).expect("made");
        recorded.write("gate.toml", GATE);
        recorded.write("serial.log", CONSOLE);
        recorded.write("inputs.jsonl", &lines(&inputs()));
        recorded.write("trace.jsonl", &lines(&trace()));
        let info = json!({"id": "live-1", "uuid": "00000000-0000-0000-0000-000000000001", "gate": "live",
            "started": "2026-01-01T12:00:00Z", "controller": {"pid": 1, "start_ticks": 0}, "bootgate_version": "0.1.0"});
        recorded.write("run.json", &info.to_string());
        recorded
    }

    fn run(&self) -> PathBuf {
        self.0.path().join("live-1")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.run().join(name), text).expect("written");
    }

    fn replay(&self, arguments: &[&str]) -> Seen {
        let mut command = bootgate(["replay", "live-1", "--runs"]);
        see(command.arg(self.0.path()).args(arguments))
    }

    fn page(&self, arguments: &[&str]) -> String {
        self.replay(arguments).page(&[(self.0.path(), "RUNS")])
    }

    /// A file beside the runs.
    fn beside(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    }
}

fn lines(all: &[Value]) -> String {
    all.iter()
        .fold(String::new(), |text, line| text + &line.to_string() + "\n")
}

fn fact(t_us: u64, fact: &str, more: &Value) -> Value {
    let mut line = json!({"t_us": t_us, "kind": "fact", "fact": fact});
    line.as_object_mut()
        .expect("an object")
        .extend(more.as_object().expect("an object").clone());
    line
}

fn asked(t_us: u64, effect: &str) -> Value {
    json!({"t_us": t_us, "kind": "asked", "effect": effect})
}

fn found(t_us: u64, id: &str, offset: usize) -> Value {
    fact(
        t_us,
        "match",
        &json!({"file": "serial.log", "id": id, "offset": offset}),
    )
}

fn event(t_us: u64, event: &Value) -> Value {
    fact(t_us, "event", &json!({"event": event}))
}

/// Boots in three seconds and shows its marker in the fourth.
fn inputs() -> Vec<Value> {
    let at = |text: &str| CONSOLE.find(text).expect("it is on the console");
    let bytes = |t_us: u64, from: usize, to: usize| json!({"t_us": t_us, "kind": "bytes", "file": "serial.log", "offset": from, "length": to - from});
    let prepared =
        json!({"accelerator": "tcg", "why": "the gate file says so", "scale_percent": 100, "serial": "serial.log"});
    vec![
        json!({"t_us": 0, "kind": "began", "form": 1, "bootgate": "0.1.0", "hold_ms": 0}),
        asked(0, "prepare stage 0"),
        fact(1_000_000, "prepared", &prepared),
        asked(1_000_000, "continue"),
        fact(1_000_100, "qmp", &json!({"name": "RESUME", "data": null})),
        bytes(2_000_000, 0, at("Welcome")),
        event(2_000_010, &json!("ConsoleSpoke")),
        found(2_000_020, "kernel", at("Linux")),
        bytes(3_000_000, at("Welcome"), at("LIVE")),
        found(3_000_020, "userspace", at("Welcome")),
        bytes(4_000_000, at("LIVE"), CONSOLE.len()),
        found(4_000_020, "marker:LIVE-READY", at("LIVE")),
        asked(4_000_020, "query-status"),
        event(4_001_000, &json!({"StatusObserved": "Running"})),
        asked(4_001_000, "end-qemu"),
        event(4_100_000, &json!({"QemuEnded": {"Exited": {"code": 0}}})),
        asked(4_100_000, "check-release"),
        event(4_101_000, &json!("ImagesReleased")),
    ]
}

fn trace() -> Vec<Value> {
    let step = |t_us: u64, from: &str, to: &str, event: &str| json!({"t_us": t_us, "kind": "transition", "stage": "boot", "from": from, "to": to, "event": event});
    vec![
        step(1_000_000, "Preparing", "Booting", "prepared"),
        step(4_001_000, "Booting", "Exiting", "marker-seen"),
        step(4_100_000, "Exiting", "Releasing", "qemu-ended"),
        json!({"t_us": 4_101_000, "kind": "verdict", "stage": "boot", "state": "Releasing", "class": "passed",
               "cause": "every-claim-proved"}),
        step(4_101_000, "Releasing", "Finished", "images-released"),
    ]
}

#[test]
fn as_it_was_it_comes_to_the_recorded_verdict() {
    let recorded = Recorded::new();
    insta::assert_snapshot!("unchanged", recorded.page(&["--notes"]));
    let seen = recorded.replay(&["--json"]);
    let json = seen.json();
    assert_eq!(
        (seen.code, &json["same_verdict"], &json["end"]),
        (Some(0), &json!(true), &json!("finished"))
    );
    assert_eq!(
        (&json["exit_code"], &json["first_difference"]),
        (&json!(0), &Value::Null)
    );
}

/// The marker is another line, which came a second before: QEMU had told that the guest runs.
#[test]
fn an_earlier_marker_shows_when_the_stage_would_have_passed() {
    let recorded = Recorded::new();
    let gate = recorded.beside("early.toml", &GATE.replace("LIVE-READY", "Welcome to"));
    insta::assert_snapshot!("earlier_marker", recorded.page(&["--gate", &gate]));
}

#[test]
fn where_the_machine_does_something_else_the_recording_ends() {
    let recorded = Recorded::new();
    let gate = recorded.beside("never.toml", &GATE.replace("LIVE-READY", "NEVER"));
    insta::assert_snapshot!("another_marker", recorded.page(&["--gate", &gate]));
    let seen = recorded.replay(&["--gate", &gate, "--json"]);
    assert_eq!((seen.code, &seen.json()["end"]), (Some(1), &json!("recording-ends")));
}

#[test]
fn shorter_deadlines_and_other_rules_come_to_another_verdict() {
    let recorded = Recorded::new();
    insta::assert_snapshot!("shorter_deadlines", recorded.page(&["--deadline-scale", "10"]));
    let rules = recorded.beside("rules.toml", RULE);
    insta::assert_snapshot!("another_rule", recorded.page(&["--rules", &rules]));
}

#[test]
fn rules_that_came_with_the_gate_are_used_again() {
    let recorded = Recorded::new();
    let with_rules = format!("{GATE}[triage]\nrules = [\"known.toml\"]\n");
    recorded.write("gate.toml", &with_rules);
    recorded.write("rules-1.toml", RULE);
    let cause = |arguments: &[&str]| recorded.replay(arguments).json()["replayed"]["cause"].clone();
    assert_eq!(cause(&["--json"]), "fake-image");
    let gate = recorded.beside("other.toml", &with_rules);
    recorded.beside("known.toml", &RULE.replace("fake-image", "forged-image"));
    assert_eq!(cause(&["--json", "--gate", &gate]), "forged-image");
}

#[test]
fn what_can_not_be_replayed_is_told() {
    let recorded = Recorded::new();
    let mut pages = Vec::new();
    std::fs::remove_file(recorded.run().join("gate.toml")).expect("removed");
    pages.push(recorded.page(&[]));
    recorded.write("gate.toml", GATE);
    recorded.write("serial.log", "Linux");
    pages.push(recorded.page(&[]));
    recorded.write(
        "inputs.jsonl",
        "{\"t_us\":0,\"kind\":\"began\",\"form\":2,\"bootgate\":\"9.0.0\",\"hold_ms\":0}\n",
    );
    pages.push(recorded.page(&[]));
    recorded.write("inputs.jsonl", "{\"t_us\":0,\"kind\":\"spoke\"}\n");
    pages.push(recorded.page(&[]));
    std::fs::remove_file(recorded.run().join("inputs.jsonl")).expect("removed");
    pages.push(recorded.page(&[]));
    insta::assert_snapshot!("not_replayed", pages.join("\n"));
}

#[test]
fn a_recording_that_names_files_elsewhere_reads_none_of_them() {
    let recorded = Recorded::new();
    recorded.beside("serial.log", CONSOLE);
    let text = std::fs::read_to_string(recorded.run().join("inputs.jsonl")).expect("read");
    recorded.write("inputs.jsonl", &text.replace("\"serial.log\"", "\"../serial.log\""));
    let seen = recorded.replay(&[]);
    assert_eq!(seen.code, Some(1));
    assert!(
        seen.stdout.contains("it names a file outside of the run"),
        "{}",
        seen.stdout
    );
}

/// `kill -9` tears the last line of both files.
#[test]
fn a_run_that_was_killed_is_replayed_as_far_as_it_came() {
    let recorded = Recorded::new();
    let text = lines(&inputs()[..9]);
    recorded.write("inputs.jsonl", &text[..text.len() - 20]);
    recorded.write("trace.jsonl", &lines(&trace()[..1]));
    insta::assert_snapshot!("killed", recorded.page(&[]));
}
