//! A log on the page: what draws is kept in colour, what does anything else is not.

use std::ops::Range;

use vte::{Params, Parser, Perform};

use crate::units::MIB;

/// The most bytes of one log that a page holds. Of a longer one it holds the end.
pub const PAGE_LOG_BYTES_MAX: u64 = 12 * MIB;
/// The most lines of one log that a page holds, the last ones: a browser can't scroll through many more (Firefox ends a
/// box at 17.8 million pixels).
const LINES_MAX: usize = 800_000;
/// The most bytes of a line. What is longer goes on in the next: a browser lays a line out whole.
const LINE_BYTES_MAX: usize = 2000;

/// A log of a run, as it was read.
#[derive(Debug, Clone)]
pub struct PageLog {
    /// The file's name in the run, such as `serial.log`.
    pub name: String,
    /// What it is, for a heading.
    pub title: String,
    /// Its bytes, or the last of them.
    pub bytes: Vec<u8>,
    /// Where in the stream `bytes` begins.
    pub offset_bytes: u64,
    /// The files that the run keeps the stream in, in order, if they are several.
    pub files: Vec<PageLogFile>,
    /// True if few will read it: it is folded away.
    pub is_minor: bool,
}

/// A file that a part of a log's stream is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageLogFile {
    /// Its name in the run, such as `serial.log.from-67108864`.
    pub name: String,
    /// What of the stream it holds, as offsets.
    pub bytes: Range<u64>,
}

/// The text of a log: printable characters, line feeds, and colours as `ESC [ … m`.
#[derive(Debug, Default)]
pub(super) struct LogText {
    pub(super) text: String,
    /// Where in the file each line begins.
    starts: Vec<u64>,
    /// Where in the file the first one begins.
    pub(super) offset_bytes: u64,
    line: Line,
}

/// The line that is being read.
#[derive(Debug, Default)]
struct Line {
    text: String,
}

impl LogText {
    /// Reads a log.
    pub(super) fn new(log: &PageLog) -> Self {
        let left_out = last_lines(&log.bytes);
        let mut at = log.offset_bytes + left_out as u64;
        let mut read = Self {
            offset_bytes: at,
            ..Self::default()
        };
        let mut is_after_return = false;
        for piece in log.bytes[left_out..].split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, end) = match piece.split_last() {
                Some((end @ (b'\n' | b'\r'), text)) => (text, Some(*end)),
                _ => (piece, None),
            };
            // The line feed behind a carriage return ends nothing that has not ended.
            if !(is_after_return && end == Some(b'\n') && text.is_empty()) {
                read.add(text, at);
            }
            at += piece.len() as u64;
            is_after_return = end == Some(b'\r');
        }
        read
    }

    /// Adds a line, as several if it is long.
    fn add(&mut self, text: &[u8], mut at: u64) {
        // A sequence that a guest never ends takes no more than its line.
        let mut parser = Parser::new();
        let mut rest = text;
        loop {
            let (part, more) = rest.split_at(rest.len().min(LINE_BYTES_MAX));
            self.starts.push(at);
            parser.advance(&mut self.line, part);
            self.text.push_str(&self.line.text);
            self.text.push('\n');
            self.line.text.clear();
            at += part.len() as u64;
            rest = more;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// The number of the line that holds a byte of the file, from 1 on, if it is on the page.
    pub(super) fn line_of(&self, offset_bytes: u64) -> Option<usize> {
        let number = self.starts.partition_point(|start| *start <= offset_bytes);
        (number > 0).then_some(number)
    }

    /// How many lines there are.
    pub(super) fn lines(&self) -> usize {
        self.starts.len()
    }
}

/// How many bytes stand before the last [`LINES_MAX`] lines, however long each is.
fn last_lines(bytes: &[u8]) -> usize {
    let (mut lines, mut length) = (0, 0);
    for (at, byte) in bytes.iter().enumerate().rev() {
        length += 1;
        let is_end = matches!(byte, b'\n' | b'\r');
        if is_end || length == LINE_BYTES_MAX {
            lines += 1;
            length = 0;
        }
        if lines >= LINES_MAX {
            return at + 1;
        }
    }
    0
}

impl Perform for Line {
    fn print(&mut self, c: char) {
        match c {
            ' '..='~' => self.text.push(c),
            _ => self.text.extend(c.escape_debug()),
        }
    }

    fn execute(&mut self, byte: u8) {
        if byte == b'\t' {
            self.text.push(' ');
        }
    }

    fn csi_dispatch(&mut self, params: &Params, between: &[u8], _ignored: bool, action: char) {
        if action != 'm' || !between.is_empty() {
            return;
        }
        let numbers: Vec<String> = params.iter().flatten().map(u16::to_string).collect();
        self.text.push_str("\u{1b}[");
        self.text.push_str(&numbers.join(";"));
        self.text.push('m');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8], offset_bytes: u64) -> LogText {
        LogText::new(&PageLog {
            name: "serial.log".to_owned(),
            title: "console".to_owned(),
            bytes: bytes.to_vec(),
            offset_bytes,
            files: Vec::new(),
            is_minor: false,
        })
    }

    #[test]
    fn of_too_many_lines_the_last_are_kept() {
        let noise = [b"\n".repeat(LINES_MAX + 7), b"the end".to_vec()].concat();
        let log = read(&noise, 3);
        assert!(
            log.lines() <= LINES_MAX && log.text.ends_with("\nthe end\n"),
            "{}",
            log.lines()
        );
        assert_eq!(log.line_of(3), None);
        assert_eq!(log.line_of(3 + noise.len() as u64 - 1), Some(log.lines()));
    }

    #[test]
    fn a_line_without_end_is_cut_into_lines() {
        let noise = vec![b'x'; 3 * LINE_BYTES_MAX + 1];
        let log = read(&noise, 10);
        assert_eq!(log.lines(), 4);
        assert!(log.text.lines().all(|line| line.len() <= LINE_BYTES_MAX));
        assert_eq!(log.line_of(10 + LINE_BYTES_MAX as u64), Some(2));
    }

    #[test]
    fn colours_stay_and_nothing_else_acts() {
        let log = read(
            b"\x1b[1;32mOK\x1b[0m\x1b[2J\x1b]0;x\x07 \xff\x00\tend\r\nnext\rover\n",
            0,
        );
        assert_eq!(log.text, "\u{1b}[1;32mOK\u{1b}[0m \u{fffd} end\nnext\nover\n");
    }

    #[test]
    fn a_byte_is_found_on_its_line() {
        let log = read(b"one\r\ntwo\n\nfour", 100);
        assert_eq!(log.text.lines().count(), log.lines());
        let lines = [99, 100, 104, 105, 109, 110, 9999].map(|offset| log.line_of(offset));
        assert_eq!(lines, [None, Some(1), Some(1), Some(2), Some(3), Some(4), Some(4)]);
    }

    proptest! {
        #[test]
        fn each_line_has_its_start(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r'), Just(0x1b), Just(b'[')], 0..300)) {
            let log = read(&bytes, 0);
            prop_assert_eq!(log.text.matches('\n').count(), log.lines());
            let acts = |c: char| c.is_control() && c != '\n' && c != '\u{1b}';
            prop_assert!(!log.text.contains(acts));
            let plain = log.text.split('\u{1b}').skip(1).all(|part| {
                let sequence = part.strip_prefix('[').and_then(|part| part.split_once('m'));
                sequence.is_some_and(|(numbers, _)| numbers.bytes().all(|byte| byte == b';' || byte.is_ascii_digit()))
            });
            prop_assert!(plain);
            prop_assert!(log.starts.is_sorted());
        }
    }
}
