//! `trace` on runs of every kind.

mod cli_support;

use std::sync::{Mutex, PoisonError};

use std::path::Path;

use bootgate::evidence::{Durability, RunDir};
use cli_support::{Seen, bootgate, see};
use serde_json::json;

struct Runs(tempfile::TempDir);

impl Runs {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// A run of the gate `live` that began at a given second.
    fn begin(&self, second: u32) -> RunDir {
        let began = format!("2026-01-01T12:00:{second:02}Z").parse().expect("a time");
        RunDir::create(self.path(), "live", began).expect("a run directory")
    }

    fn trace(&self, arguments: &[&str]) -> Seen {
        let mut command = bootgate(["trace"]);
        see(command.args(arguments).arg("--runs").arg(self.path()))
    }

    /// What is seen, without what differs from run to run.
    fn page(&self, run: &RunDir, arguments: &[&str]) -> String {
        let digits = run.info().uuid.simple().to_string();
        let page = self.trace(arguments).page(&[(self.path(), "RUNS")]);
        page.replace(&digits[..8], "1a2b3c4d")
    }
}

/// The records of a boot that fails.
fn write_trace(run: &RunDir) {
    let mut journal = run.trace().expect("a trace");
    let evidence = json!({"file": "serial.log", "offset_bytes": 512, "quote": "Kernel panic - not syncing\u{1b}[31m"});
    for record in [
        json!({"seq": 1, "t_us": 0, "kind": "stage-began", "stage": "boot"}),
        json!({"seq": 2, "t_us": 812_000, "kind": "transition", "stage": "boot", "from": "Preparing", "to": "Booting",
               "event": "prepared", "confirmed_by": "query-status: prelaunch",
               "deadline": {"kind": "prepare", "left_ms": 59_188}}),
        json!({"seq": 3, "t_us": 1_900_000, "kind": "note", "what": "kernel", "detail": "\u{1b}[2Jcleared"}),
        json!({"seq": 4, "t_us": 2_000_000, "kind": "transition", "stage": "boot", "from": "Booting", "to": "Stopping",
               "event": "console-rule", "detail": "kernel-panic", "evidence": evidence}),
        json!({"seq": 5, "t_us": 2_500_000, "kind": "verdict", "class": "failed", "cause": "kernel-panic"}),
    ] {
        journal.append(&record, Durability::Process).expect("a record is kept");
    }
}

fn tear(run: &RunDir) {
    let path = run.path().join("trace.jsonl");
    let mut bytes = std::fs::read(&path).expect("a trace");
    bytes.extend_from_slice(b"{\"seq\":6,\"t_us\":26");
    std::fs::write(path, bytes).expect("a trace");
}

/// A child that another thread is just forking holds this process's lock of a run for a moment, until it executes.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn a_finished_run_is_a_table() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let runs = Runs::new();
    let run = runs.begin(1);
    write_trace(&run);
    run.write_result(&json!({})).expect("a result");
    let newer = runs.begin(2);
    std::fs::remove_dir_all(newer.path()).expect("removed");
    // The newest run was removed: `last` is the one before it.
    insta::assert_snapshot!("going_on", runs.page(&run, &[]));
    let info = run.info().clone();
    drop(run);
    let digits = info.uuid.simple().to_string();
    let page = |arguments: &[&str]| runs.trace(arguments).page(&[]).replace(&digits[..8], "1a2b3c4d");
    insta::assert_snapshot!("finished", page(&[]));
    insta::assert_snapshot!("finished_with_notes", page(&["--notes"]));
    assert_eq!(page(&["live"]), page(&[]));
    assert_eq!(page(&[&info.id]), page(&[]));
    assert_eq!(page(&[runs.path().join(&info.id).to_str().expect("UTF-8")]), page(&[]));
    let lines = runs.trace(&["--json"]).stdout;
    let records: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a record"))
        .collect();
    assert_eq!((records.len(), &records[4]["cause"]), (5, &json!("kernel-panic")));
}

#[test]
fn a_run_that_was_killed_is_shown_as_far_as_it_came() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let runs = Runs::new();
    let run = runs.begin(1);
    write_trace(&run);
    tear(&run);
    insta::assert_snapshot!("torn_live", runs.page(&run, &[]));
    let page = {
        let digits = run.info().uuid.simple().to_string();
        drop(run);
        runs.trace(&[]).page(&[]).replace(&digits[..8], "1a2b3c4d")
    };
    insta::assert_snapshot!("interrupted", page);

    let early = runs.begin(2);
    let digits = early.info().uuid.simple().to_string();
    drop(early);
    let page = runs.trace(&["last"]).page(&[]).replace(&digits[..8], "1a2b3c4d");
    insta::assert_snapshot!("killed_before_its_trace", page);
}

#[test]
fn a_run_that_is_not_there_is_told_with_what_there_is() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let runs = Runs::new();
    let shown = |arguments: &[&str]| {
        let seen = runs.trace(arguments);
        assert_eq!(seen.code, Some(2));
        seen.page(&[(runs.path(), "RUNS")])
    };
    let mut pages = vec![shown(&[]), shown(&["/nowhere/live"])];
    let (first, second) = (runs.begin(1), runs.begin(2));
    pages.extend([shown(&["nightly"]), shown(&["live"])]);
    std::fs::write(first.path().join("run.json"), "{").expect("written");
    pages.push(shown(&[&first.info().id]));
    let hide = |page: String, run: &RunDir, name: &str| page.replace(&run.info().uuid.simple().to_string()[..8], name);
    let pages = hide(hide(pages.join("\n"), &first, "11111111"), &second, "22222222");
    insta::assert_snapshot!("not_there", pages);
}

#[test]
fn other_forms_and_two_runs() {
    let runs = Runs::new();
    let (one, other) = (runs.begin(1), runs.begin(2));
    write_trace(&one);
    write_trace(&other);
    let id = one.info().id.clone();
    let mut pages = Vec::new();
    for arguments in [
        &[id.as_str(), "--format", "mermaid"][..],
        &[&id, "last"],
        &[&id, "nowhere"],
    ] {
        let page = runs.page(&one, arguments);
        pages.push(page.replace(&other.info().uuid.simple().to_string()[..8], "5e6f7a8b"));
    }
    insta::assert_snapshot!("forms", pages.join("\n"));
    let chrome = runs.trace(&[&id, "--format", "chrome"]).json();
    assert_eq!(chrome["traceEvents"].as_array().map(Vec::len), Some(3 + 1 + 3 + 2));
    let compared = runs.trace(&[&id, "last", "--json"]).json();
    assert_eq!(compared["first_difference"], serde_json::Value::Null);
}
