//! The control socket: one request a connection, each served in a task of its own.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use crate::control::{Answer, REQUEST_BYTES_MAX, Refusal, Request, SOCKET};

use super::machine::HeldMachine;
use super::{stream, verbs};

/// How many requests are served at a time; more wait.
const REQUESTS_MAX: usize = 16;
/// How long a client may take to send its request.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// How long nothing is accepted after the system had no descriptor for one more client.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What a client asks of the hold itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::driver) enum HoldAsk {
    /// End it.
    Release,
    /// Keep it for this long from now on.
    Extend(Duration),
}

/// The open socket. Closed, and its file removed, when this is dropped.
pub(in crate::driver) struct Holder {
    task: AbortHandle,
    directory: OwnedFd,
}

impl Holder {
    /// Opens the control socket in the machine's directory. Must be called in a tokio runtime.
    pub(in crate::driver) fn open(machine: HeldMachine, asks: mpsc::Sender<HoldAsk>) -> io::Result<Self> {
        let directory = open(
            &machine.directory,
            OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        let path = short_path(&directory);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The directory is the owner's alone (0700), and so is all that is in it.
        let listener = UnixListener::bind(&path)?;
        let task = tokio::spawn(serve(listener, Arc::new(machine), asks)).abort_handle();
        Ok(Self { task, directory })
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(short_path(&self.directory));
    }
}

/// The socket by way of the open directory: the kernel takes no path of a socket longer than 107 bytes.
fn short_path(directory: &OwnedFd) -> PathBuf {
    Path::new("/proc/self/fd")
        .join(directory.as_raw_fd().to_string())
        .join(SOCKET)
}

async fn serve(listener: UnixListener, machine: Arc<HeldMachine>, asks: mpsc::Sender<HoldAsk>) {
    let room = Arc::new(Semaphore::new(REQUESTS_MAX));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((client, _)) => {
                let (machine, asks) = (machine.clone(), asks.clone());
                tokio::spawn(async move {
                    // A client that leaves takes only its own request with it.
                    if let Err(error) = converse(client, &machine, &asks).await {
                        tracing::debug!(%error, "a client of the hold left");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket can't accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(mut client: UnixStream, machine: &HeldMachine, asks: &mpsc::Sender<HoldAsk>) -> io::Result<()> {
    let request = tokio::time::timeout(REQUEST_WITHIN, read_request(&mut client)).await??;
    let request: Request = match serde_json::from_slice(&request) {
        Ok(request) => request,
        Err(error) => {
            let refusal = Refusal {
                problem: format!("the request is not understood: {error}"),
                help: "use the bootgate that holds the machine".to_owned(),
            };
            return answer(&mut client, &Answer::Refused(refusal)).await;
        }
    };
    match request {
        Request::Console => {
            answer(&mut client, &Answer::Done(Value::Null)).await?;
            stream::console(client, &machine.console).await
        }
        Request::Ssh { command } => match stream::connect(machine).await {
            Ok(session) => {
                answer(&mut client, &Answer::Done(Value::Null)).await?;
                stream::command(client, session, command).await
            }
            Err(refusal) => answer(&mut client, &Answer::Refused(refusal)).await,
        },
        request => {
            let reply = match verbs::perform(machine, asks, request).await {
                Ok(value) => Answer::Done(value),
                Err(refusal) => Answer::Refused(refusal),
            };
            answer(&mut client, &reply).await
        }
    }
}

async fn read_request(client: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        if let Some(end) = request.iter().position(|&byte| byte == b'\n') {
            request.truncate(end);
            return Ok(request);
        }
        if request.len() > REQUEST_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if client.read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn answer(client: &mut UnixStream, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    client.write_all(&line).await
}
