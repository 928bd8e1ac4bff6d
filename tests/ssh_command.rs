//! Commands run with this machine's `sh` behind an SSH server in this process: no byte of output is lost or doubled and
//! the exit status is exact, however the connection fares.

mod ssh_support;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use bootgate::plan::Upload;
use bootgate::ssh::{
    CommandEnd, CommandError, CommandNotice, CommandSpec, Exit, HostKeyPin, Login, ReconnectRule, run_command,
};
use proptest::test_runner::{Config as ProptestConfig, RngAlgorithm, TestRng, TestRunner};
use ssh_support::{Answer, Fault, Guest, Server, faulty_forward, files, job, lines, login};
use tokio::sync::mpsc;

/// A defect must fail, not hang.
const LIMIT: Duration = Duration::from_secs(120);

struct Ran {
    end: Result<CommandEnd, CommandError>,
    output: Vec<u8>,
    notices: Vec<CommandNotice>,
}

const RULE: ReconnectRule = ReconnectRule {
    retry_every: Duration::from_millis(10),
    give_up_after: Duration::from_secs(30),
};

/// Runs a command, checks that every piece of output stands directly behind the one before.
async fn run(address: SocketAddr, spec: CommandSpec) -> Ran {
    run_as(login(address), spec).await
}

async fn run_as(login: Login, spec: CommandSpec) -> Ran {
    let (sender, mut receiver) = mpsc::channel(2);
    let task = tokio::spawn(async move { run_command(&login, &HostKeyPin::UNSET, None, &spec, &sender, RULE).await });
    let (mut output, mut notices) = (Vec::new(), Vec::new());
    let collect = async {
        while let Some(notice) = receiver.recv().await {
            match notice {
                CommandNotice::Output { bytes, offset } => {
                    assert_eq!(offset, output.len() as u64);
                    output.extend(bytes.as_bytes());
                }
                other => notices.push(other),
            }
        }
        task.await.unwrap()
    };
    let end = tokio::time::timeout(LIMIT, collect).await.expect("the command hangs");
    Ran { end, output, notices }
}

async fn run_in(guest: &Guest, command: &str) -> Ran {
    let server = guest.serve().await;
    let (job, uploads) = (job(guest, command), Vec::new());
    run(server.address, CommandSpec { job, uploads }).await
}

#[tokio::test]
async fn output_and_status_are_exact() {
    let table: [(&str, &[u8], Exit); 7] = [
        ("echo out; echo err >&2; exit 3", b"out\nerr\n", Exit::Status(3)),
        ("true", b"", Exit::Status(0)),
        ("printf 'no newline \\377\\000'", b"no newline \xff\0", Exit::Status(0)),
        (
            "printf '%s' \"it's \\\"quoted\\\" $0\"",
            b"it's \"quoted\" sh",
            Exit::Status(0),
        ),
        ("nosuchcommand 2>/dev/null", b"", Exit::Status(127)),
        (
            "echo a; kill -9 $$",
            b"a\n",
            Exit::Signal {
                number: 9,
                name: "SIGKILL",
            },
        ),
        (
            "kill -INT $$; echo survived",
            b"",
            Exit::Signal {
                number: 2,
                name: "SIGINT",
            },
        ),
    ];
    for (command, output, exit) in table {
        let guest = Guest::new();
        let ran = run_in(&guest, command).await;
        let end = ran.end.unwrap();
        assert_eq!((ran.output.as_slice(), end.exit), (output, exit), "{command}");
        assert_eq!((end.output_bytes, end.reattached), (output.len() as u64, 0));
        let kinds = [
            matches!(ran.notices[0], CommandNotice::Connected(_)),
            matches!(ran.notices[1], CommandNotice::Started(_)),
        ];
        assert_eq!((kinds, ran.notices.len()), ([true, true], 2));
        let mode = std::fs::metadata(files(&guest)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

/// 10 MB: the output that `seq` makes, checked byte by byte.
#[tokio::test]
async fn big_output_arrives_whole() {
    let guest = Guest::new();
    let ran = run_in(&guest, "seq 1 1400000").await;
    assert_eq!(ran.end.unwrap().exit, Exit::Status(0));
    let expected = lines("", 1_400_000);
    assert!(
        ran.output == expected.as_bytes(),
        "{} bytes of {}",
        ran.output.len(),
        expected.len()
    );
}

/// Connections are cut after a random number of bytes, so in the key exchange, in the start and in the output alike.
#[tokio::test]
async fn no_byte_is_lost_or_doubled_by_cuts() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"cuts of the ssh connection......");
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let strategy = proptest::collection::vec(1u64..60_000, 1..8);
    for round in 0..12 {
        use proptest::strategy::{Strategy, ValueTree};
        let cuts = strategy.new_tree(&mut runner).unwrap().current();
        let guest = Guest::new();
        let server = guest.serve().await;
        let (address, forward) = faulty_forward(server.address, Fault::Cut, cuts.clone()).await;
        // Writes in small pieces, so that some cuts fall while it runs.
        let command = "i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); echo line $i; done; exit 7";
        let job = job(&guest, command);
        let ran = run(
            address,
            CommandSpec {
                job,
                uploads: Vec::new(),
            },
        )
        .await;
        forward.abort();
        let expected = lines("line ", 30_000);
        let end = ran
            .end
            .unwrap_or_else(|error| panic!("round {round}, cuts {cuts:?}: {error}"));
        assert_eq!(end.exit, Exit::Status(7));
        assert!(ran.output == expected.as_bytes(), "round {round}, cuts {cuts:?}");
        let count = |wanted: fn(&CommandNotice) -> bool| ran.notices.iter().filter(|notice| wanted(notice)).count();
        let reattached = count(|notice| matches!(notice, CommandNotice::Reattached { .. }));
        assert_eq!(end.reattached as usize, reattached);
        assert_eq!(
            count(|notice| matches!(notice, CommandNotice::ConnectionLost { .. })),
            reattached
        );
        assert_eq!(count(|notice| matches!(notice, CommandNotice::Started(_))), 1);
    }
}

/// A connection that is there but carries nothing any more, as when the guest is paused, is given up.
#[tokio::test]
async fn a_frozen_connection_is_left() {
    let guest = Guest::new();
    let server = guest.serve().await;
    let (address, _forward) = faulty_forward(server.address, Fault::Freeze, vec![50_000]).await;
    let mut login = login(address);
    login.deadlines.keepalive = Duration::from_millis(200);
    let job = job(&guest, "seq 1 30000");
    let ran = run_as(
        login,
        CommandSpec {
            job,
            uploads: Vec::new(),
        },
    )
    .await;
    let expected = lines("", 30_000);
    assert!(ran.output == expected.as_bytes());
    assert!(ran.end.unwrap().reattached >= 1);
    let lost = ran.notices.iter().find_map(|notice| match notice {
        CommandNotice::ConnectionLost { why } => Some(why.as_str()),
        _ => None,
    });
    assert!(lost.unwrap().contains("sign of life"), "{lost:?}");
}

#[tokio::test]
async fn a_process_left_behind_does_not_delay_the_end() {
    let guest = Guest::new();
    let pid = guest.path("pid");
    let ran = run_in(&guest, &format!("sleep 3600 & echo $! >{}; echo done", pid.display())).await;
    assert_eq!(
        (ran.output.as_slice(), ran.end.unwrap().exit),
        (&b"done\n"[..], Exit::Status(0))
    );
    end_process(&std::fs::read_to_string(pid).unwrap());
}

fn end_process(pid: &str) {
    let pid = nix::unistd::Pid::from_raw(pid.trim().parse().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn uploads_come_first_and_an_empty_file_is_one() {
    let guest = Guest::new();
    let server = guest.serve().await;
    std::fs::write(guest.path("empty"), "").unwrap();
    let to = guest.path("copy").display().to_string();
    let uploads = vec![Upload {
        from: guest.path("empty"),
        to: to.clone(),
        mode: 0o600,
    }];
    let job = job(&guest, &format!("wc -c <{to}"));
    let ran = run(server.address, CommandSpec { job, uploads }).await;
    assert_eq!(ran.output.trim_ascii(), b"0");
    assert!(matches!(&ran.notices[1], CommandNotice::Uploaded(file) if file.size_bytes == 0));
}

#[tokio::test]
async fn a_login_that_fails_for_good_ends_the_command() {
    let guest = Guest::new();
    let mut behaviour = guest.behaviour();
    behaviour.auth = Answer::No;
    let server = Server::start(behaviour).await;
    let (job, uploads) = (job(&guest, "true"), Vec::new());
    let ran = run(server.address, CommandSpec { job, uploads }).await;
    assert!(matches!(ran.end, Err(CommandError::Login(_))));
}

#[tokio::test]
async fn a_guest_that_stays_away_is_given_up() {
    let guest = Guest::new();
    let server = guest.serve().await;
    let (address, forward) = faulty_forward(server.address, Fault::Cut, vec![]).await;
    let (sender, mut notices) = mpsc::channel(8);
    let spec = CommandSpec {
        job: job(&guest, "echo up; sleep 2"),
        uploads: Vec::new(),
    };
    let rule = ReconnectRule {
        give_up_after: Duration::from_millis(200),
        ..RULE
    };
    let task =
        tokio::spawn(async move { run_command(&login(address), &HostKeyPin::UNSET, None, &spec, &sender, rule).await });
    while !matches!(notices.recv().await.unwrap(), CommandNotice::Output { .. }) {}
    forward.abort();
    assert!(matches!(
        notices.recv().await,
        Some(CommandNotice::ConnectionLost { .. })
    ));
    let error = tokio::time::timeout(LIMIT, task).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, CommandError::Unreachable { .. }), "{error}");
}

/// Nobody reads the notices for a while: the output waits in the guest, and memory here is bounded by the channel.
#[tokio::test]
async fn a_slow_reader_loses_nothing() {
    let guest = Guest::new();
    let server = guest.serve().await;
    let (sender, mut notices) = mpsc::channel(1);
    let spec = CommandSpec {
        job: job(&guest, "seq 1 300000"),
        uploads: Vec::new(),
    };
    let address = server.address;
    let task =
        tokio::spawn(async move { run_command(&login(address), &HostKeyPin::UNSET, None, &spec, &sender, RULE).await });
    let status = files(&guest).join("status");
    while !std::fs::read(&status).is_ok_and(|text| text.starts_with(b"exited")) {
        tokio::task::yield_now().await;
    }
    let mut output = Vec::new();
    while let Some(notice) = notices.recv().await {
        if let CommandNotice::Output { bytes, .. } = notice {
            output.extend_from_slice(bytes.as_bytes());
        }
    }
    let expected = lines("", 300_000);
    assert!(output == expected.as_bytes());
    assert_eq!(task.await.unwrap().unwrap().reattached, 0);
}
