//! `reap` as a user sees it. What it may end is proved with the room of the evidence.

mod cli_support;

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bootgate::evidence::RunDir;
use bootgate::procfs::ProcessIdentity;
use cli_support::{Seen, bootgate, see};
use jiff::Timestamp;

fn reap(runs: &Path, arguments: &[&str]) -> Seen {
    see(bootgate(["reap"]).args(arguments).arg("--runs").arg(runs))
}

/// A QEMU with no machine in it, recorded as that of the run.
fn loose_qemu(run: &RunDir) -> Child {
    let name = format!("guest=bootgate-{}", run.info().id);
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-machine", "none"]);
    command.args(["-name", &name, "-uuid", &run.info().uuid.to_string()]);
    command.current_dir(run.path()).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.spawn().expect("install qemu-system-x86 for this test");
    let identity = ProcessIdentity::of(child.id()).expect("it runs");
    run.record_qemu(identity, run.info().uuid).expect("recorded");
    child
}

#[test]
fn what_a_killed_run_left_is_ended_and_given_back() {
    let root = tempfile::tempdir().expect("a directory");
    let runs = root.path();
    let run = RunDir::create(runs, "gate", Timestamp::now()).expect("a run directory");
    let mut qemu = loose_qemu(&run);
    let path = run.path().to_owned();
    let live = reap(runs, &["--json"]).json();
    let ours = |json: &serde_json::Value| -> Vec<serde_json::Value> {
        let found = json["found"].as_array().expect("a list").iter();
        found
            .filter(|found| found["run"] == *path.to_str().expect("UTF-8"))
            .cloned()
            .collect()
    };
    assert_eq!(
        ours(&live),
        [] as [serde_json::Value; 0],
        "a run that goes on is left alone"
    );
    assert!(qemu.try_wait().expect("it can be asked").is_none());

    let uuid = run.info().uuid;
    drop(run);
    std::fs::write(path.join("reserve"), b"kept").expect("written");
    let seen = reap(runs, &["--json"]);
    let found = ours(&seen.json());
    assert_eq!(
        (found[0]["what"].as_str(), found[0]["qemu_pid"].as_u64()),
        (Some("killed"), Some(qemu.id().into()))
    );
    assert_eq!(found[0]["run_uuid"], uuid.to_string());
    assert_eq!(found[1]["what"], "reserve-given-back");
    assert_eq!((seen.code, &seen.json()["left"]), (Some(0), &serde_json::json!(false)));
    assert!(!path.join("reserve").exists());
    qemu.wait().expect("it has ended");

    std::fs::write(path.join("reserve"), b"kept").expect("written");
    let seen = reap(runs, &[]);
    let line = format!(
        "gave back up to 8 MiB that {} kept for its last words\n",
        path.display()
    );
    assert!(seen.stdout.contains(&line), "{seen:?}");
}

#[test]
fn a_place_that_can_not_be_looked_at_is_told() {
    let root = tempfile::tempdir().expect("a directory");
    let file = root.path().join("file");
    std::fs::write(&file, b"").expect("written");
    let seen = reap(&file, &[]);
    assert_eq!(seen.code, Some(4));
    assert!(seen.stdout.contains("can't look for orphans: cannot list"), "{seen:?}");
}
