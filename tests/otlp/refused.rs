//! Collectors that are not there, or say no.

use std::io::Read as _;
use std::time::{Duration, Instant};

use crate::cli_support::{Seen, bootgate, see};
use crate::http::{TAKEN, collector, nobody, silent};

const TOKEN: &str = "a-token-of-nobody";

fn send(endpoint: &str) -> Seen {
    let mut command = bootgate(["trace", "fixtures/runs/kernel-panic", "--otlp-endpoint", endpoint]);
    command.env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{TOKEN}"));
    see(command.env("NO_PROXY", "*"))
}

#[test]
fn a_collector_that_takes_the_spans_gets_the_headers() {
    let (address, served) = collector(TAKEN);
    let seen = send(&address);
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""));
    let request = served.join().unwrap();
    let head = request.head.to_lowercase();
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    assert!(
        head.contains(&format!("authorization: bearer {TOKEN}")) && head.contains("application/x-protobuf"),
        "{head}"
    );
    assert!(request.body.len() > 1000);
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
        (
            b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nbusy",
            "503 Service Unavailable, Retry-After: 7 busy",
        ),
        // A header is for the collector alone.
        (
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            "302 Found",
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
    let seen = send(&nobody().replace("://", &format!("://me:{TOKEN}@")));
    assert_eq!(seen.code, Some(4), "{seen:?}");
    assert!(
        seen.stderr.contains("can't be reached") && !seen.stderr.contains(TOKEN),
        "{seen:?}"
    );
    let seen = send("127.0.0.1:4318");
    assert_eq!(seen.code, Some(2), "{seen:?}");
    assert!(seen.stderr.contains("http://127.0.0.1:4318"), "{seen:?}");
}

/// Nothing comes, half an answer, or the head of one without what it promises.
#[test]
fn a_collector_that_goes_silent_is_waited_for_until_the_deadline() {
    for (begins, taken) in [
        (&b""[..], false),
        (b"HTTP/1.1 200", false),
        // It has said that it took them; the rest may say which it did not.
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", true),
    ] {
        let (address, stream) = silent(begins);
        let begun = Instant::now();
        let mut command = bootgate(["trace", "fixtures/runs/kernel-panic", "--otlp-endpoint", &address]);
        let seen = see(command.env("NO_PROXY", "*").env("OTEL_EXPORTER_OTLP_TIMEOUT", "300"));
        assert_eq!(seen.code, Some(if taken { 0 } else { 4 }), "{seen:?}");
        assert!(taken || seen.stderr.contains("can't be reached: timeout"), "{seen:?}");
        assert!(begun.elapsed() >= Duration::from_millis(300));
        // It has let go.
        let mut rest = Vec::new();
        stream.join().unwrap().read_to_end(&mut rest).unwrap();
    }
}

#[test]
fn a_collector_that_hangs_up_is_told() {
    let (address, stream) = silent(b"");
    let served = std::thread::spawn(move || drop(stream.join()));
    let seen = send(&address);
    served.join().unwrap();
    assert_eq!(seen.code, Some(4), "{seen:?}");
    assert!(seen.stderr.contains("can't be reached"), "{seen:?}");
}
