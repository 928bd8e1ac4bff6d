//! An SSH server in this process that runs commands with this machine's `sh`, and what tests need around it.
//!
//! With `BOOTGATE_TEST_GUEST_PATH` set, commands get that `PATH` instead: a directory of links to busybox, or with an
//! `sh` that is bash, shows that the scripts work in such a guest too.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bootgate::plan::Secret;
use bootgate::ssh::{Auth, HostKeyPin, JobSpec, Login, PhaseDeadlines, PhaseTimes};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::{Auth as Verdict, ChannelOpenHandle, Config, Handler, Msg, Session};
use russh::{Channel, ChannelId, ChannelMsg, ChannelReadHalf};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{ChildStdin, Command};
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(crate) const PASSWORD: &str = "canary-password";
pub(crate) const BOOT: &str = "11111111-2222-4333-8444-555555555555";
pub(crate) const MACHINE: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";

/// A key that is the same for the same seed.
pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

/// How a server behaves.
#[derive(Clone)]
pub(crate) struct Behaviour {
    pub(crate) host_key: u8,
    pub(crate) user_key: Option<u8>,
    pub(crate) auth: Answer,
    pub(crate) exec: Answer,
    /// The guest's directory: its boot id, its UUID and the files of its commands.
    pub(crate) root: PathBuf,
}

/// How a server answers a request.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Answer {
    Yes,
    No,
    Silence,
    HangUp,
}

/// A guest: a directory with a boot id and a UUID.
pub(crate) struct Guest {
    pub(crate) root: tempfile::TempDir,
}

impl Guest {
    pub(crate) fn new() -> Self {
        let guest = Self {
            root: tempfile::tempdir().unwrap(),
        };
        guest.boot(BOOT);
        guest.machine(MACHINE);
        std::fs::create_dir(guest.root.path().join("run")).unwrap();
        guest
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn boot(&self, id: &str) {
        std::fs::write(self.path("boot_id"), format!("{id}\n")).unwrap();
    }

    pub(crate) fn machine(&self, uuid: &str) {
        std::fs::write(self.path("product_uuid"), format!("{uuid}\n")).unwrap();
    }

    pub(crate) fn behaviour(&self) -> Behaviour {
        Behaviour {
            host_key: 1,
            user_key: None,
            auth: Answer::Yes,
            exec: Answer::Yes,
            root: self.root.path().to_owned(),
        }
    }

    pub(crate) async fn serve(&self) -> Server {
        Server::start(self.behaviour()).await
    }
}

/// A server that listens on a port of its own until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), behaviour)
    }

    pub(crate) fn start_on(listener: TcpListener, behaviour: Behaviour) -> Self {
        let address = listener.local_addr().unwrap();
        let config = Arc::new(Config {
            keys: vec![key(behaviour.host_key)],
            auth_rejection_time: Duration::ZERO,
            inactivity_timeout: None,
            nodelay: true,
            ..Config::default()
        });
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (config, behaviour) = (config.clone(), behaviour.clone());
                connections.spawn(async move {
                    let connection = Connection {
                        behaviour,
                        channel: None,
                    };
                    if let Ok(session) = russh::server::run_stream(config, stream, connection).await {
                        let _ = session.await;
                    }
                });
            }
        });
        Self { address, task }
    }

    pub(crate) fn login(&self) -> Login {
        login(self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A login with the right password and short deadlines.
pub(crate) fn login(address: SocketAddr) -> Login {
    Login {
        address,
        user: "root".into(),
        auth: Auth::Password(Secret::new(PASSWORD.into())),
        deadlines: PhaseDeadlines {
            exec: Duration::from_secs(20),
            ..PhaseDeadlines::default()
        },
    }
}

struct Connection {
    behaviour: Behaviour,
    channel: Option<Channel<Msg>>,
}

impl Connection {
    async fn answer(&self, right: bool) -> Result<Verdict, russh::Error> {
        match self.behaviour.auth {
            Answer::Yes if right => Ok(Verdict::Accept),
            Answer::Silence => std::future::pending().await,
            Answer::HangUp => Err(russh::Error::Disconnect),
            _ => Ok(Verdict::reject()),
        }
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Verdict, russh::Error> {
        self.answer(user == "root" && password == PASSWORD && self.behaviour.user_key.is_none())
            .await
    }

    async fn auth_publickey(
        &mut self,
        _: &str,
        offered: russh::server::VerifiedPublicKey<'_>,
    ) -> Result<Verdict, russh::Error> {
        let known = self.behaviour.user_key.map(|seed| key(seed).public_key().clone());
        self.answer(known.is_some_and(|known| known.key_data() == offered.public_key.key_data()))
            .await
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, command: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        match self.behaviour.exec {
            Answer::Yes => {}
            Answer::No => return session.channel_failure(id),
            Answer::Silence => return Ok(()),
            Answer::HangUp => return Err(russh::Error::Disconnect),
        }
        session.channel_success(id)?;
        if let Some(channel) = self.channel.take() {
            let command = in_guest(&String::from_utf8_lossy(command), &self.behaviour.root);
            tokio::spawn(run(channel, command));
        }
        Ok(())
    }
}

/// The command with the kernel's files replaced by the guest's.
fn in_guest(command: &str, root: &Path) -> String {
    let root = root.display();
    command
        .replace("/proc/sys/kernel/random/boot_id", &format!("{root}/boot_id"))
        .replace("/sys/class/dmi/id/product_uuid", &format!("{root}/product_uuid"))
}

/// Runs a command as an SSH server does: it outlives the connection. A start-up file makes noise first.
async fn run(channel: Channel<Msg>, command: String) {
    let (read, write) = channel.split();
    let path = std::env::var("BOOTGATE_TEST_GUEST_PATH").or_else(|_| std::env::var("PATH"));
    let mut child = Command::new("/bin/sh")
        .env("PATH", path.unwrap())
        .args(["-c", &format!("echo noise of a start-up file\n{command}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let feeder = tokio::spawn(feed(read, child.stdin.take().unwrap()));
    let (mut out, mut err) = (write.make_writer(), write.make_writer_ext(Some(1)));
    let _ = tokio::join!(
        tokio::io::copy(&mut stdout, &mut out),
        tokio::io::copy(&mut stderr, &mut err)
    );
    drop((stdout, stderr));
    let status = child.wait().await.unwrap();
    let _ = write
        .exit_status(status.code().unwrap_or(255).try_into().unwrap())
        .await;
    let _ = write.eof().await;
    let _ = write.close().await;
    feeder.abort();
}

async fn feed(mut read: ChannelReadHalf, mut stdin: ChildStdin) {
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } if stdin.write_all(&data).await.is_err() => return,
            ChannelMsg::Eof | ChannelMsg::Close => return,
            _ => {}
        }
    }
}

/// What a forward does to a connection after some bytes towards the client.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    Cut,
    Freeze,
}

/// A forward to `server` that does `fault` to its n-th connection after `after_bytes[n]` bytes towards the client; the
/// ones after the last are left alone.
pub(crate) async fn faulty_forward(
    server: SocketAddr,
    fault: Fault,
    after_bytes: Vec<u64>,
) -> (SocketAddr, JoinHandle<()>) {
    use tokio::io::{AsyncReadExt, copy};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut after_bytes = after_bytes.into_iter();
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let fault_after = after_bytes.next().unwrap_or(u64::MAX);
            let mut server = TcpStream::connect(server).await.unwrap();
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            connections.spawn(async move {
                let (mut from_client, mut to_client) = client.split();
                let (from_server, mut to_server) = server.split();
                let mut from_server = from_server.take(fault_after);
                tokio::select! {
                    _ = copy(&mut from_server, &mut to_client) => {}
                    _ = copy(&mut from_client, &mut to_server) => {}
                }
                if let Fault::Freeze = fault {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (address, task)
}

pub(crate) fn job(guest: &Guest, command: &str) -> JobSpec {
    let mut spec = JobSpec::new(Uuid::from_u128(7), "install", command);
    spec.directories = vec!["/nonexistent".into(), guest.path("run").display().to_string()];
    spec
}

pub(crate) fn files(guest: &Guest) -> PathBuf {
    guest.path(&format!("run/bootgate-{}/install", Uuid::from_u128(7)))
}

pub(crate) async fn session(server: &Server) -> bootgate::ssh::Session {
    let (login, mut times) = (server.login(), PhaseTimes::default());
    let connected = bootgate::ssh::Session::connect(&login, &HostKeyPin::UNSET, None, &mut times).await;
    connected.unwrap().0
}

/// The lines `PREFIX1` to `PREFIXn`.
pub(crate) fn lines(prefix: &str, count: u32) -> String {
    let lines: Vec<String> = (1..=count).map(|n| format!("{prefix}{n}\n")).collect();
    lines.concat()
}
