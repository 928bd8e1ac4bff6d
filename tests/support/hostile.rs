//! What a guest says that means harm: to terminals, to the readers of a CI job's log, to XML, HTML, Markdown and JSON.
#![allow(dead_code, reason = "each test binary uses its part")]

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const ESCAPES: &[&[u8]] = &[
    b"\x1b[2J",
    b"\x1b]0;owned\x07",
    b"\x1b]52;c;cm0gLXJm\x1b\\",
    b"\x1b]8;;http://b\x07",
    b"\x1bP$q\"p\x1b\\",
    b"\x1b[?25l",
    b"\x1b[?1049h",
    b"\x1b[6n\x05",
    b"\x1b[1;1H",
    b"\x1b[31m",
    b"\x1b[0K",
    b"\x1b[",
    b"\x1b",
    b"\x1bc",
    b"\xc2\x9b2J",
    b"\x9b2J",
    b"\x08\x7f",
    b"\x07",
];

const MARKUP: &[&[u8]] = &[
    b"<script>x()</script>",
    b"</script><!--",
    b"</pre></section></main>",
    b"<![CDATA[",
    b"]]>",
    b"&lt;",
    b"&#0;",
    b"\" onload=\"x()",
    b"'",
    b"<?xml",
    b"```",
    b"`",
    b"|",
    b"</details>",
    b"# ",
    b"[a](http://b)",
    b"![",
    b"https://example.org",
    b"www.example.org",
    b"@someone",
    b"*",
    b"_",
    b"~~",
    b"- ",
    b"> ",
    b"[[ATTACHMENT|/etc/passwd]]",
    b"\\u0022}",
    b"\\",
    b"{\"t_us\":1}",
];

const COMMANDS: &[&[u8]] = &[
    b"::error::no",
    b"\n::error file=a,line=1::no",
    b" ::stop-commands::x",
    b"##[group]x",
    b"##[",
    b"\xe2\x80\x8b::add-mask::a",
    b"#\xc2\xad#[error]x",
    b"section_start:1:a\r\x1b[0K",
    b"section_end:1:a\r\x1b[0K",
    b"%0A::error::x",
    b"::warning file=,line=",
    b"bootgate-",
    b"::",
    b"]",
    b"%",
];

const BROKEN: &[&[u8]] = &[
    b"\xef\xbf\xbe",
    b"\xef\xbf\xbf",
    b"\0",
    b"\xff\xfe",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf0\x9f",
    b"\xe2\x80\xae",
    b"\xe2\x80\xa8",
    b"\xc2\x85",
    b"\xcc\x81",
    b"\xe2\x80\x8f",
    b"\xf0\x9f\x92\xa9",
    b"\xe6\xbc\xa2",
];

/// What a run takes note of.
const TELLING: &[&[u8]] = &[
    b"\r\n[    0.000000] Linux version 6.1.0",
    b"\r\nWelcome to Fake",
    b"\r\nfake login: ",
    b"\r\nSeaBIOS",
    b"{\"message\":\"<b>\",\"percent\":7}",
];

/// Which harm is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Escape sequences and control characters.
    Escapes,
    /// HTML, XML, Markdown, JSON.
    Markup,
    /// Commands of CI systems.
    Commands,
    /// Bytes that are no UTF-8, and characters that turn, hide or join.
    Broken,
}

impl Harm {
    pub(crate) const ALL: [Self; 4] = [Self::Escapes, Self::Markup, Self::Commands, Self::Broken];

    fn parts(self) -> &'static [&'static [u8]] {
        match self {
            Self::Escapes => ESCAPES,
            Self::Markup => MARKUP,
            Self::Commands => COMMANDS,
            Self::Broken => BROKEN,
        }
    }
}

/// A piece of it, or of what may stand around it.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let all: Vec<Vec<u8>> = Harm::ALL
        .iter()
        .flat_map(|harm| harm.parts())
        .map(|part| part.to_vec())
        .collect();
    prop_oneof![
        8 => prop::sample::select(all),
        2 => prop::sample::select(vec![" ", "\r", "\n", "\r\n", "\t", "x", "é", "99%", "error", ":", ","])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ]
}

/// Bytes of which a part is harm.
pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(part(), 0..24).prop_map(|parts| parts.concat())
}

/// The same as text.
pub(crate) fn text() -> impl Strategy<Value = String> {
    bytes().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The same, and now and then one of them makes a line of a megabyte.
pub(crate) fn bytes_of_any_length() -> impl Strategy<Value = Vec<u8>> {
    let long_bytes = prop_oneof![60 => Just(0), 1 => Just(LONG_BYTES)];
    (bytes(), part(), long_bytes)
        .prop_map(|(short, part, long_bytes)| [short, part.repeat(long_bytes / part.len().max(1))].concat())
}

/// The same as text.
pub(crate) fn text_of_any_length() -> impl Strategy<Value = String> {
    bytes_of_any_length().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// A line that nothing ends.
const LONG_BYTES: usize = 1024 * 1024;
/// The size of a stretch of noise, about.
const STRETCH_BYTES: usize = 1024 * 1024;

/// A megabyte of one harm: lines, and one that is half of it. The same seed gives the same bytes.
pub(crate) fn stretch(harm: Harm, seed: [u8; 32]) -> Vec<u8> {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let parts: Vec<Vec<u8>> = harm.parts().iter().map(|part| part.to_vec()).collect();
    let word = prop_oneof![
        6 => prop::sample::select(parts),
        3 => "[a-z ]{1,12}".prop_map(String::into_bytes),
        1 => prop::sample::select(TELLING).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 1..6),
    ];
    let line = prop::collection::vec(word, 1..12).prop_map(|words| words.concat());
    let mut draw = || line.new_tree(&mut runner).expect("it refuses nothing").current();
    let lines: Vec<u8> = (0..200).flat_map(|_| [draw(), b"\r\n".to_vec()].concat()).collect();
    let mut endless = draw();
    endless.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    endless.push(b'x');
    let half = STRETCH_BYTES / 2;
    [
        lines.repeat(half / lines.len() + 1),
        endless.repeat(half / endless.len() + 1),
    ]
    .concat()
}
