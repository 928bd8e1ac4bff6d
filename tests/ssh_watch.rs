//! A watch finds a server as soon as it is there, and stops when told to.

mod ssh_support;

use std::time::Duration;

use bootgate::ssh::{HostKeyPin, LoginWatch, Probe, ProbeClass, ProbeOutcome};
use ssh_support::{Guest, Server, login};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Receives with a limit, so that a defect fails instead of hanging.
async fn next(notices: &mut mpsc::Receiver<Probe>) -> Probe {
    let notice = tokio::time::timeout(Duration::from_secs(20), notices.recv()).await;
    notice.expect("no notice in time").expect("the watch has ended")
}

#[tokio::test]
async fn a_watch_sees_a_restart_with_the_same_key_and_a_swap() {
    let guest = Guest::new();
    let server = guest.serve().await;
    let address = server.address;
    let (sender, mut notices) = mpsc::channel(1);
    let watch = LoginWatch::start(login(address), HostKeyPin::UNSET, None, Duration::ZERO, sender);
    assert_eq!(next(&mut notices).await.outcome.class(), ProbeClass::LoggedIn);

    drop(server);
    while next(&mut notices).await.outcome.class() == ProbeClass::LoggedIn {}
    let listener = TcpListener::bind(address).await.unwrap();
    let server = Server::start_on(listener, guest.behaviour());
    while next(&mut notices).await.outcome.class() != ProbeClass::LoggedIn {}

    drop(server);
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let mut behaviour = guest.behaviour();
    behaviour.host_key = 2;
    let _server = Server::start_on(listener, behaviour);
    let changed = loop {
        match next(&mut notices).await.outcome {
            ProbeOutcome::HostKeyChanged { pinned, offered } => break (pinned, offered),
            _ => watch.poke(),
        }
    };
    assert_ne!(changed.0, changed.1);
}

/// The first connection is silent for as long as its deadline allows; the hint must not wait for it.
#[tokio::test]
async fn a_hint_gives_up_a_silent_attempt() {
    let guest = Guest::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut login = login(listener.local_addr().unwrap());
    login.deadlines.banner = Duration::from_secs(3600);
    let (sender, mut notices) = mpsc::channel(1);
    let watch = LoginWatch::start(login, HostKeyPin::UNSET, None, Duration::from_secs(3600), sender);
    let (mut silent, _) = listener.accept().await.unwrap();
    let _server = Server::start_on(listener, guest.behaviour());
    watch.poke();
    assert_eq!(next(&mut notices).await.outcome.class(), ProbeClass::LoggedIn);
    assert_eq!(
        silent.read(&mut [0; 1]).await.unwrap_or(0),
        0,
        "the silent attempt was closed"
    );

    watch.poke();
    assert_eq!(next(&mut notices).await.outcome.class(), ProbeClass::LoggedIn);
}

#[tokio::test]
async fn dropping_a_watch_hangs_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut login = login(listener.local_addr().unwrap());
    login.deadlines.banner = Duration::from_secs(3600);
    let (sender, mut notices) = mpsc::channel(1);
    let watch = LoginWatch::start(login, HostKeyPin::UNSET, None, Duration::ZERO, sender);
    let (mut stream, _) = listener.accept().await.unwrap();
    drop(watch);
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(notices.recv().await, None);
}
