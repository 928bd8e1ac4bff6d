//! The parts of running a command, one by one: starting once, following, ending, uploading.

mod ssh_support;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use bootgate::plan::Upload;
use bootgate::ssh::{Detached, DetachedError, Exit, Followed, GuestProblem, UploadError, upload};
use bootgate::text::Untrusted;
use ssh_support::{Guest, files, job, session};

/// Output is there while the command still runs, which waits for the test.
#[tokio::test]
async fn output_streams_while_the_command_runs() {
    let guest = Guest::new();
    let server = guest.serve().await;
    let go = guest.path("go");
    nix::unistd::mkfifo(&go, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let session = session(&server).await;
    let command = format!("echo ready; read -r word <{}; echo got $word", go.display());
    let detached = Detached::start(&session, &job(&guest, &command)).await.unwrap();
    let mut follower = detached.follow(&session, 0);
    assert_eq!(follower.next().await, Ok(Followed::Output(Untrusted::new(*b"ready\n"))));
    tokio::fs::write(&go, "it\n").await.unwrap();
    assert_eq!(
        follower.next().await,
        Ok(Followed::Output(Untrusted::new(*b"got it\n")))
    );
    assert_eq!(follower.next().await, Ok(Followed::End(Exit::Status(0))));
    // After the end, from anywhere.
    let mut again = detached.follow(&session, 6);
    assert_eq!(again.next().await, Ok(Followed::Output(Untrusted::new(*b"got it\n"))));
    assert_eq!(again.next().await, Ok(Followed::End(Exit::Status(0))));
    assert_eq!(
        detached.follow(&session, 13).next().await,
        Ok(Followed::End(Exit::Status(0)))
    );
}

#[tokio::test]
async fn a_command_starts_once() {
    let guest = Guest::new();
    let server = guest.serve().await;
    let session = session(&server).await;
    let spec = job(&guest, "echo once");
    let first = Detached::start(&session, &spec).await.unwrap();
    let second = Detached::start(&session, &spec).await.unwrap();
    assert_eq!((first.resumed, second.resumed), (false, true));
    assert_eq!(first.directory, second.directory);
    let mut follower = second.follow(&session, 0);
    assert_eq!(follower.next().await, Ok(Followed::Output(Untrusted::new(*b"once\n"))));
    assert_eq!(follower.next().await, Ok(Followed::End(Exit::Status(0))));
    let left = std::fs::read_dir(files(&guest).parent().unwrap()).unwrap().count();
    assert_eq!(left, 1, "nothing of the second start is left");
}

#[tokio::test]
async fn kill_ends_the_command_and_its_processes() {
    for (ignore, number, name) in [("", 15, "SIGTERM"), ("trap '' TERM;", 9, "SIGKILL")] {
        let guest = Guest::new();
        let server = guest.serve().await;
        let session = session(&server).await;
        let pipe = guest.path("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // The child says that it is up when it holds the pipe.
        let child = "sh -c 'echo up >&3; exec sleep 3600'";
        let command = format!("{ignore} exec 3>&1; {child} >{}; exit 0", pipe.display());
        let detached = Detached::start(&session, &job(&guest, &command)).await.unwrap();
        let child = tokio::task::spawn_blocking(move || std::fs::read(pipe));
        let mut follower = detached.follow(&session, 0);
        assert_eq!(follower.next().await, Ok(Followed::Output(Untrusted::new(*b"up\n"))));
        detached.kill(&session, Duration::from_secs(1)).await.unwrap();
        assert_eq!(follower.next().await, Ok(Followed::End(Exit::Signal { number, name })));
        // The pipe ends when the command's child has ended.
        let child = tokio::time::timeout(Duration::from_secs(20), child).await;
        assert_eq!(child.expect("the child still runs").unwrap().unwrap(), b"");
        detached.kill(&session, Duration::from_secs(1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_reboot_is_told_from_a_lost_connection() {
    let guest = Guest::new();
    let server = guest.serve().await;
    let session = session(&server).await;
    let detached = Detached::start(&session, &job(&guest, "echo up")).await.unwrap();
    guest.boot("22222222-2222-4333-8444-555555555555");
    let error = detached.follow(&session, 0).next().await.unwrap_err();
    let DetachedError::GuestRebooted { before, after } = error else {
        panic!("{error}");
    };
    assert_eq!((before, after.to_string().as_bytes()[0]), (detached.boot_id, b'2'));
}

#[tokio::test]
async fn a_killed_watcher_or_lost_files_end_the_following() {
    let guest = Guest::new();
    let server = guest.serve().await;
    let session = session(&server).await;
    // The command's parent is the shell that watches over it.
    let command = "echo last words; kill -9 $PPID";
    let detached = Detached::start(&session, &job(&guest, command)).await.unwrap();
    let mut follower = detached.follow(&session, 0);
    assert_eq!(
        follower.next().await,
        Ok(Followed::Output(Untrusted::new(*b"last words\n")))
    );
    assert_eq!(follower.next().await, Err(DetachedError::Vanished));

    std::fs::remove_dir_all(files(&guest)).unwrap();
    let error = detached.follow(&session, 0).next().await.unwrap_err();
    assert!(matches!(error, DetachedError::Gone(_)), "{error}");
}

#[tokio::test]
async fn output_cut_short_in_the_guest_is_told() {
    let guest = Guest::new();
    let server = guest.serve().await;
    let session = session(&server).await;
    let detached = Detached::start(&session, &job(&guest, "echo 12345")).await.unwrap();
    let mut follower = detached.follow(&session, 0);
    while !matches!(follower.next().await.unwrap(), Followed::End(_)) {}
    std::fs::write(files(&guest).join("output"), "12").unwrap();
    let mut follower = detached.follow(&session, 0);
    assert_eq!(follower.next().await, Ok(Followed::Output(Untrusted::new(*b"12"))));
    let torn = DetachedError::Torn {
        size_bytes: 6,
        offset: 2,
    };
    assert_eq!(follower.next().await, Err(torn));
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let guest = Guest::new();
    let server = guest.serve().await;
    let session = session(&server).await;
    let mut spec = job(&guest, "true");
    spec.directories = vec!["/nonexistent".into()];
    let error = Detached::start(&session, &spec).await.unwrap_err();
    assert_eq!(error, DetachedError::NoDirectory("/nonexistent".into()));
    let long = job(&guest, &"x".repeat(70_000));
    let error = Detached::start(&session, &long).await.unwrap_err();
    assert_eq!(error, DetachedError::TooLong { size_bytes: 70_000 });
    let longest = job(&guest, &format!(": {}", "x".repeat(64 * 1024 - 2)));
    Detached::start(&session, &longest).await.unwrap();
}

#[tokio::test]
async fn uploads_are_whole_and_verified() {
    let guest = Guest::new();
    let server = guest.serve().await;
    let session = session(&server).await;
    let content: Vec<u8> = (0..3_000_000u32).map(|n| (n * 7 % 251) as u8).collect();
    let from = guest.path("source");
    std::fs::write(&from, &content).unwrap();
    let to = guest.path("new dir/it's \"here\" $HOME");
    let mut spec = Upload {
        from,
        to: to.display().to_string(),
        mode: 0o751,
    };
    for _ in 0..2 {
        let uploaded = upload(&session, &spec).await.unwrap();
        assert_eq!((uploaded.size_bytes, uploaded.digest_verified), (3_000_000, true));
        assert!(std::fs::read(&to).unwrap() == content);
        assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o7777, 0o751);
    }
    assert_eq!(std::fs::read_dir(guest.path("new dir")).unwrap().count(), 1);

    spec.to = guest.path("new dir").display().to_string();
    let error = upload(&session, &spec).await.unwrap_err();
    let problem = GuestProblem::Directory;
    assert_eq!(
        error,
        UploadError::Guest {
            path: spec.to.clone(),
            problem
        }
    );
    spec.to = "/proc/nothing/here".into();
    let error = upload(&session, &spec).await.unwrap_err();
    let problem = GuestProblem::Write;
    assert_eq!(
        error,
        UploadError::Guest {
            path: spec.to.clone(),
            problem
        }
    );
    spec.from = guest.path("missing");
    assert!(matches!(upload(&session, &spec).await, Err(UploadError::Source { .. })));
}
