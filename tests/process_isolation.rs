//! What a child gets from us, and what it does not.

mod reexec;

use bootgate::qemu::process::{Exit, InheritedSocket, PASSED_ENVIRONMENT, Rungs, SpawnRequest, Spawner, end_now};
use reexec::{Role, playing, say, wrapped_role_command};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tokio::io::AsyncReadExt;

/// Looks at a waiting child from outside and tells what it has.
#[tokio::test]
async fn role_looks_at_its_child() {
    let Some(directory) = playing("role_looks_at_its_child") else {
        return;
    };
    let InheritedSocket { mut ours, child } = InheritedSocket::pair().unwrap();
    let number = child.number().to_string();
    let request = SpawnRequest {
        program: PathBuf::from("perl"),
        arguments: vec![
            "-e".into(),
            format!("open F, '+<&={number}'; syswrite F, 'ready'; sleep 1000").into(),
        ],
        inherited: vec![child],
        stderr: Path::new(&directory).join("stderr"),
        directory: PathBuf::from(&directory),
    };
    let running = Spawner::global().spawn(request).await.unwrap();
    // Not before now: the dynamic loader opens files of its own.
    ours.read_exact(&mut [0; 5]).await.unwrap();
    let proc = PathBuf::from(format!("/proc/{}", running.pid()));
    let fds = fs::read_dir(proc.join("fd"))
        .unwrap()
        .map(|fd| fd.unwrap().file_name().into_string().unwrap());
    let (mut fds, mut expected) = (fds.collect::<Vec<_>>(), vec!["0", "1", "2", &number]);
    fds.sort();
    expected.sort_unstable();
    assert_eq!(fds, expected);
    say(&String::from_utf8_lossy(&fs::read(proc.join("environ")).unwrap()).replace('\0', "\t"));
    say(&fs::read_to_string(proc.join("status"))
        .unwrap()
        .replace(['\t', ' '], "")
        .replace('\n', "\t"));
    say(&fs::read_to_string(proc.join("limits")).unwrap().replace('\n', "\t"));
    say(fs::read_to_string(proc.join("oom_score_adj")).unwrap().trim());
    say(fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim());
    // With SIGCHLD ignored the kernel would have reaped it, and its status would be lost.
    let report = end_now(&running, Rungs::default()).await;
    assert!(matches!(
        report.exit.unwrap().status,
        Exit::Signal { name: "SIGKILL", .. }
    ));
    say("done");
}

#[test]
fn a_child_gets_what_it_needs_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    // A careless parent: a descriptor left open, signals ignored, a token in the environment.
    let careless = [
        "bash",
        "-c",
        "exec 9</dev/null; trap '' INT HUP PIPE CHLD; exec \"$@\"",
        "bash",
    ];
    let mut command = wrapped_role_command(&careless, "role_looks_at_its_child", directory.path());
    command.env("GITHUB_TOKEN", "canary-token").env("LANG", "de_DE.UTF-8");
    let mut role = Role::start(command);

    let environment = role.hears();
    let environment: BTreeMap<_, _> = environment
        .split('\t')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    assert!(environment.contains_key("PATH"));
    assert_eq!(environment["LC_ALL"], "C");
    assert!(
        environment
            .keys()
            .all(|name| *name == "LC_ALL" || PASSED_ENVIRONMENT.contains(name)),
        "{environment:?}"
    );

    let status = role.hears();
    let status: BTreeMap<_, _> = status.split('\t').filter_map(|line| line.split_once(':')).collect();
    // Those that the careless parent ignores, by their numbers; perl ignores one of its own.
    let careless = [1, 2, 13, 17].iter().fold(0, |mask, number| mask | 1 << (number - 1));
    let signals = |field: &str| u64::from_str_radix(status[field], 16).unwrap() & careless;
    assert_eq!((signals("SigIgn"), signals("SigBlk"), status["Umask"]), (0, 0, "0077"));

    let limits = role.hears();
    let core = limits
        .split('\t')
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);

    let (childs, ours): (i32, i32) = (role.hears().parse().unwrap(), role.hears().parse().unwrap());
    assert!(childs > ours || ours == 1000, "{childs} {ours}");
    assert_eq!(role.hears(), "done");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(directory.path().join("stderr")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}
