//! One encoder for each place that guest text may be shown in.
//!
//! All of them drop escape sequences and control characters, read invalid UTF-8 as U+FFFD, and write every other
//! character that has no glyph of its own as `\u{…}`: bidirectional controls, zero-width characters and combining marks,
//! unassigned and private ones, the line separators. So what a person sees is what the guest wrote, in its order.

use super::scan::{Piece, Scanner};

/// What stands at the start of each line of guest text in an Actions log, so that none can begin with a command.
const GUTTER: &str = "| ";

/// How much of a text is read before it is asked whether there is enough of it, in bytes.
const PART_BYTES: usize = 4096;

/// The text as lines that hold printable characters only; CR, LF, CR LF and a jump of the cursor end a line.
pub fn lines(text: impl AsRef<[u8]>) -> Vec<String> {
    first_lines(text.as_ref(), usize::MAX)
}

/// The text as one line, a line break as a space: all of it, or of a long one at least so many characters. What is shown of a
/// text without end so costs no more than what is shown.
pub(super) fn joined(text: &[u8], chars_min: usize) -> String {
    first_lines(text, chars_min).join(" ")
}

fn first_lines(text: &[u8], chars_min: usize) -> Vec<String> {
    let mut lines = Lines::default();
    let mut scanner = Scanner::default();
    for part in text.chunks(PART_BYTES) {
        scanner.feed(part, |_, piece| lines.take(piece));
        if lines.chars >= chars_min {
            break;
        }
    }
    scanner.finish(|_, piece| lines.take(piece));
    if !lines.current.is_empty() {
        lines.end();
    }
    lines.done
}

#[derive(Default)]
struct Lines {
    done: Vec<String>,
    current: String,
    /// How many characters came, or fewer.
    chars: usize,
    after_carriage_return: bool,
}

impl Lines {
    fn take(&mut self, piece: Piece<'_>) {
        let ended_by_carriage_return = std::mem::take(&mut self.after_carriage_return);
        match piece {
            Piece::Text(text) => text.chars().for_each(|c| {
                push_visible(&mut self.current, c);
                self.chars += 1;
            }),
            Piece::CarriageReturn => {
                self.end();
                self.after_carriage_return = true;
            }
            Piece::LineFeed if ended_by_carriage_return => {}
            Piece::CursorMove if self.current.is_empty() => {}
            Piece::LineFeed | Piece::CursorMove => self.end(),
        }
    }

    fn end(&mut self) {
        self.done.push(std::mem::take(&mut self.current));
    }
}

/// Writes a character so that it can be seen and can't act.
fn push_visible(line: &mut String, c: char) {
    match c {
        '\t' => line.push(' '),
        ' '..='~' => line.push(c),
        _ => line.extend(c.escape_debug()),
    }
}

/// One line for a terminal, at most `chars_max` characters long; what is cut off shows as `…`, a line break as a space. A
/// terminal's lines end up in the log of a CI job as well, so its commands are broken here as they are by [`actions_log`].
pub fn terminal_line(text: impl AsRef<[u8]>, chars_max: usize) -> String {
    let line = joined(text.as_ref(), chars_max.saturating_add(COMMAND_CHARS));
    shortened(unobeyed(&line), chars_max)
}

/// A name for a terminal, such as a file's, at most `chars_max` characters long. Unlike in [`terminal_line`] nothing is left
/// out, so that two names that differ look different: what is no printable character is written as Rust writes it in a
/// string, a byte that is not UTF-8 as `\xff`, and a backslash twice.
pub fn terminal_name(name: impl AsRef<[u8]>, chars_max: usize) -> String {
    use std::fmt::Write as _;
    let mut shown = String::new();
    for chunk in name.as_ref().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\'' => shown.push(c),
                _ => shown.extend(c.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shortened(unobeyed(&shown), chars_max)
}

/// The length of the longest beginning of a command: whether it is one is seen no further behind it.
const COMMAND_CHARS: usize = 3;

/// What the runner would obey, broken: `##[` anywhere in a line, and `::` at its start, to which whoever prints it may add
/// nothing but space.
fn unobeyed(line: &str) -> String {
    let broken = line.replace("##[", "##\\[");
    let start = broken.trim_start();
    if start.starts_with("::") {
        let space = broken.len() - start.len();
        return format!("{}\\{start}", &broken[..space]);
    }
    broken
}

pub(super) fn shortened(mut line: String, chars_max: usize) -> String {
    if line.chars().count() > chars_max {
        let keep = chars_max.saturating_sub(1);
        let end = line.char_indices().nth(keep).map_or(line.len(), |(at, _)| at);
        line.truncate(end);
        line.push('…');
    }
    line
}

/// Lines for the log of a GitHub Actions job, each behind a gutter and ended by a line feed, at most `chars_max` characters
/// long without the gutter.
///
/// The runner obeys `::command::` at the start of a line, leading space trimmed, and `##[command]` anywhere in it
/// (actions/runner:src/Runner.Common/ActionCommand.cs). The gutter takes the first away; the second is broken by a
/// backslash.
pub fn actions_log(text: impl AsRef<[u8]>, chars_max: usize) -> String {
    let mut log = String::new();
    for line in lines(text) {
        log.push_str(GUTTER);
        log.push_str(&shortened(unobeyed(&line), chars_max));
        log.push('\n');
    }
    log
}

/// Text whose characters XML 1.0 allows, lines ended by line feeds. Markup (`<`, `&`, `]]>`) is left to the XML writer.
pub fn xml_text(text: impl AsRef<[u8]>) -> String {
    lines(text).join("\n")
}

/// A Markdown code block whose fence is longer than any run of backticks inside.
pub fn markdown_fence(text: impl AsRef<[u8]>) -> String {
    let body = xml_text(text);
    let longest = body.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(3.max(longest + 1));
    format!("{fence}text\n{body}\n{fence}\n")
}

/// Text for a JSON string, exact but for invalid UTF-8: each maximal invalid part reads as U+FFFD. The JSON writer escapes
/// control characters up to U+001F; who shows the value to a person has to sanitise it for that place.
pub fn json_text(text: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(text.as_ref()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The runner's two command parsers, without their check that the command is known: they find more than it would.
    fn runner_obeys(line: &str) -> bool {
        line.trim_start().starts_with("::") || line.contains("##[")
    }

    /// A terminal that counts what is not printing.
    #[derive(Default)]
    struct Terminal {
        printed: usize,
        acted: usize,
    }

    impl vte::Perform for Terminal {
        fn print(&mut self, _: char) {
            self.printed += 1;
        }
        fn execute(&mut self, _: u8) {
            self.acted += 1;
        }
        fn hook(&mut self, _: &vte::Params, _: &[u8], _: bool, _: char) {
            self.acted += 1;
        }
        fn put(&mut self, _: u8) {
            self.acted += 1;
        }
        fn osc_dispatch(&mut self, _: &[&[u8]], _: bool) {
            self.acted += 1;
        }
        fn csi_dispatch(&mut self, _: &vte::Params, _: &[u8], _: bool, _: char) {
            self.acted += 1;
        }
        fn esc_dispatch(&mut self, _: &[u8], _: bool, _: u8) {
            self.acted += 1;
        }
    }

    /// The `Char` production of XML 1.0, section 2.2.
    fn is_xml_char(c: char) -> bool {
        matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
    }

    /// Characters that turn, hide or split text.
    const INVISIBLE: [std::ops::RangeInclusive<char>; 7] = [
        '\u{ad}'..='\u{ad}',
        '\u{61c}'..='\u{61c}',
        '\u{200b}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{feff}'..='\u{feff}',
        '\u{e0000}'..='\u{e007f}',
    ];

    /// Bytes of which hostile text is made, close together.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            prop::sample::select(vec![
                "\x1b",
                "[31m",
                "]0;",
                "\x07",
                "\r",
                "\n",
                "::",
                "##[",
                "#",
                "[",
                "]",
                "error",
                "`",
                "```",
                " ",
                "\t",
                "\x0b",
                "\x0c",
                "\u{85}",
                "\u{2028}",
                "\u{202e}",
                "\u{200b}",
                "\u{feff}",
                "\u{fffe}",
                "\u{ffff}",
                "\u{9b}",
                "\u{a0}",
                "\u{301}",
                "\u{e0041}",
                "\u{ad}",
                "<![CDATA[",
                "]]>",
                "&",
                "%0A",
                "\x08",
                "\0",
                "\x7f",
            ])
            .prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..4),
        ];
        prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat())
    }

    #[test]
    fn what_has_no_glyph_is_shown_by_its_number() {
        for (raw, seen) in [
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\u{200b}\u{feff}b", "a\\u{200b}\\u{feff}b"),
            ("e\u{301}", "e\\u{301}"),
            ("\u{fffe}\u{ffff}\u{378}", "\\u{fffe}\\u{ffff}\\u{378}"),
            ("tab\there\r\nnext", "tab here next"),
            ("naïve ✓ 漢字", "naïve ✓ 漢字"),
            ("it's \"a\\b\"", "it's \"a\\b\""),
            ("\x1b[2J\x1b[1;1Hone\x1b[2;1Htwo", "one two"),
            ("\x1b]0;owned\x07\x1b[31mred\x1b[0m", "red"),
            (" ::error::x ::y", " \\::error::x ::y"),
        ] {
            assert_eq!(terminal_line(raw, 100), seen);
        }
        assert_eq!(terminal_line("12345", 4), "123…");
        assert_eq!(terminal_line("1234", 4), "1234");
    }

    #[test]
    fn no_more_is_read_than_is_shown() {
        assert_eq!(joined(&[b'x'; 3 * PART_BYTES], 1).len(), PART_BYTES);
    }

    #[test]
    fn names_that_differ_look_different() {
        for (raw, seen) in [
            (b"fstab".as_slice(), "fstab"),
            (b"\x1b]0;owned\x07name", "\\u{1b}]0;owned\\u{7}name"),
            (b"a\nb\\nc", "a\\nb\\\\nc"),
            (b"\xff\xc3\xa9'\"", "\\xffé'\""),
            ("a\u{202e}e\u{301}".as_bytes(), "a\\u{202e}e\\u{301}"),
            (b"##[error]", "##\\[error]"),
        ] {
            assert_eq!(terminal_name(raw, 100), seen);
        }
        assert_eq!(terminal_name("12345", 4), "123…");
    }

    #[test]
    fn commands_in_an_actions_log_are_broken() {
        let raw = "::error::x\r  ::add-mask::y\nz ##[group]###[error]w\r\n\r\nend";
        let log = "| \\::error::x\n|   \\::add-mask::y\n| z ##\\[group]###\\[error]w\n| \n| end\n";
        assert_eq!(actions_log(raw, 100), log);
    }

    #[test]
    fn a_fence_is_longer_than_what_it_holds() {
        assert_eq!(markdown_fence("a````b"), "`````text\na````b\n`````\n");
        assert_eq!(markdown_fence(""), "```text\n\n```\n");
    }

    proptest! {
        #[test]
        fn the_runner_finds_no_command(raw in hostile(), chars_max in 0usize..40) {
            for line in actions_log(&raw, chars_max).split(['\r', '\n', '\u{85}', '\u{2028}', '\u{2029}']) {
                prop_assert!(!runner_obeys(line), "{line:?}");
            }
        }

        #[test]
        fn a_terminal_only_prints(raw in hostile()) {
            let line = terminal_line(&raw, usize::MAX);
            let mut terminal = Terminal::default();
            vte::Parser::new().advance(&mut terminal, line.as_bytes());
            prop_assert_eq!((terminal.printed, terminal.acted), (line.chars().count(), 0));
            let acts = |c: char| c.is_control() || INVISIBLE.iter().any(|range| range.contains(&c));
            prop_assert!(!line.chars().any(acts), "{}", line);
        }

        #[test]
        fn a_name_only_prints(raw in hostile()) {
            let name = terminal_name(&raw, usize::MAX);
            let mut terminal = Terminal::default();
            vte::Parser::new().advance(&mut terminal, name.as_bytes());
            prop_assert_eq!((terminal.printed, terminal.acted), (name.chars().count(), 0));
            let in_a_line = format!("| {name}");
            prop_assert!(!runner_obeys(&in_a_line), "{}", in_a_line);
        }

        #[test]
        fn a_terminal_line_is_bounded(raw in hostile(), chars_max in 1usize..20) {
            prop_assert!(terminal_line(&raw, chars_max).chars().count() <= chars_max);
        }

        #[test]
        fn what_is_not_shown_makes_no_difference(raw in hostile(), lead in 0_usize..40, times in 1_usize..9, cut in 0_usize..40) {
            // The end of a part, and what is around it, is what is cut off.
            let raw = [vec![b'x'; PART_BYTES * times - lead], raw].concat();
            let chars_max = PART_BYTES * times - cut;
            let whole = lines(&raw);
            prop_assert!(whole[0].len() >= PART_BYTES * times - lead);
            prop_assert_eq!(terminal_line(&raw, chars_max), shortened(unobeyed(&whole.join(" ")), chars_max));
        }

        #[test]
        fn xml_holds_allowed_characters_only(raw in hostile()) {
            prop_assert!(xml_text(&raw).chars().all(is_xml_char));
        }

        #[test]
        fn only_its_own_fence_ends_a_code_block(raw in hostile()) {
            let block = markdown_fence(&raw);
            let fence: String = block.chars().take_while(|c| *c == '`').collect();
            prop_assert_eq!(block.matches(&fence).count(), 2);
            let end = format!("\n{fence}\n");
            prop_assert!(block.ends_with(&end));
        }

        #[test]
        fn json_reads_back(raw in hostile()) {
            let json = serde_json::to_string(&json_text(&raw)).unwrap();
            let back: String = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(back, String::from_utf8_lossy(&raw));
        }
    }
}
