//! Bytes of a terminal stream → printable text, with the raw offset of every piece.

use super::escape::Escape;

/// What a [`Scanner`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Printable text: a run of ASCII, or one other character. Except for U+FFFD, which stands for one to three invalid
    /// bytes, its bytes are the raw bytes.
    Text(&'a str),
    /// A carriage return. It ends a line as a line feed does: what follows would overwrite it, and both must stay
    /// readable.
    CarriageReturn,
    /// A line feed.
    LineFeed,
    /// An escape sequence that puts the cursor somewhere else, as menus and firmware do instead of a line feed: what
    /// follows does not stand behind what came before.
    CursorMove,
}

/// Takes a terminal stream apart: drops escape sequences and control characters (except TAB), and decodes UTF-8, invalid
/// parts becoming U+FFFD as in [`String::from_utf8_lossy`].
///
/// It keeps a few bytes of state, so how the stream is cut into chunks makes no difference. A CR or LF always ends an
/// escape sequence, and so does a length of [`super::ESCAPE_BYTES_MAX`]: a terminal may swallow text behind an unterminated
/// sequence, evidence may not.
#[derive(Debug, Clone, Default)]
pub struct Scanner {
    escape: Escape,
    partial: [u8; 4],
    partial_bytes: usize,
    offset: u64,
}

impl Scanner {
    /// Reads `bytes`, calling `on` with each piece and the raw offset of its first byte.
    pub fn feed(&mut self, bytes: &[u8], mut on: impl FnMut(u64, Piece<'_>)) {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            let run = self.plain_run(rest);
            if run.is_empty() {
                self.step(byte, &mut on);
                self.offset += 1;
                rest = &rest[1..];
            } else {
                on(self.offset, Piece::Text(run));
                self.offset += run.len() as u64;
                rest = &rest[run.len()..];
            }
        }
    }

    /// Ends the stream: the beginning of a character that never came becomes U+FFFD.
    pub fn finish(&mut self, mut on: impl FnMut(u64, Piece<'_>)) {
        self.flush_partial(&mut on);
    }

    /// How many raw bytes were read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The printable ASCII at the start of `bytes`, if it may be taken as a whole.
    fn plain_run<'a>(&self, bytes: &'a [u8]) -> &'a str {
        if !self.escape.is_ground() || self.partial_bytes > 0 {
            return "";
        }
        let end = bytes.iter().position(|&byte| !is_plain(byte)).unwrap_or(bytes.len());
        std::str::from_utf8(&bytes[..end]).unwrap_or_default()
    }

    fn step(&mut self, byte: u8, on: &mut impl FnMut(u64, Piece<'_>)) {
        if !is_continuation(byte) {
            self.flush_partial(on);
        }
        let moves_cursor = self.escape.moves_cursor(byte);
        if self.escape.take(byte) {
            if moves_cursor {
                on(self.offset, Piece::CursorMove);
            }
            return;
        }
        match byte {
            b'\r' => on(self.offset, Piece::CarriageReturn),
            b'\n' => on(self.offset, Piece::LineFeed),
            0x80.. => self.decode(byte, on),
            _ if is_plain(byte) => on(self.offset, Piece::Text(char::from(byte).encode_utf8(&mut [0; 4]))),
            _ => {}
        }
    }

    /// Adds a byte above ASCII to the character that is being read.
    fn decode(&mut self, byte: u8, on: &mut impl FnMut(u64, Piece<'_>)) {
        self.partial[self.partial_bytes] = byte;
        self.partial_bytes += 1;
        let read = std::str::from_utf8(&self.partial[..self.partial_bytes]);
        match read {
            Ok(text) => {
                let start = self.offset + 1 - text.len() as u64;
                if !text.chars().all(char::is_control) {
                    on(start, Piece::Text(text));
                }
                self.partial_bytes = 0;
            }
            Err(error) if error.error_len().is_none() => {}
            Err(_) if self.partial_bytes == 1 => self.partial_bytes = replace(self.offset, on),
            Err(_) => {
                // What came before `byte` is one invalid part; `byte` itself begins anew.
                self.partial_bytes -= 1;
                self.flush_partial(on);
                self.decode(byte, on);
            }
        }
    }

    fn flush_partial(&mut self, on: &mut impl FnMut(u64, Piece<'_>)) {
        if self.partial_bytes > 0 {
            self.partial_bytes = replace(self.offset - self.partial_bytes as u64, on);
        }
    }
}

/// Reports one invalid part; returns the number of bytes that wait: none.
fn replace(offset: u64, on: &mut impl FnMut(u64, Piece<'_>)) -> usize {
    on(offset, Piece::Text("\u{fffd}"));
    0
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~')
}

fn is_continuation(byte: u8) -> bool {
    matches!(byte, 0x80..=0xbf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text_of(bytes: &[u8]) -> String {
        let mut scanner = Scanner::default();
        let mut text = String::new();
        let mut on = |_, piece: Piece<'_>| match piece {
            Piece::Text(part) => text.push_str(part),
            Piece::CarriageReturn => text.push('\r'),
            Piece::LineFeed => text.push('\n'),
            Piece::CursorMove => {}
        };
        scanner.feed(bytes, &mut on);
        scanner.finish(&mut on);
        text
    }

    #[test]
    fn escape_sequences_vanish() {
        for (raw, text) in [
            ("[\x1b[32m  OK  \x1b[0m] up", "[  OK  ] up"),
            ("\x1b]0;title\x07after", "after"),
            ("\x1b]0;title\x1b\\after", "after"),
            ("\x1b]Rafter\x1b]P0112233after", "afterafter"),
            ("\x1bPq#0;2;0;0;0\x1b\\after", "after"),
            ("\x1b(Ba\x1b#8b\x1bcc", "abc"),
            ("\x1b[?25l\x1b[2J\x1b[01;01Hx", "x"),
            ("\x1b[3\x18x\x1b[3\x1ay", "xy"),
            ("a\x08\x00\x7f\u{9b}b\tc", "ab\tc"),
            ("\x1b]0;never ended\nnext", "\nnext"),
            ("\x1b]0;new\x1b[1mseen", "seen"),
            ("\x1b[1\u{e9}", "\u{e9}"),
        ] {
            assert_eq!(text_of(raw.as_bytes()), text, "{raw:?}");
        }
    }

    #[test]
    fn an_endless_escape_sequence_swallows_a_bounded_length_only() {
        let raw = [b"\x1b]0;".as_slice(), &vec![b'x'; 10_000], b"marker"].concat();
        assert!(text_of(&raw).ends_with("marker"));
    }

    /// What vte's parser, a terminal's, prints and executes.
    #[derive(Default)]
    struct Terminal(String);

    impl vte::Perform for Terminal {
        fn print(&mut self, c: char) {
            self.0.push(c);
        }
        fn execute(&mut self, byte: u8) {
            if matches!(byte, b'\t' | b'\r' | b'\n') {
                self.0.push(char::from(byte));
            }
        }
    }

    proptest! {
        #[test]
        fn invalid_utf8_reads_as_the_standard_library_reads_it(bytes in prop::collection::vec(0x80u8.., 0..40)) {
            let expected: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).collect();
            prop_assert_eq!(text_of(&bytes), expected);
        }

        #[test]
        fn complete_sequences_read_as_a_terminal_reads_them(
            parts in prop::collection::vec(
                prop_oneof!["[ -~]{0,8}", "\x1b\\[[0-9;?]{0,6}[@-~]", "\x1b[()#][0-9A-B]", "\x1b\\][0-9];[ -~]{0,9}\x07",
                    Just("é✓".to_owned()), Just("\r\n\t".to_owned())], 0..12)
        ) {
            let raw = parts.concat();
            let mut terminal = Terminal::default();
            vte::Parser::new().advance(&mut terminal, raw.as_bytes());
            prop_assert_eq!(text_of(raw.as_bytes()), terminal.0);
        }

        #[test]
        fn chunks_make_no_difference(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
            let cut = cut.min(bytes.len());
            let mut pieces = [Vec::new(), Vec::new()];
            for (pieces, chunks) in pieces.iter_mut().zip([vec![&bytes[..]], vec![&bytes[..cut], &bytes[cut..]]]) {
                let mut scanner = Scanner::default();
                for chunk in chunks {
                    scanner.feed(chunk, |offset, piece| {
                        if let Piece::Text(text) = piece {
                            pieces.extend(text.char_indices().map(|(at, c)| (offset + at as u64, c)));
                        }
                    });
                }
            }
            prop_assert_eq!(&pieces[0], &pieces[1]);
        }
    }
}
