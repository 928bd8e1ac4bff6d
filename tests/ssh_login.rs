//! Every way in which a login can end is told apart, in time.

mod ssh_support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bootgate::plan::Secret;
use bootgate::ssh::{
    Auth, ExecFailure, HostKeyPin, KexFailure, PhaseDeadlines, Probe, ProbeClass, ProbeOutcome, probe,
};
use ssh_support::{Answer, BOOT, Guest, MACHINE, Server, key, login};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Short enough to wait for, long enough for two busy cores.
const SHORT: Duration = Duration::from_millis(300);

/// What a server made of nothing but TCP does with each connection.
#[derive(Clone, Copy, Debug)]
enum Raw {
    Reset,
    Close,
    Silence,
    /// Sends these bytes, then is silent.
    Say(&'static [u8]),
    SayThenReset(&'static [u8]),
    /// Sends these bytes again and again.
    Repeat(&'static [u8]),
    /// Sends one byte per 20 ms.
    Drip(&'static [u8]),
    /// A key exchange that offers these host key algorithms.
    HostKeys(&'static str),
}

async fn raw(kind: Raw) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(act(kind, stream));
        }
    });
    address
}

fn reset(stream: TcpStream) {
    let stream = stream.into_std().unwrap();
    let linger = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &linger).unwrap();
}

async fn act(kind: Raw, mut stream: TcpStream) {
    match kind {
        Raw::Reset => return reset(stream),
        Raw::Close => return,
        Raw::Silence => {}
        Raw::Say(bytes) => stream.write_all(bytes).await.unwrap(),
        Raw::SayThenReset(bytes) => {
            stream.write_all(bytes).await.unwrap();
            // Its identification is there: it has read ours and begins the key exchange.
            let _ = stream.read(&mut [0; 64]).await;
            return reset(stream);
        }
        Raw::Repeat(bytes) => while stream.write_all(bytes).await.is_ok() {},
        Raw::Drip(bytes) => {
            for byte in bytes {
                if stream.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Raw::HostKeys(algorithms) => {
            stream.write_all(b"SSH-2.0-raw\r\n").await.unwrap();
            stream.write_all(&key_exchange_init(algorithms)).await.unwrap();
        }
    }
    // Until the client hangs up.
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

/// A KEXINIT packet (RFC 4253 section 7.1).
fn key_exchange_init(host_keys: &str) -> Vec<u8> {
    let mut payload = vec![20];
    payload.extend([7; 16]);
    let (cipher, mac) = ("aes256-ctr", "hmac-sha2-256");
    for list in [
        "curve25519-sha256",
        host_keys,
        cipher,
        cipher,
        mac,
        mac,
        "none",
        "none",
        "",
        "",
    ] {
        payload.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
        payload.extend(list.as_bytes());
    }
    payload.extend([0; 5]);
    let padding = 4 + (8 - (payload.len() + 5 + 4) % 8) % 8;
    let mut packet = u32::try_from(payload.len() + padding + 1)
        .unwrap()
        .to_be_bytes()
        .to_vec();
    packet.push(u8::try_from(padding).unwrap());
    packet.extend(payload);
    packet.extend(vec![0; padding]);
    packet
}

fn short() -> PhaseDeadlines {
    PhaseDeadlines {
        connect: SHORT,
        banner: SHORT,
        kex: Duration::from_secs(20),
        auth: Duration::from_secs(20),
        open: Duration::from_secs(20),
        exec: Duration::from_secs(20),
        keepalive: Duration::from_secs(5),
    }
}

async fn attempt(address: SocketAddr, deadlines: PhaseDeadlines) -> Probe {
    let mut login = login(address);
    login.deadlines = deadlines;
    probe(&login, &HostKeyPin::UNSET, Some(MACHINE.parse().unwrap())).await
}

#[tokio::test]
async fn each_end_before_the_login_has_its_class() {
    let long_line: &[u8] = b"no SSH line is as long as this one, and it never ends, never ends, never ends ";
    let table = [
        (Raw::Reset, ProbeClass::ResetBeforeBanner),
        (Raw::Close, ProbeClass::ClosedBeforeBanner),
        (Raw::Silence, ProbeClass::SilentBeforeBanner),
        (Raw::Say(b"\x00\xff\x1b[2J garbage"), ProbeClass::NotSsh),
        (Raw::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ProbeClass::NotSsh),
        (Raw::SayThenReset(b"Exceeded MaxStartups\r\n"), ProbeClass::NotSsh),
        (Raw::Repeat(b"a line before the identification\r\n"), ProbeClass::NotSsh),
        (Raw::Repeat(long_line), ProbeClass::NotSsh),
        (
            Raw::Drip(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\n"),
            ProbeClass::NotSsh,
        ),
        (Raw::SayThenReset(b"SSH-2.0-raw\r\n"), ProbeClass::ResetInKex),
        (
            Raw::Say(b"SSH-2.0-raw\r\n\xff\xff\xff\xff\xff\xff\xff\xff"),
            ProbeClass::KexFailed,
        ),
        (
            Raw::HostKeys("rsa-sha2-512,rsa-sha2-256,ssh-rsa"),
            ProbeClass::KexFailed,
        ),
    ];
    for (kind, class) in table {
        let began = Instant::now();
        let probe = attempt(raw(kind).await, short()).await;
        assert_eq!(probe.outcome.class(), class, "{kind:?}: {:?}", probe.outcome);
        assert!(
            began.elapsed() < SHORT + Duration::from_secs(1),
            "{kind:?} took too long"
        );
    }
}

#[tokio::test]
async fn nothing_on_the_port_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(attempt(address, short()).await.outcome, ProbeOutcome::Refused);
}

#[tokio::test]
async fn an_rsa_only_server_is_named() {
    let probe = attempt(raw(Raw::HostKeys("rsa-sha2-512,ssh-rsa")).await, short()).await;
    let ProbeOutcome::KexFailed(KexFailure::NothingInCommon { what, offered }) = probe.outcome else {
        panic!("{:?}", probe.outcome);
    };
    assert_eq!((what, offered.as_bytes()), ("host key", &b"rsa-sha2-512,ssh-rsa"[..]));
}

#[tokio::test]
async fn what_is_kept_of_an_answer_is_bounded() {
    let probe = attempt(raw(Raw::Repeat(b"flood\r\n")).await, short()).await;
    let ProbeOutcome::NotSsh { first_bytes } = probe.outcome else {
        panic!("{:?}", probe.outcome);
    };
    assert_eq!(first_bytes.as_bytes().len(), 256);
}

#[tokio::test]
async fn lines_before_the_identification_are_allowed() {
    let guest = Guest::new();
    let server = guest.serve().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        for _ in 0..40 {
            client.write_all(b"Welcome to the machine\r\n").await.unwrap();
        }
        let mut server = TcpStream::connect(server.address).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    });
    assert_eq!(attempt(address, short()).await.outcome.class(), ProbeClass::LoggedIn);
}

/// A server that hangs in the key exchange must not keep a socket of ours.
#[tokio::test]
async fn silence_in_the_key_exchange_ends_and_hangs_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut deadlines = short();
    deadlines.kex = SHORT;
    let (probe, ()) = tokio::join!(attempt(address, deadlines), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-raw\r\n").await.unwrap();
        // Ends only when the client has closed its side.
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    });
    assert_eq!(probe.outcome, ProbeOutcome::SilentInKex);
    assert!(probe.phase_times.banner.is_some() && probe.phase_times.kex.is_none());
}

#[tokio::test]
async fn a_full_login_tells_the_facts_and_times() {
    let guest = Guest::new();
    let server = guest.serve().await;
    let probe = attempt(server.address, short()).await;
    let ProbeOutcome::LoggedIn(facts) = &probe.outcome else {
        panic!("{:?}", probe.outcome);
    };
    assert_eq!(facts.boot_id.to_string(), BOOT);
    assert_eq!(facts.uuid, Some(MACHINE.parse().unwrap()));
    assert_eq!(facts.host_key.algorithm, "ssh-ed25519");
    assert!(facts.host_key.fingerprint.starts_with("SHA256:"));
    assert!(facts.server_banner.as_bytes().starts_with(b"SSH-2.0-"));
    let times = probe.phase_times;
    let all = [
        times.connect,
        times.banner,
        times.kex,
        times.auth,
        times.open,
        times.exec,
    ];
    assert!(all.iter().all(Option::is_some), "{times:?}");
}

#[tokio::test]
async fn a_user_who_may_not_read_the_uuid_still_logs_in() {
    let guest = Guest::new();
    std::fs::remove_file(guest.path("product_uuid")).unwrap();
    let server = guest.serve().await;
    let ProbeOutcome::LoggedIn(facts) = attempt(server.address, short()).await.outcome else {
        panic!();
    };
    assert_eq!(facts.uuid, None);
}

#[tokio::test]
async fn a_key_logs_in_where_the_password_does_not() {
    let guest = Guest::new();
    let mut behaviour = guest.behaviour();
    behaviour.user_key = Some(9);
    let server = Server::start(behaviour).await;
    let mut login = server.login();
    let rejected = probe(&login, &HostKeyPin::UNSET, None).await.outcome;
    let ProbeOutcome::AuthRejected { methods_left } = rejected else {
        panic!("{rejected:?}");
    };
    assert!(methods_left.contains(&"publickey"), "{methods_left:?}");

    let text = key(9).to_openssh(russh::keys::ssh_key::LineEnding::LF).unwrap();
    login.auth = Auth::key(&Secret::new(text.to_string())).unwrap();
    let accepted = probe(&login, &HostKeyPin::UNSET, None).await.outcome;
    assert_eq!(accepted.class(), ProbeClass::LoggedIn, "{accepted:?}");
}

#[tokio::test]
async fn each_end_behind_the_key_exchange_has_its_class() {
    let (yes, no, silence, hang_up) = (Answer::Yes, Answer::No, Answer::Silence, Answer::HangUp);
    let table = [
        (no, yes, ProbeClass::AuthRejected),
        (silence, yes, ProbeClass::AuthSilent),
        (hang_up, yes, ProbeClass::ClosedInAuth),
        (yes, no, ProbeClass::ExecRefused),
        (yes, silence, ProbeClass::ExecFailed),
        (yes, hang_up, ProbeClass::ExecFailed),
    ];
    for (auth, exec, class) in table {
        let guest = Guest::new();
        let mut behaviour = guest.behaviour();
        (behaviour.auth, behaviour.exec) = (auth, exec);
        let server = Server::start(behaviour).await;
        let mut deadlines = short();
        if auth == silence {
            deadlines.auth = SHORT;
        }
        if exec == silence {
            deadlines.exec = SHORT;
        }
        let outcome = attempt(server.address, deadlines).await.outcome;
        assert_eq!(outcome.class(), class, "{outcome:?}");
        match (exec == silence, exec == hang_up) {
            (true, _) => assert_eq!(outcome, ProbeOutcome::ExecFailed(ExecFailure::Silent)),
            (_, true) => assert_eq!(outcome, ProbeOutcome::ExecFailed(ExecFailure::Closed)),
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_answer_without_a_boot_id_is_shown() {
    let guest = Guest::new();
    guest.boot("not an id");
    let server = guest.serve().await;
    let outcome = attempt(server.address, short()).await.outcome;
    let ProbeOutcome::ExecFailed(ExecFailure::NoBootId { output }) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(output.as_bytes().starts_with(b"noise"), "{output:?}");
}

#[tokio::test]
async fn another_machine_is_never_taken_for_ours() {
    let guest = Guest::new();
    let other = "00000000-0000-4000-8000-000000000000";
    guest.machine(other);
    let server = guest.serve().await;
    let outcome = attempt(server.address, short()).await.outcome;
    let (expected, found) = (MACHINE.parse().unwrap(), other.parse().unwrap());
    assert_eq!(outcome, ProbeOutcome::WrongMachine { expected, found });
}
