//! Collectors that are not there, or say no.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use crate::cli_support::{Seen, bootgate, see};

const TOKEN: &str = "a-token-of-nobody";

fn send(endpoint: &str) -> Seen {
    let mut command = bootgate(["trace", "fixtures/runs/kernel-panic", "--otlp-endpoint", endpoint]);
    command.env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{TOKEN}"));
    see(command.env("NO_PROXY", "*"))
}

/// Takes one request and answers it. Gives its head and the length of its body.
pub(crate) fn collector(answer: &'static [u8]) -> (String, thread::JoinHandle<(String, usize)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(&stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).unwrap();
        }
        let head = head.to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        (&stream).write_all(answer).unwrap();
        (head, body.len())
    });
    (address, served)
}

#[test]
fn a_collector_that_takes_the_spans_gets_the_headers() {
    let (address, served) = collector(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let seen = send(&address);
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""));
    let (head, length) = served.join().unwrap();
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(
        head.contains(&format!("authorization: bearer {TOKEN}")) && head.contains("application/x-protobuf"),
        "{head}"
    );
    assert!(length > 1000, "{length}");
}

#[test]
fn what_a_collector_refuses_is_told() {
    // rejected_spans (1) = 3, error_message (2) = "full", in partial_success (1).
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n\x0a\x08\x08\x03\x12\x04full";
    for (answer, words) in [
        (&answer[..], "3 spans: full"),
        (
            b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 7\r\n\r\n::bad\x1bx",
            "401 Unauthorized",
        ),
    ] {
        let (address, served) = collector(answer);
        let seen = send(&address);
        served.join().unwrap();
        assert_eq!(seen.code, Some(4), "{seen:?}");
        assert!(
            seen.stderr.contains(words) && !seen.stderr.contains('\u{1b}'),
            "{seen:?}"
        );
        assert!(!format!("{seen:?}").contains(TOKEN));
    }
}

#[test]
fn no_collector_and_no_address() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let seen = send(&format!("http://me:{TOKEN}@{free}"));
    assert_eq!(seen.code, Some(4), "{seen:?}");
    assert!(
        seen.stderr.contains("can't be reached") && !seen.stderr.contains(TOKEN),
        "{seen:?}"
    );
    let seen = send("127.0.0.1:4318");
    assert_eq!(seen.code, Some(2), "{seen:?}");
    assert!(seen.stderr.contains("http://127.0.0.1:4318"), "{seen:?}");
}
