//! The two requests whose answer is a stream: the console, and a command in the guest.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::control::{FRAME_BYTES_MAX, Frame, Refusal};
use crate::serial::console::Console;
use crate::ssh::{Output, PhaseTimes, Session};

use super::machine::HeldMachine;

/// Bytes that are taken from a client at once.
const INPUT_BYTES: usize = 4096;
/// Pieces of output that may wait for a client.
const PIECES_MAX: usize = 16;
/// What a client is told that was too slow.
const MISSED: &str = "\r\n[bootgate: this terminal was too slow; some output is only in serial.log]\r\n";

/// Joins a client and the console until the client leaves or the console ends.
pub(super) async fn console(mut client: UnixStream, console: &Console) -> io::Result<()> {
    let (recent, mut live) = console.attach();
    client.write_all(&recent).await?;
    let mut input = vec![0; INPUT_BYTES];
    loop {
        tokio::select! {
            read = client.read(&mut input) => match read? {
                0 => return Ok(()),
                count => if console.send(&input[..count]).is_err() {
                    // The guest does not read, or is stopped: what is typed is lost as on a dead terminal.
                    client.write_all(b"\x07").await?;
                },
            },
            chunk = live.recv() => match chunk {
                Ok(chunk) => client.write_all(&chunk).await?,
                Err(RecvError::Lagged(_)) => client.write_all(MISSED.as_bytes()).await?,
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

/// Logs in with what the gate knows.
pub(super) async fn connect(machine: &HeldMachine) -> Result<Session, Refusal> {
    let Some(login) = &machine.login else {
        return Err(Refusal {
            problem: "no login of the guest is known here".to_owned(),
            help: "give `--user` and `--password-env` or `--key` to `reopen`, or attach with `console`".to_owned(),
        });
    };
    let mut times = PhaseTimes::default();
    match Session::connect(login, &machine.pin, Some(machine.uuid), &mut times).await {
        Ok((session, _)) => Ok(session),
        Err(outcome) => Err(Refusal {
            problem: format!("the guest does not let us in: {}", outcome.class().meaning()),
            help: "a paused guest answers nobody: `resume` it first; or attach with `console`".to_owned(),
        }),
    }
}

/// Runs a command and sends what it prints as frames.
pub(super) async fn command(mut client: UnixStream, session: Session, command: String) -> io::Result<()> {
    let (pieces, mut received) = mpsc::channel(PIECES_MAX);
    let run = session.stream(command, pieces);
    let forward = async {
        while let Some(output) = received.recv().await {
            let (bytes, frame): (_, fn(Vec<u8>) -> Frame) = match output {
                Output::Stdout(bytes) => (bytes, Frame::Stdout),
                Output::Stderr(bytes) => (bytes, Frame::Stderr),
            };
            for part in bytes.chunks(FRAME_BYTES_MAX) {
                client.write_all(&frame(part.to_vec()).encode()).await?;
            }
        }
        io::Result::Ok(())
    };
    let (ended, forwarded) = tokio::join!(run, forward);
    session.close().await;
    forwarded?;
    let last = match ended {
        Ok(status) => Frame::End(status),
        Err(error) => Frame::Broken(error.to_string()),
    };
    client.write_all(&last.encode()).await
}
