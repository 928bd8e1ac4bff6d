//! What is left of a run: whole, private, and readable however the run ended.

mod reexec;

use bootgate::evidence::{
    Durability, RESERVE_BYTES, RunDir, RunState, list, open, read_journal, verify_manifest, write_manifest,
};
use jiff::Timestamp;
use reexec::{Role, playing, role_command, say, wait_for_ever, wrapped_role_command};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_finished_run_is_private_complete_and_found() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("deep/runs");
    let run = RunDir::create(&root, "gate", Timestamp::now()).unwrap();
    let mut trace = run.trace().unwrap();
    trace.append(&json!({"to": "Booting"}), Durability::Host).unwrap();
    run.file("ssh/install.log").unwrap();
    let record = open(&root, "last").unwrap();
    assert_eq!(
        (&record.info, record.verdict_state().unwrap()),
        (run.info(), RunState::Live)
    );
    run.write_result(&json!({"class": "passed"})).unwrap();
    write_manifest(&run, &[], u64::MAX).unwrap();
    for directory in [&*root, run.path(), &run.path().join("ssh")] {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
    for name in [
        "run.json",
        "trace.jsonl",
        "result.json",
        "manifest.json",
        "lock",
        "reserve",
    ] {
        assert_eq!(mode(&run.path().join(name)), 0o600, "{name}");
    }
    let (path, info) = (run.path().to_owned(), run.info().clone());
    drop((run, trace));

    assert!(!path.join("reserve").exists());
    assert_eq!(verify_manifest(&path).unwrap().1, []);
    for asked in ["last", &info.id, &info.id[info.id.len() - 8..], path.to_str().unwrap()] {
        let record = open(&root, asked).unwrap();
        assert_eq!(
            (&record.path, record.verdict_state().unwrap()),
            (&path, RunState::Finished)
        );
        assert_eq!(record.result().unwrap().unwrap()["class"], "passed");
        assert_eq!(record.trace().unwrap().records, [json!({"to": "Booting"})]);
    }
    let error = open(&root, "nothing").unwrap_err().to_string();
    assert!(
        error.contains("there is no run `nothing`") && error.contains(&info.id),
        "{error}"
    );
    let error = open(place.path(), "last").unwrap_err().to_string();
    assert!(error.contains("`bootgate run GATE` runs one"), "{error}");
}

#[test]
fn eight_runs_at_once_do_not_meet() {
    let root = tempfile::tempdir().unwrap();
    let now = Timestamp::now();
    let barrier = std::sync::Barrier::new(8);
    let runs: Vec<RunDir> = std::thread::scope(|scope| {
        let one = || {
            barrier.wait();
            let run = RunDir::create(root.path(), "gate", now).unwrap();
            run.trace()
                .unwrap()
                .append(&json!(run.info().id), Durability::Process)
                .unwrap();
            run
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let paths: BTreeSet<_> = runs.iter().map(RunDir::path).collect();
    assert_eq!(paths.len(), 8);
    for run in &runs {
        assert_eq!(
            open(root.path(), &run.info().id).unwrap().trace().unwrap().records,
            [json!(run.info().id)]
        );
    }
    assert!(paths.contains(&*root.path().join("last").canonicalize().unwrap()));
    let found = list(root.path()).unwrap();
    assert_eq!(found.len(), 8);
    assert!(found.iter().all(|run| run.verdict_state().unwrap() == RunState::Live));
    let names = fs::read_dir(root.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| !name.starts_with('.')));
}

#[test]
fn role_writes_until_it_is_killed() {
    let Some(root) = playing("role_writes_until_it_is_killed") else {
        return;
    };
    let run = RunDir::create(Path::new(&root), "gate", Timestamp::now()).unwrap();
    let mut trace = run.trace().unwrap();
    for number in 0u64.. {
        let record = json!({"n": number, "text": "x".repeat(usize::try_from(number % 5000).unwrap())});
        trace.append(&record, Durability::Process).unwrap();
        run.write_json("state.json", &record).unwrap();
        if number == 20 {
            say("under way");
        }
    }
}

#[test]
fn kill_9_while_writing_leaves_a_readable_run() {
    let root = tempfile::tempdir().unwrap();
    for _ in 0..8 {
        let mut writer = Role::start(role_command("role_writes_until_it_is_killed", root.path()));
        assert_eq!(writer.hears(), "under way");
        writer.kill();
        let run = open(root.path(), "last").unwrap();
        assert_eq!(run.verdict_state().unwrap(), RunState::Interrupted { reaped: false });
        let read = run.trace().unwrap();
        assert!(read.records.len() > 20);
        let numbers = read.records.iter().map(|record| record["n"].as_u64().unwrap());
        assert!(numbers.eq(0..read.records.len() as u64));
        let state: serde_json::Value = serde_json::from_slice(&fs::read(run.path.join("state.json")).unwrap()).unwrap();
        assert!(state["n"].as_u64().unwrap() + 2 >= read.records.len() as u64);
        assert!(run.discard_reserve().unwrap() && !run.discard_reserve().unwrap());
    }
}

/// Fills the disk to the last byte and then goes on to the end of the run.
#[test]
fn role_runs_on_a_full_disk() {
    let Some(root) = playing("role_runs_on_a_full_disk") else {
        return;
    };
    let run = RunDir::create(Path::new(&root), "gate", Timestamp::now()).unwrap();
    let mut trace = run.trace().unwrap();
    let mut guest_disk = fs::File::create(run.file("disk.raw").unwrap()).unwrap();
    let mut fill = || while guest_disk.write(&[1; 4096]).is_ok() {};
    let record = |number: u64| json!({"n": number, "text": "x".repeat(500)});
    for number in 0..300 {
        fill();
        trace.append(&record(number), Durability::Host).unwrap();
    }
    fill();
    run.write_result(&json!({"class": "infrastructure", "cause": "host disk full"}))
        .unwrap();
    write_manifest(&run, &[], 0).unwrap();
    assert!(run.reserve().left_bytes() < RESERVE_BYTES);
    assert_eq!(trace.lost(), 0);

    let read = read_journal(&run.path().join("trace.jsonl")).unwrap();
    assert_eq!((read.records.len(), read.torn), (300, None));
    assert_eq!(verify_manifest(run.path()).unwrap().1, []);
    say(&format!("complete with {} bytes left", run.reserve().left_bytes()));

    // Nothing is left at all: the loss is counted, and what was written stays whole.
    let error = loop {
        fill();
        if let Err(error) = trace.append(&record(0), Durability::Process) {
            break error;
        }
    };
    assert_eq!((run.reserve().left_bytes(), trace.lost()), (0, 1));
    assert!(
        error.to_string().contains("No space left") || error.to_string().contains("no storage space"),
        "{error}"
    );
    assert_eq!(read_journal(&run.path().join("trace.jsonl")).unwrap().torn, None);
    run.write_result(&json!({"class": "x".repeat(100_000)})).unwrap_err();
    assert_eq!(
        open(Path::new(&root), "last").unwrap().result().unwrap().unwrap()["class"],
        "infrastructure"
    );
    say("lost is counted");
    wait_for_ever()
}

#[test]
fn a_full_disk_leaves_a_whole_journal_result_and_manifest() {
    let place = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=20m,mode=0700 none \"$BOOTGATE_TEST_ARGUMENT\" && exec \"$@\"";
    // A mount that only this process sees: by right, or else as root of a user namespace, or else by sudo.
    let unshare: &[&str] = match nix::unistd::geteuid().is_root() {
        true => &["unshare", "-m"],
        false if can_mount(&["unshare", "-Urm"]) => &["unshare", "-Urm"],
        false => &["sudo", "-n", "-E", "unshare", "-m"],
    };
    assert!(
        can_mount(unshare),
        "this test mounts a small tmpfs: run it as root, or allow user namespaces or `sudo -n`"
    );
    let wrapper = [unshare, &["sh", "-c", mount, "sh"]].concat();
    let mut role = Role::start(wrapped_role_command(&wrapper, "role_runs_on_a_full_disk", place.path()));
    assert!(role.hears().starts_with("complete with"));
    assert_eq!(role.hears(), "lost is counted");
}

fn can_mount(unshare: &[&str]) -> bool {
    let mut command = std::process::Command::new(unshare[0]);
    let tried = command
        .args(&unshare[1..])
        .args(["mount", "-t", "tmpfs", "none", "/mnt"])
        .output();
    tried.is_ok_and(|output| output.status.success())
}
