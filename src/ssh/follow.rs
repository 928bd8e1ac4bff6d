//! Reading the output of a detached command, exactly once, until its end.

use super::client::Session;
use super::detached::{Detached, DetachedError, REPORT_BYTES_MAX, no_answer};
use super::exec::{ExecError, Piece, Pieces};
use super::exit::Exit;
use super::outcome::BootId;
use super::shell::{FOLLOW, answer, command_line};
use crate::text::Untrusted;

/// What the stream begins behind; what comes before it is noise, such as a start-up file's greeting.
const PREAMBLE_END: &[u8] = b"bootgate-output\n";

/// What comes next of a followed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// Bytes of its output, never empty, directly behind the ones before.
    Output(Untrusted),
    /// It has ended, and all of its output was given.
    End(Exit),
}

/// Reads the output of a detached command over one connection.
pub struct Follower<'a> {
    session: &'a Session,
    job: &'a Detached,
    offset: u64,
    /// True when the end is known: what is missing can be read at once.
    drain: bool,
    stream: Option<Stream>,
}

/// One run of the following script.
struct Stream {
    pieces: Pieces,
    began_at: u64,
    /// The last bytes before the stream begins; `None`: it has begun.
    preamble: Option<Vec<u8>>,
    report: Vec<u8>,
}

impl Stream {
    /// The part of `bytes` that is output.
    fn output(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        let Some(mut seen) = self.preamble.take() else {
            return bytes;
        };
        seen.extend(bytes);
        let found = seen.windows(PREAMBLE_END.len()).position(|part| part == PREAMBLE_END);
        if let Some(at) = found {
            return seen.split_off(at + PREAMBLE_END.len());
        }
        let noise = seen.len().saturating_sub(PREAMBLE_END.len() - 1);
        self.preamble = Some(seen.split_off(noise));
        Vec::new()
    }
}

impl<'a> Follower<'a> {
    pub(super) fn new(session: &'a Session, job: &'a Detached, offset: u64) -> Self {
        Self {
            session,
            job,
            offset,
            drain: false,
            stream: None,
        }
    }

    /// The number of bytes given so far, from the beginning of the output; where to go on after a lost connection.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next piece. Safe to drop and to call again: no byte is lost.
    pub async fn next(&mut self) -> Result<Followed, DetachedError> {
        loop {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                none => none.insert(open(self.session, self.job, self.offset, self.drain).await?),
            };
            let Some(piece) = stream.pieces.next().await else {
                return Err(ExecError::Lost(self.session.why_ended()).into());
            };
            match piece {
                Piece::Stdout(bytes) => {
                    let bytes = stream.output(bytes);
                    if !bytes.is_empty() {
                        self.offset += bytes.len() as u64;
                        return Ok(Followed::Output(Untrusted::new(bytes)));
                    }
                }
                Piece::Stderr(bytes) => {
                    let room = REPORT_BYTES_MAX - stream.report.len();
                    stream.report.extend_from_slice(&bytes[..bytes.len().min(room)]);
                }
                Piece::Closed(_) => {
                    if let Some(exit) = self.ended()? {
                        return Ok(Followed::End(exit));
                    }
                }
            }
        }
    }

    /// Judges the end of one run of the script. `None`: there is more to read.
    fn ended(&mut self) -> Result<Option<Exit>, DetachedError> {
        let Some(stream) = self.stream.take() else {
            return Ok(None);
        };
        let unclear = || match stream.preamble {
            // The script ran and was killed, as when the guest shuts down.
            None => ExecError::Lost("following the output was ended in the guest".into()).into(),
            Some(_) => no_answer(&stream.report),
        };
        let words = answer(&stream.report, "follow").ok_or_else(unclear)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (state, status, size) = match words[..] {
            ["rebooted", boot] => {
                let (before, after) = (self.job.boot_id, boot.parse().map(BootId));
                let after = after.map_err(|_| unclear())?;
                return Err(DetachedError::GuestRebooted { before, after });
            }
            ["gone"] => return Err(DetachedError::Gone(self.job.directory.clone())),
            [state, status, size] => (state, status, size),
            _ => return Err(unclear()),
        };
        let size_bytes: u64 = size.parse().map_err(|_| unclear())?;
        if self.offset < size_bytes {
            // A first run may bring nothing: the command may end before the script has read anything.
            if self.drain && self.offset == stream.began_at {
                let offset = self.offset;
                return Err(DetachedError::Torn { size_bytes, offset });
            }
            self.drain = true;
            return Ok(None);
        }
        if state == "running" {
            return Err(DetachedError::Vanished);
        }
        let status = status.parse().map_err(|_| unclear())?;
        Ok(Some(Exit::from_shell(status)))
    }
}

async fn open(session: &Session, job: &Detached, offset: u64, drain: bool) -> Result<Stream, DetachedError> {
    let (boot, first) = (job.boot_id.to_string(), (offset + 1).to_string());
    let how = if drain { "drain" } else { "follow" };
    let command = command_line(FOLLOW, &[&job.directory, &boot, &first, how]);
    let (pieces, _) = session.exec(session.open().await?, command).await?;
    Ok(Stream {
        pieces,
        began_at: offset,
        preamble: Some(Vec::new()),
        report: Vec::new(),
    })
}
