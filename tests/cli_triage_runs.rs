//! `bootgate triage` on past runs.

mod cli_support;

use std::path::Path;

use bootgate::evidence::{Durability, RunDir};
use cli_support::{Seen, bootgate, see};
use serde_json::{Value, json};

const PANIC: &str = "[    3.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00007f00\n";
const NO_SPACE: &str = "write /var/tmp/container_images_1: no space left on device\n";

struct Runs(tempfile::TempDir);

/// What a run of two stages leaves: boot and command on one machine.
struct Past {
    serial: &'static str,
    output: &'static str,
    verdict: Value,
}

impl Runs {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn add(&self, second: u32, past: &Past) {
        let began = format!("2026-01-01T12:00:{second:02}Z").parse().expect("a time");
        let run = RunDir::create(&self.0.path().join("runs"), "live", began).expect("a run directory");
        let mut trace = run.trace().expect("a trace");
        for record in [
            json!({"t_us": 0, "kind": "stage-began", "stage": "boot"}),
            json!({"t_us": 1_000_000, "kind": "note", "what": "marker-seen", "detail": "marker `live`"}),
            json!({"t_us": 2_000_000, "kind": "note", "what": "ssh-probe", "detail": "reset-in-kex"}),
            json!({"t_us": 3_000_000, "kind": "note", "what": "ssh-probe", "detail": "logged-in"}),
            json!({"t_us": 4_000_000, "kind": "stage-began", "stage": "install"}),
        ] {
            if record["stage"] != "install" || past.verdict["stage"] != "boot" {
                trace.append(&record, Durability::Process).expect("a record is kept");
            }
        }
        let write = |name: &str, text: &str| std::fs::write(run.path().join(name), text).expect("a file");
        std::fs::create_dir_all(run.path().join("ssh")).expect("a directory");
        write("serial.log", past.serial);
        write("ssh/install.log", past.output);
        let event = json!({"event": "MEMORY_FAILURE", "data": {"recipient": "guest", "action": "ignore"}}).to_string();
        write(
            "qmp.jsonl",
            &format!("{}\n", json!({"t_us": 5_000_000, "dir": "received", "line": event})),
        );
        if !past.verdict.is_null() {
            run.write_result(&json!({ "verdict": past.verdict })).expect("a result");
        }
    }

    fn triage(&self, arguments: &[&str]) -> Seen {
        see(bootgate(["triage"]).args(arguments).current_dir(self.0.path()))
    }
}

fn verdict(class: &str, cause: &str, stage: &str, rule: Option<&str>, symptom: Option<&str>) -> Value {
    let rule = rule.map(|id| json!({ "id": id }));
    json!({ "class": class, "cause": cause, "stage": stage, "rule": rule, "symptom": symptom })
}

fn passed() -> Value {
    verdict("passed", "every-claim-proved", "install", None, None)
}

/// The page with the runs' random parts left out.
fn page(seen: &Seen, runs: &Path) -> String {
    let id = regex::Regex::new("live-20260101T1200([0-9]{2})Z-[0-9a-f]{8}").expect("a pattern");
    id.replace_all(&seen.page(&[(runs, "RUNS")]), "live-$1").into_owned()
}

#[test]
fn the_logs_of_a_run_are_read_as_what_they_are() {
    let runs = Runs::new();
    let verdict = verdict(
        "failed",
        "guest-disk-full",
        "install",
        Some("container-blob-copy-enospc"),
        None,
    );
    runs.add(
        0,
        &Past {
            serial: "Linux version 6.1\n",
            output: NO_SPACE,
            verdict,
        },
    );
    let seen = runs.triage(&["runs/last"]);
    insta::assert_snapshot!(page(&seen, runs.0.path()));
}

#[test]
fn only_what_is_judged_differently_is_listed() {
    let runs = Runs::new();
    let failed = |cause: &str, stage: &str, rule, symptom| verdict("failed", cause, stage, rule, symptom);
    let panic = failed("init-died", "boot", Some("kernel-panic-init"), None);
    let quiet = "Linux version 6.1\n";
    let enospc = failed("guest-disk-full", "install", Some("container-blob-copy-enospc"), None);
    let gone = failed("old-cause", "install", Some("removed-rule"), None);
    let explained = failed("old-cause", "install", Some("removed-rule"), Some("command-failed"));
    let unexplained = failed("command-failed", "install", None, None);
    let killed = verdict("infrastructure", "qemu-killed", "install", None, None);
    for (second, (serial, output, verdict)) in [
        (quiet, "done\n", passed()),
        (PANIC, "", panic),
        (quiet, NO_SPACE, enospc),
        (quiet, "going on\n", Value::Null),
        (quiet, "no space left on device\n", killed),
        // From here on the rules say something else.
        (quiet, NO_SPACE, passed()),
        (quiet, "x\n", gone),
        (quiet, "x\n", explained),
        (quiet, "tar: x: No space left on device\n", unexplained),
    ]
    .into_iter()
    .enumerate()
    {
        let second = u32::try_from(second).expect("few runs");
        runs.add(
            second,
            &Past {
                serial,
                output,
                verdict,
            },
        );
    }
    let seen = runs.triage(&["--against", "."]);
    insta::assert_snapshot!(page(&seen, runs.0.path()));
    let json = runs.triage(&["--against", "runs", "--json"]).json();
    assert_eq!((&json["as_recorded"], &json["differently"]), (&4.into(), &4.into()));
}

#[test]
fn runs_that_are_judged_as_they_were_are_no_news() {
    let runs = Runs::new();
    runs.add(
        0,
        &Past {
            serial: "",
            output: "",
            verdict: passed(),
        },
    );
    let seen = runs.triage(&["--against", "runs"]);
    let told = "1 runs: 1 as recorded, 0 differently, 0 without a verdict, 0 not readable\n";
    assert_eq!((seen.code, seen.stdout.as_str()), (Some(0), told));
    assert_eq!(runs.triage(&["--against", "nowhere"]).code, Some(2));
}

#[test]
fn a_console_is_read_whole_and_what_was_not_kept_is_named() {
    let runs = Runs::new();
    runs.add(
        0,
        &Past {
            serial: "Linux version 6.1\nKernel pa",
            output: "",
            verdict: passed(),
        },
    );
    let run = runs.0.path().join("runs/last").canonicalize().expect("a run");
    // The console goes on in the next file, in the middle of a word.
    let second = "nic - not syncing: Attempted to kill init! exitcode=0x00007f00\n";
    std::fs::write(run.join("serial.log.from-27"), second).expect("a file");
    let seen = runs.triage(&["runs/last"]);
    assert!(
        seen.stdout.contains("init-died") && seen.stdout.contains("serial.log@18"),
        "{seen:?}"
    );
    assert!(!seen.stdout.contains("not read"), "{seen:?}");
    // From here on something is missing, also of the line that the next file begins in.
    std::fs::remove_file(run.join("serial.log.from-27")).expect("a file");
    let rest = "Kernel panic - not syncing: Attempted to kill init!\nquiet\nBUG: unable to handle page fault\n";
    std::fs::write(run.join("serial.log.from-500"), rest).expect("a file");
    let seen = runs.triage(&["runs/last"]);
    let told = "  not read       bytes 27 to 500 of serial.log: the run did not keep them\n";
    assert!(
        seen.stdout.contains(told) && !seen.stdout.contains("init-died"),
        "{seen:?}"
    );
    let json = runs.triage(&["runs/last", "--json"]).json();
    let logs = json["logs"].as_array().expect("logs");
    let gap = json!([{"file": "serial.log", "from_bytes": 27, "to_bytes": 500}]);
    assert_eq!((&logs[0]["not_kept"], &logs[1]["not_kept"]), (&json!([]), &gap));
    // The file by itself is the same console.
    let file = see(bootgate(["triage", "serial.log"]).current_dir(&run));
    assert!(file.stdout.contains(told), "{file:?}");
}

#[test]
fn what_a_screen_said_counts_where_the_run_heeded_it() {
    let runs = Path::new(cli_support::ROOT).join("fixtures/runs");
    for (run, heeded) in [
        ("wrong-passphrase-on-the-screen", true),
        ("asked-on-the-screen-bios", false),
    ] {
        let seen = see(bootgate(["triage", "--json"]).arg(runs.join(run)));
        assert_eq!(seen.stdout.contains("screen-text-2.log"), heeded, "{run}: {seen:?}");
        assert_eq!(seen.stdout.contains("luks-wrong-passphrase"), heeded, "{run}: {seen:?}");
    }
}
