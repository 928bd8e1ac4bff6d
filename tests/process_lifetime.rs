//! A child never outlives the process that owns it, and lives as long as that process does.

mod reexec;

use bootgate::procfs::{ProcessGrip, ProcessIdentity};
use bootgate::qemu::process::{InheritedSocket, Running, SpawnRequest, Spawner};
use reexec::{Role, playing, role_command, say, wait_for_ever};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// The promise: nothing is left this long after the death of its owner.
const ORPHAN_MAX: Duration = Duration::from_secs(2);

fn request(directory: &Path, program: &str, arguments: &[&str]) -> SpawnRequest {
    SpawnRequest {
        program: PathBuf::from(program),
        arguments: arguments.iter().map(Into::into).collect(),
        inherited: Vec::new(),
        stderr: directory.join("stderr"),
        directory: directory.to_owned(),
    }
}

/// QEMU with no machine in it, whose QMP comes over the socket.
async fn spawn_qemu(directory: &Path) -> (Running, UnixStream) {
    let socket = InheritedSocket::pair().unwrap();
    let chardev = format!("socket,id=qmp,fd={}", socket.child.number());
    let arguments = ["-nodefaults", "-no-user-config", "-display", "none", "-machine", "none"];
    let mut request = request(directory, "qemu-system-x86_64", &arguments);
    request
        .arguments
        .extend(["-chardev", &chardev, "-qmp", "chardev:qmp"].map(Into::into));
    request.inherited.push(socket.child);
    let running = Spawner::global()
        .spawn(request)
        .await
        .expect("install qemu-system-x86 for this test");
    let ours = socket.ours.into_std().unwrap();
    ours.set_nonblocking(false).unwrap();
    (running, ours)
}

fn identity(line: &str) -> ProcessIdentity {
    serde_json::from_str(line).unwrap()
}

fn is_gone_soon(identity: ProcessIdentity) -> bool {
    let grip = ProcessGrip::take(identity).unwrap();
    grip.is_none_or(|grip| grip.wait_until_gone(ORPHAN_MAX).unwrap())
}

#[tokio::test]
async fn role_owns_a_sleeper() {
    let Some(directory) = playing("role_owns_a_sleeper") else {
        return;
    };
    let running = Spawner::global()
        .spawn(request(Path::new(&directory), "sleep", &["1000"]))
        .await
        .unwrap();
    say(&serde_json::to_string(&running.identity()).unwrap());
    wait_for_ever()
}

#[tokio::test]
async fn role_owns_a_qemu() {
    let Some(directory) = playing("role_owns_a_qemu") else {
        return;
    };
    let (running, qmp) = spawn_qemu(Path::new(&directory)).await;
    let mut greeting = String::new();
    BufReader::new(&qmp).read_line(&mut greeting).unwrap();
    assert!(greeting.contains("QMP"), "{greeting}");
    say(&serde_json::to_string(&running.identity()).unwrap());
    wait_for_ever()
}

#[test]
fn kill_9_of_the_owner_ends_the_child() {
    for role in ["role_owns_a_sleeper", "role_owns_a_qemu"] {
        let directory = tempfile::tempdir().unwrap();
        let mut owner = Role::start(role_command(role, directory.path()));
        let child = identity(&owner.hears());
        assert!(child.is_alive());
        owner.kill();
        assert!(
            is_gone_soon(child),
            "{role}: the child outlived its owner by {ORPHAN_MAX:?}"
        );
    }
}

/// The negative control ends with the thread that started it; ours was asked for by the same thread and stays.
#[test]
fn the_child_outlives_the_threads_that_asked_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let asker = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let child = runtime.block_on(async { tokio::spawn(async move { spawn_qemu(&path).await }).await.unwrap() });
        let mut bound = Command::new("setpriv");
        let bound = bound.args(["--pdeathsig", "KILL", "sh", "-c", "echo; exec sleep 1000"]);
        let mut bound = bound
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("install util-linux for this test");
        let mut ready = String::new();
        BufReader::new(bound.stdout.as_mut().unwrap())
            .read_line(&mut ready)
            .unwrap();
        (child, bound)
    });
    let ((running, mut qmp), mut bound) = asker.join().unwrap();
    bound.wait().unwrap();
    let mut lines = BufReader::new(qmp.try_clone().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("QMP"));
    qmp.write_all(b"{\"execute\":\"qmp_capabilities\"}\n").unwrap();
    assert!(lines.next().unwrap().unwrap().contains("return"));
    let child = running.identity();
    drop(running);
    assert!(is_gone_soon(child), "dropping `Running` left the child alive");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_child() {
    let directory = tempfile::tempdir().unwrap();
    let InheritedSocket { mut ours, child } = InheritedSocket::pair().unwrap();
    let mut request = request(directory.path(), "sleep", &["1000"]);
    request.inherited.push(child);
    {
        let asked = Spawner::global().spawn(request);
        futures::pin_mut!(asked);
        assert!(futures::poll!(&mut asked).is_pending());
    }
    // End-of-file: nobody holds the other end any more, neither the spawner nor a child.
    let end = tokio::time::timeout(ORPHAN_MAX, ours.read(&mut [0; 8])).await;
    assert_eq!(end.expect("the child is still there").unwrap(), 0);
}
