//! The first words of a connection: everything before the key exchange, so that "nothing listens behind the forward"
//! can be told from "a server is in trouble".

use std::io::{Cursor, ErrorKind};
use std::net::Shutdown;
use std::ops::Range;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::login::{Login, PhaseTimes};
use super::outcome::ProbeOutcome;
use crate::text::Untrusted;

/// Bytes that a server may send up to the end of its identification line. RFC 4253 section 4.2 allows other lines
/// before it and sets no limit.
pub(super) const SSH_BANNER_BYTES_MAX: usize = 8 * 1024;
/// Bytes of an identification line, with its line ending (RFC 4253 section 4.2).
const SSH_BANNER_LINE_BYTES_MAX: usize = 255;
/// Bytes kept of an answer that is not SSH.
const FIRST_BYTES_MAX: usize = 256;

/// A connection whose server has identified itself.
pub(super) struct Greeted {
    /// The connection; reading starts with the identification line.
    pub(super) stream: Box<dyn Wire>,
    /// The identification line, without its line ending.
    pub(super) banner: Untrusted,
    /// Ends the connection when dropped.
    pub(super) hangup: Hangup,
}

/// Both directions of a connection.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Ends a connection when dropped, whoever else still holds it: russh runs each connection in a task of its own, which
/// goes on when the future that started it is dropped during the key exchange.
pub(super) struct Hangup(std::net::TcpStream);

impl Drop for Hangup {
    fn drop(&mut self) {
        // An error means that the connection has ended already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Connects and waits for the server's identification line.
pub(super) async fn greet(login: &Login, times: &mut PhaseTimes) -> Result<Greeted, ProbeOutcome> {
    let began = Instant::now();
    let stream = connect(login).await?;
    times.connect = Some(began.elapsed());
    let (mut stream, hangup) = with_hangup(stream).map_err(unreachable)?;

    let began = Instant::now();
    let mut received = Vec::new();
    let end = match timeout(login.deadlines.banner, read_banner(&mut stream, &mut received)).await {
        Ok(Ok(line)) => {
            times.banner = Some(began.elapsed());
            return Ok(assemble(stream, hangup, received, line));
        }
        Ok(Err(outcome)) => outcome,
        Err(_) => ProbeOutcome::SilentBeforeBanner,
    };
    if received.is_empty() {
        return Err(end);
    }
    received.truncate(FIRST_BYTES_MAX);
    Err(ProbeOutcome::NotSsh {
        first_bytes: Untrusted::new(received),
    })
}

async fn connect(login: &Login) -> Result<TcpStream, ProbeOutcome> {
    let stream = match timeout(login.deadlines.connect, TcpStream::connect(login.address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            return Err(match error.kind() {
                ErrorKind::ConnectionRefused => ProbeOutcome::Refused,
                ErrorKind::ConnectionReset => ProbeOutcome::ResetBeforeBanner,
                _ => unreachable(error),
            });
        }
        Err(_) => return Err(unreachable("not accepted before the deadline")),
    };
    stream.set_nodelay(true).map_err(unreachable)?;
    Ok(stream)
}

#[expect(clippy::needless_pass_by_value, reason = "an adapter for map_err")]
fn unreachable(error: impl ToString) -> ProbeOutcome {
    ProbeOutcome::Unreachable {
        error: error.to_string(),
    }
}

fn with_hangup(stream: TcpStream) -> std::io::Result<(TcpStream, Hangup)> {
    let stream = stream.into_std()?;
    let hangup = Hangup(stream.try_clone()?);
    Ok((TcpStream::from_std(stream)?, hangup))
}

async fn read_banner(stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<Range<usize>, ProbeOutcome> {
    received.reserve_exact(SSH_BANNER_BYTES_MAX);
    loop {
        let room = SSH_BANNER_BYTES_MAX - received.len();
        // `received` is never empty where this outcome is returned, so that it becomes `NotSsh`.
        if room == 0 {
            return Err(ProbeOutcome::SilentBeforeBanner);
        }
        match stream.take(room as u64).read_buf(received).await {
            Ok(0) => return Err(ProbeOutcome::ClosedBeforeBanner),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Err(ProbeOutcome::ResetBeforeBanner),
            Err(_) => return Err(ProbeOutcome::ClosedBeforeBanner),
        }
        if let Some(line) = find_banner(received) {
            return Ok(line);
        }
    }
}

/// The place of a whole identification line of a protocol version that we speak, without its line ending.
fn find_banner(received: &[u8]) -> Option<Range<usize>> {
    let mut start = 0;
    for line in received.split_inclusive(|byte| *byte == b'\n') {
        let known = line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-");
        if known && line.ends_with(b"\n") && line.len() <= SSH_BANNER_LINE_BYTES_MAX {
            let text = line.trim_ascii_end();
            return Some(start..start + text.len());
        }
        start += line.len();
    }
    None
}

fn assemble(stream: TcpStream, hangup: Hangup, mut received: Vec<u8>, line: Range<usize>) -> Greeted {
    let rest = received.split_off(line.start);
    let banner = Untrusted::new(&rest[..line.len()]);
    let (read, write) = stream.into_split();
    Greeted {
        stream: Box::new(tokio::io::join(Cursor::new(rest).chain(read), write)),
        banner,
        hangup,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(bytes: &[u8]) -> Option<&[u8]> {
        find_banner(bytes).map(|line| &bytes[line])
    }

    #[test]
    fn finds_the_line_behind_others() {
        assert_eq!(found(b"SSH-2.0-x\r\n"), Some(&b"SSH-2.0-x"[..]));
        assert_eq!(found(b"hello\r\nSSH-2.0-x y\nrest"), Some(&b"SSH-2.0-x y"[..]));
        assert_eq!(found(b"SSH-2.0-x"), None, "not whole");
        assert_eq!(found(b"hello SSH-2.0-x\n"), None, "not at the start of a line");
        assert_eq!(found(b"SSH-1.5-x\n"), None, "a version nobody speaks");
        assert_eq!(
            found(&[b"SSH-2.0-", &[b'x'; 300][..], b"\n"].concat()),
            None,
            "too long"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = found(&bytes);
        }
    }
}
