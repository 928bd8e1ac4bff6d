//! Running a command on a connection: bounded answers, or a stream.

use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::client::Session;

/// Bytes kept of each output stream of a short command.
pub(super) const REPLY_BYTES_MAX: usize = 64 * 1024;
/// Bytes sent at a time.
const CHUNK_BYTES: usize = 32 * 1024;

/// Why a command could not be run to its end. The connection is of no more use, except after `Refused`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecError {
    /// The connection ended.
    #[error("the connection to the guest was lost: {0}")]
    Lost(String),
    /// Nothing moved for too long.
    #[error("the guest did not answer for {}", crate::units::human_span(*.0))]
    Silent(Duration),
    /// The server refused a channel or a command.
    #[error("the guest's SSH server refuses to run a command")]
    Refused,
    /// What was to be sent could not be read.
    #[error("the file to send could not be read: {0}")]
    Source(String),
}

/// What a short command gave back.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// Its exit status. `None`: the server told none, or the command still runs.
    pub(super) status: Option<u32>,
    /// How its standard output began.
    pub(super) stdout: Vec<u8>,
    /// How its standard error began.
    pub(super) stderr: Vec<u8>,
}

impl Reply {
    fn take(&mut self, piece: Piece) -> bool {
        let (kept, bytes) = match piece {
            Piece::Stdout(bytes) => (&mut self.stdout, bytes),
            Piece::Stderr(bytes) => (&mut self.stderr, bytes),
            Piece::Closed(status) => {
                self.status = status;
                return true;
            }
        };
        let room = REPLY_BYTES_MAX - kept.len();
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        false
    }
}

/// What a command printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// On its standard output.
    Stdout(Vec<u8>),
    /// On its standard error.
    Stderr(Vec<u8>),
}

/// A piece of what a command gives back.
pub(super) enum Piece {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// The server closed the channel, with the exit status if it told one.
    Closed(Option<u32>),
}

/// The receiving side of a command that runs.
pub(super) struct Pieces {
    read: ChannelReadHalf,
    status: Option<u32>,
}

impl Pieces {
    /// The next piece; `None`: the connection ended. Safe to drop and to call again.
    pub(super) async fn next(&mut self) -> Option<Piece> {
        loop {
            match self.read.wait().await? {
                ChannelMsg::Data { data } => return Some(Piece::Stdout(data.into())),
                ChannelMsg::ExtendedData { data, ext: 1 } => return Some(Piece::Stderr(data.into())),
                ChannelMsg::ExitStatus { exit_status } => self.status = Some(exit_status),
                ChannelMsg::Close => return Some(Piece::Closed(self.status)),
                _ => {}
            }
        }
    }
}

impl Session {
    /// Runs a command for a person: what it prints goes to `pieces` as it comes; gives the exit status, 255 if the server told
    /// none. Ends when the command ends, or when nobody takes the pieces any more.
    pub async fn stream(&self, command: String, pieces: mpsc::Sender<Output>) -> Result<u8, ExecError> {
        let channel = self.open().await?;
        let (mut read, write) = self.exec(channel, command).await?;
        let _ = write.eof().await;
        let status = loop {
            let output = match read.next().await.ok_or_else(|| ExecError::Lost(self.why_ended()))? {
                Piece::Stdout(bytes) => Output::Stdout(bytes),
                Piece::Stderr(bytes) => Output::Stderr(bytes),
                Piece::Closed(status) => break status,
            };
            if pieces.send(output).await.is_err() {
                break None;
            }
        };
        let _ = write.close().await;
        Ok(status.and_then(|status| u8::try_from(status).ok()).unwrap_or(u8::MAX))
    }

    pub(super) async fn open(&self) -> Result<Channel<Msg>, ExecError> {
        let deadline = self.deadlines.open;
        match timeout(deadline, self.handle.channel_open_session()).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(russh::Error::ChannelOpenFailure(_))) => Err(ExecError::Refused),
            Ok(Err(_)) => Err(ExecError::Lost(self.why_ended())),
            Err(_) => Err(ExecError::Silent(deadline)),
        }
    }

    /// Asks for `command` on a fresh channel.
    pub(super) async fn exec(
        &self,
        channel: Channel<Msg>,
        command: String,
    ) -> Result<(Pieces, ChannelWriteHalf<Msg>), ExecError> {
        let (mut read, write) = channel.split();
        let asked = async {
            if write.exec(true, command).await.is_err() {
                return Err(ExecError::Lost(self.why_ended()));
            }
            loop {
                match read.wait().await {
                    Some(ChannelMsg::Success) => return Ok(()),
                    Some(ChannelMsg::Failure | ChannelMsg::Close) => return Err(ExecError::Refused),
                    Some(_) => {}
                    None => return Err(ExecError::Lost(self.why_ended())),
                }
            }
        };
        let deadline = self.deadlines.exec;
        timeout(deadline, asked)
            .await
            .unwrap_or(Err(ExecError::Silent(deadline)))?;
        Ok((Pieces { read, status: None }, write))
    }

    /// Runs a short command to its end, or until `enough` holds for what it has given back so far. `stdin` is sent
    /// meanwhile. Nothing may pause for longer than `pause_max`.
    pub(super) async fn call(
        &self,
        command: String,
        stdin: impl AsyncRead + Unpin,
        pause_max: Duration,
        enough: impl Fn(&Reply) -> bool,
    ) -> Result<Reply, ExecError> {
        let channel = self.open().await?;
        self.call_on(channel, command, stdin, pause_max, enough).await
    }

    /// The same on a channel that is open.
    pub(super) async fn call_on(
        &self,
        channel: Channel<Msg>,
        command: String,
        stdin: impl AsyncRead + Unpin,
        pause_max: Duration,
        enough: impl Fn(&Reply) -> bool,
    ) -> Result<Reply, ExecError> {
        let (mut pieces, write) = self.exec(channel, command).await?;
        let mut reply = Reply::default();
        let mut last_move = Instant::now();
        let feed = self.feed(&write, stdin, pause_max);
        tokio::pin!(feed);
        let mut feeding = true;
        loop {
            tokio::select! {
                sent = &mut feed, if feeding => {
                    sent?;
                    feeding = false;
                    last_move = Instant::now();
                }
                piece = pieces.next() => {
                    let piece = piece.ok_or_else(|| ExecError::Lost(self.why_ended()))?;
                    last_move = Instant::now();
                    if reply.take(piece) || enough(&reply) {
                        break;
                    }
                }
                // While feeding, `feed` watches over itself.
                () = sleep_until(last_move + pause_max), if !feeding => return Err(ExecError::Silent(pause_max)),
            }
        }
        // If the connection has ended, there is no channel to close any more.
        let _ = write.close().await;
        Ok(reply)
    }

    async fn feed(
        &self,
        write: &ChannelWriteHalf<Msg>,
        mut stdin: impl AsyncRead + Unpin,
        pause_max: Duration,
    ) -> Result<(), ExecError> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let size = stdin.read(&mut chunk).await;
            let size = size.map_err(|error| ExecError::Source(error.to_string()))?;
            let sent = async {
                match size {
                    0 => write.eof().await,
                    _ => write.data_bytes(chunk[..size].to_vec()).await,
                }
            };
            match timeout(pause_max, sent).await {
                Ok(Ok(())) if size == 0 => return Ok(()),
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(ExecError::Lost(self.why_ended())),
                Err(_) => return Err(ExecError::Silent(pause_max)),
            }
        }
    }
}
