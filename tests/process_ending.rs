//! How the end of a child is brought about and reported.

use bootgate::procfs::{ProcessGrip, ProcessIdentity, ProcessState};
use bootgate::qemu::process::{
    Exit, InheritedSocket, Rung, Rungs, Running, SpawnError, SpawnRequest, Spawner, end, end_now,
};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// Short rungs, so that the tests are quick; the order is what they are about.
const RUNGS: Rungs = Rungs {
    quit: Duration::from_millis(200),
    terminate: Duration::from_millis(200),
    kill: Duration::from_secs(5),
};

fn request(directory: &Path, program: &str, arguments: &[&str]) -> SpawnRequest {
    SpawnRequest {
        program: PathBuf::from(program),
        arguments: arguments.iter().map(Into::into).collect(),
        inherited: Vec::new(),
        stderr: directory.join("stderr"),
        directory: directory.to_owned(),
    }
}

/// A shell that runs the script with a socket on standard input and output, and has said "ready" on it.
async fn shell(script: &str) -> (TempDir, Running, BufReader<UnixStream>) {
    let directory = tempfile::tempdir().unwrap();
    let InheritedSocket { ours, child } = InheritedSocket::pair().unwrap();
    let script = format!("exec <&{0} >&{0}; {script}", child.number());
    let mut request = request(directory.path(), "bash", &["-c", &script]);
    request.inherited.push(child);
    let running = Spawner::global().spawn(request).await.unwrap();
    let mut ours = BufReader::new(ours);
    let mut ready = String::new();
    ours.read_line(&mut ready).await.unwrap();
    assert_eq!(ready, "ready\n");
    (directory, running, ours)
}

#[tokio::test]
async fn exit_code_and_stderr_are_reported() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("stderr"), "from an earlier child\n").unwrap();
    let script = "echo out; echo err >&2; exit 7";
    let running = Spawner::global()
        .spawn(request(directory.path(), "sh", &["-c", script]))
        .await
        .unwrap();
    let report = running.wait().await;
    assert_eq!(report.status, Exit::Code(7));
    assert_eq!(report.stderr_tail.as_bytes(), b"out\nerr\n");
    assert_eq!((report.our_signal, &report.oom_killed), (None, &None));
    assert_eq!(running.process_state(), ProcessState::Gone);
    running.signal_group(Signal::KILL).unwrap();
    let kept = std::fs::read_to_string(directory.path().join("stderr")).unwrap();
    assert_eq!(kept, "from an earlier child\nout\nerr\n");
}

#[tokio::test]
async fn only_the_end_of_a_long_stderr_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let script = "head -c 100000 /dev/zero | tr '\\0' x >&2; echo end >&2";
    let running = Spawner::global()
        .spawn(request(directory.path(), "sh", &["-c", script]))
        .await
        .unwrap();
    let tail = running.wait().await.stderr_tail.as_bytes().to_vec();
    assert_eq!(tail.len(), 4096);
    assert!(tail.ends_with(b"xend\n"));
}

#[tokio::test]
async fn a_signal_from_elsewhere_is_told_from_ours() {
    let (_directory, running, _socket) = shell("echo ready; kill -ABRT $$").await;
    let report = running.wait().await;
    assert!(
        matches!(
            report.status,
            Exit::Signal {
                name: "SIGABRT",
                core: false,
                ..
            }
        ),
        "{report:?}"
    );
    assert_eq!(report.our_signal, None);
    assert_eq!(report.status.to_string(), "killed by SIGABRT");
}

#[tokio::test]
async fn the_report_is_an_event() {
    let (_directory, running, mut socket) = shell("echo ready; read line; exit 3").await;
    let mut exited = running.exited();
    assert!(exited.borrow_and_update().is_none());
    socket.write_all(b"go\n").await.unwrap();
    exited.changed().await.unwrap();
    assert_eq!(exited.borrow().as_ref().unwrap().status, Exit::Code(3));
}

#[tokio::test]
async fn quit_is_enough_for_a_child_that_listens() {
    let (_directory, running, mut socket) = shell("echo ready; read line; exit 0").await;
    let quit = async { socket.write_all(b"quit\n").await.is_ok() };
    let report = end(&running, quit, Rungs::default()).await;
    assert_eq!(report.rung, Rung::Quit);
    assert_eq!(report.exit.unwrap().status, Exit::Code(0));
    let again = end(&running, async { panic!("a child that has ended is not asked") }, RUNGS).await;
    assert_eq!(again.rung, Rung::AlreadyGone);
}

#[tokio::test]
async fn a_refused_quit_is_followed_by_sigterm_at_once() {
    let (_directory, running, _socket) = shell("echo ready; exec sleep 1000").await;
    let rungs = Rungs {
        quit: Duration::from_secs(3600),
        ..Rungs::default()
    };
    let report = end(&running, async { false }, rungs).await;
    assert_eq!(report.rung, Rung::Terminate);
    assert!(matches!(
        report.exit.unwrap().status,
        Exit::Signal { name: "SIGTERM", .. }
    ));
}

#[tokio::test]
async fn a_stopped_child_is_seen_as_stopped_and_killed() {
    let (_directory, running, _socket) = shell("echo ready; exec sleep 1000").await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(running.pid()).unwrap());
    running.signal_group(Signal::STOP).unwrap();
    let options = rustix::process::WaitIdOptions::STOPPED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(pid.unwrap()), options).unwrap();
    assert_eq!(running.process_state(), ProcessState::Stopped);
    let report = end(&running, std::future::pending(), RUNGS).await;
    assert_eq!(report.rung, Rung::Kill);
    assert!(
        report.took >= RUNGS.quit + RUNGS.terminate && report.took < RUNGS.kill,
        "{report:?}"
    );
    let exit = report.exit.unwrap();
    assert!(matches!(exit.status, Exit::Signal { name: "SIGKILL", .. }));
    assert_eq!((exit.our_signal, &exit.oom_killed), (Some(9), &None));
}

#[tokio::test]
async fn the_whole_group_is_killed() {
    let (_directory, running, mut socket) = shell("echo ready; sleep 1000 & echo $!; wait").await;
    let mut helper = String::new();
    socket.read_line(&mut helper).await.unwrap();
    let helper = ProcessIdentity::of(helper.trim().parse().unwrap()).unwrap();
    let helper = ProcessGrip::take(helper).unwrap();
    let report = end_now(&running, RUNGS).await;
    assert_eq!(report.rung, Rung::Kill);
    assert!(helper.is_none_or(|helper| helper.wait_until_gone(RUNGS.kill).unwrap()));
}

#[tokio::test]
async fn what_a_child_leaves_in_its_group_ends_with_it() {
    let (_directory, running, mut socket) = shell("echo ready; sleep 1000 & exit 4").await;
    assert_eq!(running.wait().await.status, Exit::Code(4));
    assert_eq!(socket.read_line(&mut String::new()).await.unwrap(), 0);
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Spawner::global()
        .spawn(request(directory.path(), "no-such-qemu", &[]))
        .await
        .unwrap_err();
    assert!(matches!(&missing, SpawnError::Program { .. }));
    assert!(
        missing
            .to_string()
            .starts_with("cannot start `no-such-qemu`: No such file or directory"),
        "{missing}"
    );
    let gone = directory.path().join("gone");
    let nowhere = Spawner::global().spawn(request(&gone, "true", &[])).await.unwrap_err();
    assert!(matches!(nowhere, SpawnError::Directory { .. }));
}
