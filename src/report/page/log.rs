//! A log on the page: what draws is kept in colour, what does anything else is not.

use vte::{Params, Parser, Perform};

use crate::units::MIB;

/// The most bytes of one log that a page holds. Of a longer one it holds the end.
pub const PAGE_LOG_BYTES_MAX: u64 = 12 * MIB;
/// The most lines of one log that a page holds: a browser can't scroll through many more.
const LINES_MAX: usize = 1_000_000;

/// A log of a run, as it was read.
#[derive(Debug, Clone)]
pub struct PageLog {
    /// The file's name in the run, such as `serial.log`.
    pub name: String,
    /// What it is, for a heading.
    pub title: String,
    /// Its bytes, or the last of them.
    pub bytes: Vec<u8>,
    /// Where in the file `bytes` begins.
    pub offset_bytes: u64,
}

/// The text of a log: printable characters, line feeds, and colours as `ESC [ … m`.
#[derive(Debug, Default)]
pub(super) struct LogText {
    pub(super) text: String,
    /// Where in the file each line begins.
    starts: Vec<u64>,
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
        let mut read = Self::default();
        let mut at = 0;
        let mut is_after_return = false;
        for piece in log.bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, end) = match piece.split_last() {
                Some((end @ (b'\n' | b'\r'), text)) => (text, Some(*end)),
                _ => (piece, None),
            };
            read.begin_line(log.offset_bytes + at as u64);
            // A sequence that a guest never ends takes no more than its line.
            Parser::new().advance(&mut read.line, text);
            at += piece.len();
            // The line feed behind a carriage return ends nothing that has not ended.
            if is_after_return && end == Some(b'\n') && text.is_empty() {
                read.starts.pop();
            } else {
                read.end_line();
            }
            is_after_return = end == Some(b'\r');
            if read.starts.len() >= LINES_MAX {
                break;
            }
        }
        read
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

    fn begin_line(&mut self, offset_bytes: u64) {
        self.starts.push(offset_bytes);
    }

    fn end_line(&mut self) {
        self.text.push_str(&self.line.text);
        self.text.push('\n');
        self.line.text.clear();
    }
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
        })
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
