//! As much of HTTP as a collector needs that a test plays.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

/// What a collector says that took everything.
pub(crate) const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A request or an answer.
pub(crate) struct Message {
    /// Its first line and headers, as they came.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Reads one; `None` if the other side hangs up before it is whole.
    pub(crate) fn read(from: impl Read) -> Option<Self> {
        let mut reader = BufReader::new(from);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let small = head.to_lowercase();
        let length = small.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).ok()?;
        Some(Self { head, body })
    }

    /// As it came.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }

    /// True if the spans in it hold this text; OTLP's binary encoding leaves texts as they are.
    pub(crate) fn tells(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

/// A port of its own, and the address of a collector there.
pub(crate) fn port() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

/// An address that refuses every connection.
pub(crate) fn nobody() -> String {
    port().1
}

/// Takes one request and answers it. Gives the request.
pub(crate) fn collector(answer: &'static [u8]) -> (String, JoinHandle<Message>) {
    let (listener, address) = port();
    let served = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let request = Message::read(&stream).unwrap();
        (&stream).write_all(answer).unwrap();
        request
    });
    (address, served)
}

/// Takes one request, sends this much of an answer, and then says no more until the other side hangs up. Gives the stream at once,
/// when the request has come.
pub(crate) fn silent(begins: &'static [u8]) -> (String, JoinHandle<TcpStream>) {
    let (listener, address) = port();
    let taken = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        Message::read(&stream).unwrap();
        (&stream).write_all(begins).unwrap();
        stream
    });
    (address, taken)
}
