//! Bytes to lines, and lines to frames. A bad frame is an item, never the end of the session.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::text::Untrusted;
use crate::units::MIB;

/// The longest line that is accepted, in bytes without its newline. libvirt and QEMU's own client stop at the same
/// length (libvirt `src/qemu/qemu_monitor.c`, QEMU `python/qemu/qmp/qmp_client.py`).
#[expect(clippy::cast_possible_truncation, reason = "10 MiB fits in every usize")]
pub const QMP_LINE_BYTES_MAX: usize = 10 * MIB as usize;

/// How much of a bad line is kept to be shown, in bytes.
pub const EXCERPT_BYTES_MAX: usize = 256;

/// What a line buffer keeps allocated between lines, in bytes.
const LINE_BYTES_KEPT: usize = 64 * 1024;

/// A line grew beyond the limit. Its end is unknown, so nothing after it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than {limit_bytes} bytes")]
pub struct LineTooLong {
    /// The limit that was passed, in bytes.
    pub limit_bytes: usize,
}

/// Joins chunks to lines. It holds at most one unfinished line and never allocates more than the limit.
#[derive(Debug)]
pub struct LineBuffer {
    line: Vec<u8>,
    complete: bool,
    limit_bytes: usize,
}

impl Default for LineBuffer {
    fn default() -> Self {
        Self::with_limit(QMP_LINE_BYTES_MAX)
    }
}

impl LineBuffer {
    /// A buffer for lines of at most `limit_bytes`.
    pub fn with_limit(limit_bytes: usize) -> Self {
        Self {
            line: Vec::new(),
            complete: false,
            limit_bytes,
        }
    }

    /// Takes bytes from the front of `input`, up to the end of one line, and gives that line without its line ending.
    /// `None` means that `input` is used up and the line goes on.
    pub fn take_line(&mut self, input: &mut &[u8]) -> Result<Option<&[u8]>, LineTooLong> {
        if self.complete {
            self.line.clear();
            self.line.shrink_to(LINE_BYTES_KEPT);
            self.complete = false;
        }
        let end = input.iter().position(|&byte| byte == b'\n');
        let (part, rest) = input.split_at(end.unwrap_or(input.len()));
        if self.line.len() + part.len() > self.limit_bytes {
            return Err(LineTooLong {
                limit_bytes: self.limit_bytes,
            });
        }
        self.append(part);
        *input = rest;
        if end.is_none() {
            return Ok(None);
        }
        *input = &rest[1..];
        self.complete = true;
        Ok(Some(self.line.strip_suffix(b"\r").unwrap_or(&self.line)))
    }

    /// What has arrived of a line whose end is missing.
    pub fn unfinished(&self) -> &[u8] {
        if self.complete { &[] } else { &self.line }
    }

    /// Doubles the allocation as it fills, but never beyond the limit (a `Vec` left alone would).
    fn append(&mut self, part: &[u8]) {
        let needed = self.line.len() + part.len();
        if needed > self.line.capacity() {
            let capacity = needed.max(2 * self.line.capacity()).min(self.limit_bytes);
            self.line.reserve_exact(capacity - self.line.len());
        }
        self.line.extend_from_slice(part);
    }
}

/// A line that is not QMP. The session goes on after it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// There is nothing on the line.
    #[error("an empty line")]
    Blank,
    /// The line is not JSON, or a member that QMP defines has the wrong type.
    #[error("a line that can't be read ({error}): {excerpt:?}")]
    Unreadable {
        /// Where it went wrong.
        error: String,
        /// How the line begins.
        excerpt: Untrusted,
    },
    /// The line is a JSON object, but neither a greeting, an event nor a reply.
    #[error("a message that is neither greeting, event nor reply: {excerpt:?}")]
    Unrecognised {
        /// How the line begins.
        excerpt: Untrusted,
    },
}

/// One message from QEMU, its parts still JSON text.
#[derive(Debug)]
pub enum Frame<'a> {
    /// The first message of a session.
    Greeting(&'a RawValue),
    /// Something happened.
    Event {
        /// The event's name.
        name: Cow<'a, str>,
        /// When, by the host's wall clock.
        timestamp: Option<Timestamp>,
    },
    /// The answer to a command.
    Reply {
        /// The id that the command had, if the reply has any.
        id: Option<&'a RawValue>,
        /// What the command gave, or why it failed.
        outcome: Result<&'a RawValue, WireError>,
    },
}

/// The wall-clock time of an event; both members are −1 if the host could not tell (QEMU `docs/interop/qmp-spec.rst`).
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Timestamp {
    seconds: i64,
    microseconds: i64,
}

impl Timestamp {
    /// Microseconds since the epoch, if the host could tell.
    pub fn since_epoch_us(self) -> Option<i64> {
        let known = self.seconds >= 0 && self.microseconds >= 0;
        let whole_us = self.seconds.checked_mul(1_000_000)?;
        known.then(|| whole_us.checked_add(self.microseconds))?
    }
}

/// QEMU's words for a failed command.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WireError {
    /// A class such as `GenericError`; a later QEMU may have more of them.
    #[serde(default)]
    pub class: String,
    /// What went wrong, for a person.
    #[serde(default)]
    pub desc: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "QMP")]
    greeting: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<Cow<'a, str>>,
    timestamp: Option<Timestamp>,
    #[serde(borrow, rename = "return", default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    error: Option<WireError>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
}

/// A member that is there, even if it is `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads one line.
pub fn parse(line: &[u8]) -> Result<Frame<'_>, BadFrame> {
    if line.trim_ascii().is_empty() {
        return Err(BadFrame::Blank);
    }
    let envelope: Envelope<'_> = serde_json::from_slice(line).map_err(|error| BadFrame::Unreadable {
        error: error.to_string(),
        excerpt: excerpt(line),
    })?;
    match envelope {
        Envelope {
            greeting: Some(greeting),
            ..
        } => Ok(Frame::Greeting(greeting)),
        Envelope {
            event: Some(name),
            timestamp,
            ..
        } => Ok(Frame::Event { name, timestamp }),
        Envelope {
            error: Some(error), id, ..
        } => Ok(Frame::Reply {
            id,
            outcome: Err(error),
        }),
        Envelope {
            value: Some(value), id, ..
        } => Ok(Frame::Reply { id, outcome: Ok(value) }),
        _ => Err(BadFrame::Unrecognised { excerpt: excerpt(line) }),
    }
}

/// How a line begins.
pub fn excerpt(line: &[u8]) -> Untrusted {
    Untrusted::new(&line[..line.len().min(EXCERPT_BYTES_MAX)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines_of(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut buffer = LineBuffer::default();
        let mut lines = Vec::new();
        for mut chunk in chunks.iter().copied() {
            while let Some(line) = buffer.take_line(&mut chunk).unwrap() {
                lines.push(line.to_vec());
            }
        }
        lines
    }

    #[test]
    fn lines_end_with_or_without_a_carriage_return() {
        let lines = lines_of(&[b"{}\r\n", b"a", b"b\nc\r", b"\n\nrest"]);
        assert_eq!(lines, [&b"{}"[..], b"ab", b"c", b""]);
    }

    #[test]
    fn a_line_of_256_mib_never_takes_more_than_the_limit() {
        let chunk = vec![b'x'; 64 * 1024];
        let mut buffer = LineBuffer::default();
        let mut taken_bytes = 0;
        let error = (0..4096).find_map(|_| {
            let outcome = buffer.take_line(&mut &chunk[..]).err();
            taken_bytes += chunk.len();
            assert!(
                buffer.line.capacity() <= QMP_LINE_BYTES_MAX,
                "{}",
                buffer.line.capacity()
            );
            outcome
        });
        assert_eq!(
            error,
            Some(LineTooLong {
                limit_bytes: QMP_LINE_BYTES_MAX
            })
        );
        assert_eq!(taken_bytes, QMP_LINE_BYTES_MAX + chunk.len());
    }

    #[test]
    fn the_longest_line_is_taken_and_its_memory_given_back() {
        let mut buffer = LineBuffer::default();
        let mut line = vec![b'x'; QMP_LINE_BYTES_MAX];
        line.push(b'\n');
        let mut input = &line[..];
        assert_eq!(
            buffer.take_line(&mut input).unwrap().map(<[u8]>::len),
            Some(QMP_LINE_BYTES_MAX)
        );
        assert_eq!(buffer.take_line(&mut input), Ok(None));
        assert!(buffer.line.capacity() <= LINE_BYTES_KEPT);
    }

    #[test]
    fn each_kind_of_message_is_recognised() {
        assert!(matches!(parse(br#"{"QMP": {}}"#), Ok(Frame::Greeting(_))));
        assert!(matches!(parse(br#"{"event": "X\u0041"}"#), Ok(Frame::Event { name, .. }) if name == "XA"));
        assert!(matches!(
            parse(br#"{"return": null, "id": "x"}"#),
            Ok(Frame::Reply {
                id: Some(_),
                outcome: Ok(_)
            })
        ));
        assert!(matches!(
            parse(br#"{"error": {}}"#),
            Ok(Frame::Reply {
                id: None,
                outcome: Err(_)
            })
        ));
        assert!(matches!(parse(b" \t"), Err(BadFrame::Blank)));
        assert!(matches!(parse(b"{}"), Err(BadFrame::Unrecognised { .. })));
        assert!(matches!(parse(b"[]"), Err(BadFrame::Unreadable { .. })));
        assert!(matches!(parse(b"\xff\x1b"), Err(BadFrame::Unreadable { .. })));
    }

    #[test]
    fn a_time_that_the_host_could_not_tell_is_none() {
        let at = |seconds, microseconds| Timestamp { seconds, microseconds }.since_epoch_us();
        assert_eq!(at(2, 30), Some(2_000_030));
        assert_eq!(at(-1, -1), None);
        assert_eq!(at(i64::MAX, 1), None);
    }

    proptest! {
        #[test]
        fn no_line_panics(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&line);
        }

        #[test]
        fn chunks_do_not_matter(bytes in "[a\r\n]{0,60}", cuts in prop::collection::vec(0usize..60, 0..8)) {
            let bytes = bytes.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(lines_of(&chunks), lines_of(&[bytes]));
        }
    }
}
