//! A virtual machine whose controller has died is found and ended; nothing else is.

mod reexec;

use bootgate::evidence::{Orphan, Reaped, RunDir, RunState, find_orphans, open, reap};
use bootgate::procfs::ProcessIdentity;
use jiff::Timestamp;
use reexec::{Role, playing, role_command, say, wait_for_ever};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use uuid::Uuid;

/// A QEMU with no machine in it, that nothing ties to its parent.
fn loose_qemu(run: &RunDir, uuid: Uuid) -> Child {
    let name = format!("guest=bootgate-{},debug-threads=on", run.info().id);
    let uuid = uuid.to_string();
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-machine", "none"]);
    command
        .args(["-name", &name, "-uuid", &uuid])
        .current_dir(run.path())
        .process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().expect("install qemu-system-x86 for this test")
}

/// Kills what a failed test would leave.
struct Cleanup(ProcessIdentity);

impl Drop for Cleanup {
    fn drop(&mut self) {
        if let Ok(Some(grip)) = bootgate::procfs::ProcessGrip::take(self.0) {
            let _ = grip.signal(rustix::process::Signal::KILL);
        }
    }
}

#[test]
fn role_leaves_an_orphan() {
    let Some(root) = playing("role_leaves_an_orphan") else {
        return;
    };
    let run = RunDir::create(Path::new(&root), "gate", Timestamp::now()).unwrap();
    let qemu = ProcessIdentity::of(loose_qemu(&run, run.info().uuid).id()).unwrap();
    run.record_qemu(qemu, run.info().uuid).unwrap();
    say(&serde_json::to_string(&qemu).unwrap());
    wait_for_ever()
}

/// A controller with its QEMU, which outlives it.
fn controller(root: &Path) -> (Role, ProcessIdentity, Cleanup) {
    let mut controller = Role::start(role_command("role_leaves_an_orphan", root));
    let qemu = serde_json::from_str(&controller.hears()).unwrap();
    (controller, qemu, Cleanup(qemu))
}

fn orphans_of(root: &Path, qemu: ProcessIdentity) -> Vec<Orphan> {
    find_orphans(root)
        .unwrap()
        .into_iter()
        .filter(|orphan| orphan.qemu == qemu)
        .collect()
}

#[test]
fn an_orphan_is_found_and_ended_and_a_live_run_is_not() {
    let root = tempfile::tempdir().unwrap();
    let (mut controller, qemu, _cleanup) = controller(root.path());
    assert_eq!(orphans_of(root.path(), qemu), []);
    let run = open(root.path(), "last").unwrap();
    let early = Orphan {
        qemu,
        uuid: run.info.uuid,
        run: Some(run.path.clone()),
    };
    assert_eq!(reap(&early, Timestamp::now()).unwrap(), Reaped::Busy);
    assert!(qemu.is_alive());

    controller.kill();
    assert!(qemu.is_alive());
    assert_eq!(run.verdict_state().unwrap(), RunState::Interrupted { reaped: false });
    let orphans = orphans_of(root.path(), qemu);
    assert_eq!(orphans, [early]);
    assert_eq!(reap(&orphans[0], Timestamp::now()).unwrap(), Reaped::Killed);
    assert!(!qemu.is_alive());
    assert_eq!(run.verdict_state().unwrap(), RunState::Interrupted { reaped: true });
    assert_eq!(orphans_of(root.path(), qemu), []);
    assert_eq!(reap(&orphans[0], Timestamp::now()).unwrap(), Reaped::AlreadyGone);
}

/// A machine that goes on where another run has saved it has that run's uuid.
#[test]
fn an_orphan_that_was_restored_is_found_by_its_name() {
    let root = tempfile::tempdir().unwrap();
    let run = RunDir::create(root.path(), "gate", Timestamp::now()).unwrap();
    let other = RunDir::create(root.path(), "other", Timestamp::now()).unwrap();
    let uuid = Uuid::new_v4();
    let mut child = loose_qemu(&run, uuid);
    let qemu = ProcessIdentity::of(child.id()).unwrap();
    let _cleanup = Cleanup(qemu);
    for run in [&run, &other] {
        run.record_qemu(qemu, uuid).unwrap();
    }
    drop(other);
    assert_eq!(
        orphans_of(root.path(), qemu),
        [],
        "it is no machine of the other run, and its own goes on"
    );
    let path = run.path().to_owned();
    drop(run);
    let orphans = orphans_of(root.path(), qemu);
    let found: Vec<_> = orphans.iter().map(|orphan| (orphan.uuid, orphan.run.clone())).collect();
    assert_eq!(found, [(uuid, Some(path))]);
    // Reaped at once, as the child of a controller that is gone would be.
    let waited = std::thread::spawn(move || child.wait());
    assert_eq!(reap(&orphans[0], Timestamp::now()).unwrap(), Reaped::Killed);
    waited.join().unwrap().unwrap();
}

#[test]
fn two_reaps_at_the_same_time_are_harmless() {
    let root = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        let (mut controller, qemu, _cleanup) = controller(root.path());
        controller.kill();
        let orphan = orphans_of(root.path(), qemu).remove(0);
        let barrier = std::sync::Barrier::new(2);
        let one = || {
            barrier.wait();
            reap(&orphan, Timestamp::now()).unwrap()
        };
        let outcomes = std::thread::scope(|scope| {
            let other = scope.spawn(one);
            [one(), other.join().unwrap()]
        });
        assert!(!qemu.is_alive());
        assert_eq!(
            outcomes.iter().filter(|&&outcome| outcome == Reaped::Killed).count(),
            1,
            "{outcomes:?}"
        );
        assert!(!outcomes.contains(&Reaped::StillThere));
    }
}

#[test]
fn an_orphan_whose_run_was_removed_is_found() {
    let root = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let (mut controller, qemu, _cleanup) = controller(root.path());
    let run = open(root.path(), "last").unwrap();
    std::fs::remove_dir_all(&run.path).unwrap();
    assert_eq!(orphans_of(elsewhere.path(), qemu), [], "its controller lives");
    controller.kill();
    let orphans = orphans_of(elsewhere.path(), qemu);
    assert_eq!(
        orphans,
        [Orphan {
            qemu,
            uuid: run.info.uuid,
            run: None
        }]
    );
    assert_eq!(reap(&orphans[0], Timestamp::now()).unwrap(), Reaped::Killed);
    assert!(!qemu.is_alive());
}

#[test]
fn a_stranger_with_the_recorded_number_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let mut stranger = Command::new("sleep").arg("1000").spawn().unwrap();
    let identity = ProcessIdentity::of(stranger.id()).unwrap();
    let run = RunDir::create(root.path(), "gate", Timestamp::now()).unwrap();
    run.record_qemu(identity, run.info().uuid).unwrap();
    let taken_for = Orphan {
        qemu: identity,
        uuid: run.info().uuid,
        run: Some(run.path().to_owned()),
    };
    drop(run);
    assert_eq!(orphans_of(root.path(), identity), []);
    assert_eq!(reap(&taken_for, Timestamp::now()).unwrap(), Reaped::AlreadyGone);

    let (mut controller, qemu, _cleanup) = controller(root.path());
    controller.kill();
    let earlier = ProcessIdentity {
        start_ticks: qemu.start_ticks - 1,
        ..qemu
    };
    let orphan = Orphan {
        qemu: earlier,
        ..orphans_of(root.path(), qemu).remove(0)
    };
    assert_eq!(reap(&orphan, Timestamp::now()).unwrap(), Reaped::AlreadyGone);
    assert!(qemu.is_alive());
    assert!(stranger.try_wait().unwrap().is_none());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}
