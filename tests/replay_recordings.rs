//! Every recorded run of `fixtures/runs`, replayed: as it was, it comes to its verdict by its own steps; changed, it shows
//! what the change does. `make recordings` records them anew.

#[path = "support/replay.rs"]
mod replay;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use std::sync::Arc;

use bootgate::driver::{ReplayEnd, ReplayOptions, Replayed};
use bootgate::triage::{Rules, builtin};
use replay::{assert_replays, replayed, steps};
use serde_json::Value;

/// Minutes of a run are replayed within this, in an unoptimised build.
const REPLAYED_WITHIN: Duration = Duration::from_secs(3);

fn runs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/runs")
}

fn names() -> BTreeSet<String> {
    let entries = std::fs::read_dir(runs()).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn read(run: &Path, name: &str) -> String {
    let path = run.join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn trace(run: &Path) -> Vec<Value> {
    read(run, "trace.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn verdict(replayed: &Replayed) -> (String, String, u8) {
    let verdict = replayed.verdict.as_ref().expect("it came to a verdict");
    (
        verdict.class.as_str().to_owned(),
        verdict.cause.clone(),
        verdict.exit_code(),
    )
}

#[test]
fn every_row_of_the_fault_table_is_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_faults");
    let row = regex::Regex::new(r"(?m)^    ([a-z0-9_]+) => Row|^fn (host_disk_full)").unwrap();
    let recorded = names();
    let mut rows = 0;
    for file in ["boot.rs", "install.rs", "installed.rs", "host.rs"] {
        for found in row.captures_iter(&read(&folder, file)) {
            let name = found.get(1).or(found.get(2)).unwrap().as_str().replace('_', "-");
            assert!(recorded.contains(&name), "`make recordings` records {name}");
            rows += 1;
        }
    }
    assert!(rows > 20, "{rows} rows are not the whole table");
}

#[test]
fn every_recording_comes_to_its_verdict_by_its_own_steps() {
    for name in names() {
        let run = runs().join(&name);
        let result: Value = serde_json::from_str(&read(&run, "result.json")).unwrap();
        let began = Instant::now();
        let replayed = assert_replays(&run, &trace(&run));
        assert!(began.elapsed() < REPLAYED_WITHIN, "{name}: {:?}", began.elapsed());
        let (class, cause, exit_code) = verdict(&replayed);
        let recorded = &result["verdict"];
        assert_eq!(
            (&recorded["class"], &recorded["cause"], &recorded["exit_code"]),
            (&class.into(), &cause.into(), &exit_code.into()),
            "{name}"
        );
    }
}

const UNCHANGED: ReplayOptions = ReplayOptions {
    rules: None,
    deadline_scale_percent: 100,
};

#[test]
fn a_shorter_deadline_comes_to_another_verdict() {
    let run = runs().join("uefi");
    let options = ReplayOptions {
        deadline_scale_percent: 1,
        ..UNCHANGED
    };
    let replayed = replayed(&run, &read(&run, "gate.toml"), &options);
    let (class, cause, _) = verdict(&replayed);
    assert_eq!(
        (class.as_str(), replayed.end),
        ("failed", ReplayEnd::Decided),
        "{cause}"
    );
}

#[test]
fn a_longer_deadline_comes_to_where_the_recording_ends() {
    let run = runs().join("marker-but-nothing-behind-the-port");
    let options = ReplayOptions {
        deadline_scale_percent: 200,
        ..UNCHANGED
    };
    let replayed = replayed(&run, &read(&run, "gate.toml"), &options);
    assert_eq!(replayed.verdict, None);
    let ReplayEnd::RecordingEnds { why } = replayed.end else {
        panic!("{:?}", replayed.end)
    };
    assert!(why.contains("`stop-guest`") && why.contains("MarkerSeen"), "{why}");
}

/// Without its rule the panic is told by QEMU, as the second signal says it; with another marker the same run passes on SSH.
#[test]
fn other_rules_and_markers_take_other_steps() {
    let run = runs().join("kernel-panic");
    // No rules at all: the panic is told by the second signal only.
    let others = Arc::new(Rules::new(Vec::new()).unwrap());
    assert!(!builtin().as_slice().is_empty());
    let options = ReplayOptions {
        rules: Some(others),
        ..UNCHANGED
    };
    let gate = read(&run, "gate.toml");
    let without_rule = replayed(&run, &gate, &options);
    let panic = |record: &&Value| record["event"] == "guest-panicked";
    assert!(
        without_rule.records.iter().any(|record| panic(&record)),
        "{:?}",
        without_rule.records
    );
    assert_eq!(verdict(&without_rule).1, "kernel-panic");

    let run = runs().join("uefi");
    let gate = read(&run, "gate.toml");
    let unmarked = replayed(&run, &gate.replace("BOOTGATE-LIVE-READY", "NEVER"), &UNCHANGED);
    assert_eq!(
        verdict(&unmarked),
        ("passed".to_owned(), "every-claim-proved".to_owned(), 0)
    );
    assert_ne!(steps(&unmarked.records), steps(&trace(&run)));
}
