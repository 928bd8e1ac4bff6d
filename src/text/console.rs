//! A guest's console for a person's terminal: what draws passes, what could do harm does not.

use std::io::Write as _;

use vte::{Params, Parser, Perform};

/// What puts a terminal back in order after a guest has drawn on it: the main screen, the whole of it to scroll, ordinary
/// keys, a visible cursor, plain characters and colours.
pub const TERMINAL_IN_ORDER: &str =
    "\x1b[?1049l\x1b[r\x1b[?1l\x1b>\x1b[?2004l\x1b[?6l\x1b[?7h\x1b[?25h\x1b[4l\x1b(B\x1b)B\x0f\x1b[m\r\n";

/// Modes that a guest may set (`CSI ? n h`): cursor keys, reversed screen, origin, wrapping, blinking and visible cursor,
/// other screen, marked pasting. Not among them: what resizes the terminal, and what makes it report mouse and focus.
const MODES: [u16; 11] = [1, 5, 6, 7, 12, 25, 47, 1047, 1048, 1049, 2004];
/// Inserting, the one mode without `?` that draws.
const INSERT_MODE: u16 = 4;

/// Passes a guest's console on to a terminal so that full-screen programs work. Known sequences pass, in their plainest
/// form; everything else is left out: strings (titles, the clipboard, links, device control and whatever a terminal keeps
/// behind them), whatever makes the terminal answer (ENQ, attributes, status, settings, titles), resizing, mouse reports,
/// erasing what was scrolled away, full resets, and changes of the character encoding.
///
/// It keeps a few bytes of state, so how the stream is cut makes no difference.
#[derive(Default)]
pub struct ConsoleFilter {
    parser: Parser,
    passed: Passed,
    /// The beginning of a character that the last part ended in.
    held: Vec<u8>,
}

impl ConsoleFilter {
    /// Takes a part of the stream; returns what may go to the terminal.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let bytes = [std::mem::take(&mut self.held).as_slice(), bytes].concat();
        // Whole characters only: where one is cut in two, vte 0.15 prints control characters and loses others.
        let end = whole_characters(&bytes);
        self.held.extend_from_slice(&bytes[end..]);
        let text = String::from_utf8_lossy(&bytes[..end]);
        self.parser.advance(&mut self.passed, text.as_bytes());
        std::mem::take(&mut self.passed.0)
    }
}

/// How many of the bytes don't belong to a character whose end is still to come.
fn whole_characters(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    let is_begun = std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
    bytes.len() - if is_begun { last.len() } else { 0 }
}

#[derive(Default)]
struct Passed(Vec<u8>);

impl Passed {
    /// Written in place: a guest may draw with millions of them.
    fn sequence<'a>(&mut self, mark: &[u8], params: impl Iterator<Item = &'a [u16]>, between: &[u8], action: char) {
        self.0.extend_from_slice(b"\x1b[");
        self.0.extend_from_slice(mark);
        for (at, param) in params.enumerate() {
            self.0.extend((at > 0).then_some(b';'));
            for (at, part) in param.iter().enumerate() {
                self.0.extend((at > 0).then_some(b':'));
                // A writer into memory does not fail.
                let _ = write!(self.0, "{part}");
            }
        }
        self.0.extend_from_slice(between);
        self.0.extend_from_slice(action.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Modes that are known, if any.
    fn modes(&mut self, mark: &[u8], params: &Params, known: &[u16], action: char) {
        let modes = params.iter().filter_map(|param| param.get(..1));
        let mut known = modes.filter(|mode| known.contains(&mode[0])).peekable();
        if known.peek().is_some() {
            self.sequence(mark, known, b"", action);
        }
    }
}

impl Perform for Passed {
    fn print(&mut self, character: char) {
        if !character.is_control() {
            self.0.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn execute(&mut self, byte: u8) {
        // BEL, BS, TAB, LF, VT, FF, CR, SO, SI.
        if matches!(byte, 0x07..=0x0f) {
            self.0.push(byte);
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if ignore {
            return;
        }
        // A zero by itself is what is meant where nothing is written.
        let is_plain = params.iter().eq([&[0][..]]);
        let written = params.iter().filter(|_| !is_plain);
        match (intermediates, action) {
            // `CSI 3 J` erases what was scrolled away.
            ([], 'J') if params.iter().any(|param| param.first().is_some_and(|what| *what > 2)) => {}
            (
                [],
                '@' | 'A'..='M' | 'P' | 'S' | 'T' | 'X' | 'Z' | '`' | 'a' | 'b' | 'd'..='g' | 'm' | 'r' | 's' | 'u',
            ) => {
                self.sequence(b"", written, b"", action);
            }
            ([], 'h' | 'l') => self.modes(b"", params, &[INSERT_MODE], action),
            ([b'?'], 'h' | 'l') => self.modes(b"?", params, &MODES, action),
            // The cursor's form, and a reset of what draws.
            ([b' '], 'q') => self.sequence(b"", written, b" ", action),
            ([b'!'], 'p') => self.sequence(b"", std::iter::empty(), b"!", action),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _ignore: bool, byte: u8) {
        // Of a sequence that is to be ignored there are two of them, which no known one has.
        match (intermediates, byte) {
            ([], b'7' | b'8' | b'D' | b'E' | b'H' | b'M' | b'=' | b'>') => self.0.extend_from_slice(&[0x1b, byte]),
            // A full reset, without what it does beyond the screen.
            ([], b'c') => self.0.extend_from_slice(b"\x1b[!p\x1b[2J\x1b[H"),
            // Latin letters and line drawing.
            ([set @ (b'(' | b')')], b'0' | b'A' | b'B') => self.0.extend_from_slice(&[0x1b, *set, byte]),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filtered(raw: &[u8]) -> Vec<u8> {
        ConsoleFilter::default().push(raw)
    }

    #[test]
    fn what_draws_passes() {
        for raw in [
            "plain text\r\n\ttab \u{8}\u{7} naïve 漢字 ─┐\x0e\x0f",
            "\x1b[1;31;48;5;17mred\x1b[m\x1b[38:2:1:2:3mrgb",
            "\x1b[2;5H\x1b[3A\x1b[2J\x1b[K\x1b[2;20r\x1b[4L\x1b[2M\x1b[3P\x1b[4@\x1b[5X\x1b[1S\x1b[1T\x1b[4d\x1b[7G",
            "\x1b[?1049h\x1b[?25l\x1b[?1h\x1b=\x1b[?2004h\x1b[4h\x1b[4l\x1b>\x1b7\x1b8\x1bM\x1bD\x1bE",
            "\x1b(0lqqk\x1b(B\x1b)0\x1b[2 q\x1b[!p",
        ] {
            assert_eq!(String::from_utf8(filtered(raw.as_bytes())).unwrap(), raw);
        }
        assert_eq!(filtered(TERMINAL_IN_ORDER.as_bytes()), TERMINAL_IN_ORDER.as_bytes());
    }

    #[test]
    fn what_could_do_harm_does_not() {
        for raw in [
            // Title, clipboard, link, colours that are asked for, by both terminators.
            "\x1b]0;title\x07",
            "\x1b]52;c;cm0gLXJm\x1b\\",
            "\x1b]8;;http://evil\x07\x1b]8;;\x07",
            "\x1b]4;1;?\x07\x1b]11;?\x1b\\",
            // Device control, program strings and their kin.
            "\x1bP$q\"p\x1b\\",
            "\x1bP1000p\x1b\\\x1b_Gf=100\x1b\\\x1b^x\x1b\\\x1bXx\x1b\\",
            // Questions: answerback, attributes, status, modes, title and size.
            "\x05\x1b[c\x1b[>c\x1b[=c\x1b[5n\x1b[6n\x1b[?6n\x1b[?1$p\x1b[21t\x1b[14t\x1bZ\x1b[x\x1b[>q\x1b[?u",
            // Resizing, mouse, keys, scroll-back, encoding, other controls.
            "\x1b[8;1;1t\x1b[?3h\x1b[?40h\x1b[?1000h\x1b[?1003;1006h\x1b[?1004h\x1b[>4;2m\x1b[3J\x1b%@\x1b%G",
            "\0\x01\x1a\x18\x7f\u{85}\u{9b}31m\u{90}",
            "\x1b[=3h\x1b[20h\x1b[2i\x1b[5i\x1b#8\x1b(((B\x1b[1$p",
        ] {
            let passed = String::from_utf8(filtered(raw.as_bytes())).unwrap();
            assert!(passed.is_empty() || passed == "31m", "{raw:?}: {passed:?}");
        }
        assert_eq!(filtered(format!("\x1b[{}m", "1;".repeat(40)).as_bytes()), b"");
        assert_eq!(filtered(b"\x1b[?25;1000;7h"), b"\x1b[?25;7h");
        assert_eq!(filtered(b"a\x1bcb"), b"a\x1b[!p\x1b[2J\x1b[Hb");
        assert_eq!(filtered(b"a\xffb"), "a\u{fffd}b".as_bytes());
    }

    /// Pieces of sequences, close together.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            prop::sample::select(vec![
                "\x1b", "[", "]", "P", "_", "^", "X", "?", ">", "=", "!", "$", " ", "#", "%", "(", ";", ":", "0", "1",
                "3", "52", "1000", "1049", "c", "n", "t", "h", "l", "p", "q", "J", "m", "x", "\x07", "\x1b\\",
                "\u{9b}", "\u{9d}", "\u{90}", "\x18", "\x1a", "\x05", "\x7f", "é", "text", "\r\n",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..4),
        ];
        prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
    }

    /// A terminal that notes what it was made to do beyond drawing.
    #[derive(Default)]
    struct Judge(Vec<String>);

    impl Perform for Judge {
        fn execute(&mut self, byte: u8) {
            if !(0x07..=0x0f).contains(&byte) {
                self.0.push(format!("control {byte:#x}"));
            }
        }
        fn hook(&mut self, _: &Params, _: &[u8], _: bool, action: char) {
            self.0.push(format!("device control {action}"));
        }
        fn osc_dispatch(&mut self, _: &[&[u8]], _: bool) {
            self.0.push("command".to_owned());
        }
        fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _: bool, action: char) {
            let asks = matches!(action, 'c' | 'n' | 't' | 'x' | 'i' | 'y' | 'z' | 'v' | 'w' | 'R');
            let first = params.iter().next().and_then(|param| param.first().copied());
            let is_mouse =
                action == 'h' && first.is_some_and(|mode| (9..=9).contains(&mode) || (1000..=1016).contains(&mode));
            let settings = action == 'p' && intermediates != b"!" || action == 'q' && intermediates != b" ";
            let is_private = intermediates
                .iter()
                .any(|mark| matches!(mark, b'>' | b'=' | b'<' | b'$'));
            if asks || is_mouse || settings || is_private || (action == 'J' && first == Some(3)) {
                self.0.push(format!("{intermediates:?} {params:?} {action}"));
            }
        }
        fn esc_dispatch(&mut self, intermediates: &[u8], _: bool, byte: u8) {
            if matches!((intermediates, byte), ([], b'Z' | b'c') | ([b'%' | b'#'], _)) {
                self.0.push(format!("escape {byte:#x}"));
            }
        }
    }

    proptest! {
        #[test]
        fn a_terminal_only_draws(raw in hostile()) {
            let passed = filtered(&raw);
            let mut judge = Judge::default();
            Parser::new().advance(&mut judge, &passed);
            prop_assert!(judge.0.is_empty(), "{:?} of {:?}", judge.0, String::from_utf8_lossy(&passed));
            prop_assert!(std::str::from_utf8(&passed).is_ok());
            prop_assert_eq!(filtered(&passed), passed);
        }

        #[test]
        fn chunks_make_no_difference(raw in hostile(), chunk in 1usize..7) {
            let mut filter = ConsoleFilter::default();
            let parts: Vec<u8> = raw.chunks(chunk).flat_map(|part| filter.push(part)).collect();
            prop_assert_eq!(parts, filtered(&raw));
        }
    }
}
