//! The client's end of a hold's control socket.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use crate::control::{Answer, Frame, Refusal, Request, SOCKET};
use crate::units::MIB;

/// The longest answer that is read, in bytes: a page of the human monitor may be long.
const ANSWER_BYTES_MAX: u64 = 64 * MIB;
/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// Why a held machine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// Nobody holds it.
    #[error("nobody holds this machine any more: {0}")]
    NotThere(io::Error),
    /// The holder, or what stands on this side, said no.
    #[error("{}", .0.problem)]
    Refused(Refusal),
    /// The holder went away in the middle.
    #[error("the holder broke off: {0}")]
    BrokeOff(String),
}

/// Asks for something that is answered with one value.
pub(super) fn ask(run: &Path, request: &Request) -> Result<Value, ClientError> {
    open(run, request).map(|(value, _)| value)
}

/// Asks for something, and gives the stream that follows the answer.
pub(super) fn open(run: &Path, request: &Request) -> Result<(Value, BufReader<UnixStream>), ClientError> {
    let broke_off = |error: io::Error| ClientError::BrokeOff(error.to_string());
    let mut socket = connect(run).map_err(ClientError::NotThere)?;
    let mut line = serde_json::to_vec(request).map_err(|error| ClientError::BrokeOff(error.to_string()))?;
    line.push(b'\n');
    socket.write_all(&line).map_err(broke_off)?;
    let mut reader = BufReader::new(socket);
    let mut answer = Vec::new();
    let mut bounded = (&mut reader).take(ANSWER_BYTES_MAX);
    bounded.read_until(b'\n', &mut answer).map_err(broke_off)?;
    match serde_json::from_slice(&answer) {
        Ok(Answer::Done(value)) => Ok((value, reader)),
        Ok(Answer::Refused(refusal)) => Err(ClientError::Refused(refusal)),
        Err(_) => Err(ClientError::BrokeOff("it did not answer".to_owned())),
    }
}

/// Runs a command in the guest; what it prints is printed here, as it is. Gives its exit status.
pub(super) fn run_in_guest(run: &Path, command: String) -> Result<u8, ClientError> {
    let broke_off = |error: String| ClientError::BrokeOff(error);
    let (_, mut stream) = open(run, &Request::Ssh { command })?;
    let (mut pending, mut chunk) = (Vec::new(), vec![0; READ_BYTES]);
    loop {
        match Frame::take(&mut pending).map_err(|error| broke_off(error.to_string()))? {
            Some(Frame::Stdout(bytes)) => pass_on(&mut io::stdout().lock(), &bytes)?,
            Some(Frame::Stderr(bytes)) => pass_on(&mut io::stderr().lock(), &bytes)?,
            Some(Frame::End(status)) => return Ok(status),
            Some(Frame::Broken(why)) => return Err(broke_off(why)),
            None => match stream.read(&mut chunk).map_err(|error| broke_off(error.to_string()))? {
                0 => return Err(broke_off("it went away".to_owned())),
                count => pending.extend_from_slice(&chunk[..count]),
            },
        }
    }
}

fn pass_on(to: &mut dyn io::Write, bytes: &[u8]) -> Result<(), ClientError> {
    let written = to.write_all(bytes).and_then(|()| to.flush());
    written.map_err(|error| ClientError::BrokeOff(format!("the output can't be passed on: {error}")))
}

/// Connects by way of the open directory: the kernel takes no path of a socket longer than 107 bytes.
fn connect(run: &Path) -> io::Result<UnixStream> {
    let directory = std::fs::File::open(run)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd()))
}
