//! Bytes of the console → bounded lines of text, with the raw offset of everything in them.

use crate::text::{Piece, Scanner};

/// Length of a line in bytes, raw as well as text, at which it is cut.
pub const SERIAL_LINE_BYTES_MAX: usize = 64 * 1024;
/// Raw bytes of a cut line that its next piece repeats, so that a match across the cut is seen. A match may be this long.
pub const SERIAL_CONTEXT_BYTES: usize = 4 * 1024;
/// Places in one line where the distance from text to raw offset may change before the line is cut.
const JUMPS_MAX: usize = 8 * 1024;

/// A line, or a piece of one that was cut.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Its printable text, without escape sequences and control characters other than TAB. Never empty.
    pub text: &'a str,
    /// Offset in the raw stream of its first byte.
    pub start: u64,
    /// Offset in the raw stream of the byte that ended it: CR, LF, or the last one of an escape sequence that moved the cursor;
    /// or where the line was cut, or the stream's end so far.
    pub end: u64,
    /// How many bytes of `text` the piece before this one showed already. 0 but behind a cut.
    pub context_bytes: usize,
    /// True if the line was cut here because it grew too long.
    pub cut: bool,
    jumps: &'a [Jump],
}

impl Line<'_> {
    /// The raw offset of the character that begins at byte `position` of the text.
    pub fn raw_offset(&self, position: usize) -> u64 {
        self.start + raw_of(self.jumps, position) as u64
    }
}

/// From byte `text` of a line's text on, raw bytes count from `raw`, relative to the line's start.
#[derive(Debug, Clone, Copy)]
struct Jump {
    text: u32,
    raw: u32,
}

fn raw_of(jumps: &[Jump], position: usize) -> usize {
    let after = jumps.partition_point(|jump| jump.text as usize <= position);
    match after.checked_sub(1).map(|last| jumps[last]) {
        Some(jump) => jump.raw as usize + (position - jump.text as usize),
        None => position,
    }
}

/// Splits a raw stream into lines. CR and LF both end a line, and so does an escape sequence that puts the cursor somewhere
/// else; a line without text is not reported.
///
/// How the stream is cut into chunks makes no difference. Memory is bounded by [`SERIAL_LINE_BYTES_MAX`] whatever comes.
#[derive(Debug, Default)]
pub struct Splitter {
    scanner: Scanner,
    line: Pending,
}

/// The line that has not ended yet.
#[derive(Debug, Default)]
struct Pending {
    text: String,
    jumps: Vec<Jump>,
    start: u64,
    context_bytes: usize,
}

impl Splitter {
    /// Reads `bytes`, calling `on_line` with each line that they end or make too long.
    pub fn feed(&mut self, bytes: &[u8], mut on_line: impl FnMut(&Line<'_>)) {
        let line = &mut self.line;
        self.scanner
            .feed(bytes, |offset, piece| line.take(offset, piece, &mut on_line));
    }

    /// Ends the stream: the beginning of a character that never came joins the tail as U+FFFD.
    pub fn finish(&mut self, mut on_line: impl FnMut(&Line<'_>)) {
        let line = &mut self.line;
        self.scanner
            .finish(|offset, piece| line.take(offset, piece, &mut on_line));
    }

    /// The line that has not ended yet, if it has text.
    pub fn tail(&self) -> Option<Line<'_>> {
        let fresh = self.line.text.len() > self.line.context_bytes;
        fresh.then(|| self.line.view(self.scanner.offset(), false))
    }

    /// How many raw bytes were read.
    pub fn offset(&self) -> u64 {
        self.scanner.offset()
    }
}

impl Pending {
    fn take(&mut self, offset: u64, piece: Piece<'_>, on_line: &mut impl FnMut(&Line<'_>)) {
        match piece {
            Piece::Text(text) => self.push(offset, text, on_line),
            Piece::CarriageReturn | Piece::LineFeed | Piece::CursorMove => {
                if !self.text.is_empty() {
                    on_line(&self.view(offset, false));
                }
                self.restart(offset + 1);
            }
        }
    }

    /// Adds a run of ASCII, or one other character.
    fn push(&mut self, mut offset: u64, mut text: &str, on_line: &mut impl FnMut(&Line<'_>)) {
        while !text.is_empty() {
            let room = self.room(offset);
            if room == 0 {
                self.cut(offset, on_line);
                continue;
            }
            let end = if text.is_ascii() {
                room.min(text.len())
            } else {
                text.len()
            };
            self.append(offset, &text[..end]);
            offset += end as u64;
            text = &text[end..];
        }
    }

    /// How many bytes may be added at raw offset `offset` before the line has to be cut.
    fn room(&self, offset: u64) -> usize {
        if self.jumps.len() >= JUMPS_MAX {
            return 0;
        }
        let raw_bytes = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        SERIAL_LINE_BYTES_MAX.saturating_sub(raw_bytes.max(self.text.len()))
    }

    fn append(&mut self, offset: u64, text: &str) {
        let raw = offset - self.start;
        if raw != raw_of(&self.jumps, self.text.len()) as u64 {
            // Both fit: `room` was above 0, so neither exceeds `SERIAL_LINE_BYTES_MAX`.
            let position = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
            let raw = u32::try_from(raw).unwrap_or(u32::MAX);
            self.jumps.push(Jump { text: position, raw });
        }
        self.text.push_str(text);
    }

    /// Reports what there is and begins the next piece with the last of it.
    fn cut(&mut self, offset: u64, on_line: &mut impl FnMut(&Line<'_>)) {
        if self.text.is_empty() {
            return self.restart(offset);
        }
        on_line(&self.view(offset, true));
        let raw_bytes = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let (text_at, raw_at) = self.first_character_from(raw_bytes.saturating_sub(SERIAL_CONTEXT_BYTES));
        self.text.drain(..text_at);
        self.start += raw_at as u64;
        self.jumps.retain_mut(|jump| {
            let kept = jump.text as usize > text_at;
            if kept {
                jump.text -= u32::try_from(text_at).unwrap_or(0);
                jump.raw -= u32::try_from(raw_at).unwrap_or(0);
            }
            kept
        });
        self.context_bytes = self.text.len();
        if self.text.is_empty() {
            self.restart(offset);
        }
    }

    /// Position in the text and relative raw offset of the first character that begins at or behind a relative raw offset.
    fn first_character_from(&self, raw: usize) -> (usize, usize) {
        let next = self.jumps.partition_point(|jump| (jump.raw as usize) < raw);
        let before = next
            .checked_sub(1)
            .map_or(Jump { text: 0, raw: 0 }, |last| self.jumps[last]);
        let limit = self.jumps.get(next).map_or(self.text.len(), |jump| jump.text as usize);
        let mut at = (before.text as usize + raw - before.raw as usize).min(limit);
        while !self.text.is_char_boundary(at) {
            at += 1;
        }
        (at, raw_of(&self.jumps, at))
    }

    fn restart(&mut self, offset: u64) {
        self.text.clear();
        self.jumps.clear();
        self.start = offset;
        self.context_bytes = 0;
    }

    fn view(&self, end: u64, cut: bool) -> Line<'_> {
        Line {
            text: &self.text,
            start: self.start,
            end,
            context_bytes: self.context_bytes,
            cut,
            jumps: &self.jumps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Owned {
        text: String,
        start: u64,
        end: u64,
        context_bytes: usize,
        cut: bool,
        offsets: Vec<u64>,
    }

    impl From<&Line<'_>> for Owned {
        fn from(line: &Line<'_>) -> Self {
            Self {
                text: line.text.to_owned(),
                start: line.start,
                end: line.end,
                context_bytes: line.context_bytes,
                cut: line.cut,
                offsets: line.text.char_indices().map(|(at, _)| line.raw_offset(at)).collect(),
            }
        }
    }

    fn split<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for chunk in chunks {
            splitter.feed(chunk, |line| lines.push(line.into()));
        }
        splitter.finish(|line| lines.push(line.into()));
        lines.extend(splitter.tail().as_ref().map(Owned::from));
        lines
    }

    #[test]
    fn lines_know_their_raw_offsets() {
        let raw = b"\x1b[1mon\x1b[0me\r\n\n\xfftw\xe2\x9c\x93o\rthree";
        let lines = split([raw.as_slice()]);
        let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["one", "\u{fffd}tw✓o", "three"]);
        assert_eq!((lines[0].start, lines[0].end), (0, 11));
        assert_eq!(lines[0].offsets, [4, 5, 10]);
        assert_eq!(lines[1].start, 14);
        assert_eq!(lines[1].offsets, [14, 15, 16, 17, 20]);
        assert_eq!((lines[2].start, lines[2].end), (22, 27));
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_piece_repeats_its_end() {
        let raw = vec![b'x'; SERIAL_LINE_BYTES_MAX * 3];
        let lines = split([raw.as_slice()]);
        assert!(lines.iter().all(|line| line.text.len() <= SERIAL_LINE_BYTES_MAX));
        assert!(lines.iter().rev().skip(1).all(|line| line.cut));
        let fresh: usize = lines.iter().map(|line| line.text.len() - line.context_bytes).sum();
        assert_eq!(fresh, raw.len());
        assert_eq!(lines[1].context_bytes, SERIAL_CONTEXT_BYTES);
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let floods: [&[u8]; 6] = [b"x", b"\xff", b"\x1b[1mx", b"\x1b]", b"\0", b"\xe2\x9c\x93\xff"];
        for flood in floods {
            let chunk = flood.repeat(64 * 1024 / flood.len());
            let mut splitter = Splitter::default();
            for _ in 0..16 {
                splitter.feed(&chunk, |_| {});
            }
            let line = &splitter.line;
            assert!(
                line.text.capacity() <= 2 * (SERIAL_LINE_BYTES_MAX + 4),
                "{}",
                line.text.capacity()
            );
            assert!(line.jumps.capacity() <= 2 * JUMPS_MAX, "{}", line.jumps.capacity());
        }
    }

    /// Streams whose long parts cross the limits and whose short ones cross character and sequence borders.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            8 => prop::collection::vec(any::<u8>(), 0..8),
            4 => prop::sample::select(vec!["\r", "\n", "\r\n", "\x1b[31m", "✓", "é", "plain text", "\x1b]0;t\x07"])
                .prop_map(|text| text.as_bytes().to_vec()),
            1 => (prop::sample::select(vec!["x", "é✓", "\x1b[1mx", "\0"]), 1usize..40_000)
                .prop_map(|(text, count)| text.as_bytes().repeat(count)),
        ];
        prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn chunks_make_no_difference(raw in stream(), sizes in prop::collection::vec(1usize..5000, 1..8)) {
            let whole = split([raw.as_slice()]);
            prop_assert_eq!(&whole, &split(raw.chunks(1)));
            let mut rest = raw.as_slice();
            let mut chunks = Vec::new();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, after) = rest.split_at(rest.len().min(*size));
                chunks.push(chunk);
                rest = after;
            }
            prop_assert_eq!(&whole, &split(chunks));
        }

        #[test]
        fn every_character_is_where_its_offset_says(raw in stream()) {
            for line in split([raw.as_slice()]) {
                for ((_, c), offset) in line.text.char_indices().zip(&line.offsets) {
                    prop_assert!(line.start <= *offset && *offset < line.end);
                    let at = usize::try_from(*offset).unwrap();
                    let here = &raw[at..raw.len().min(at + c.len_utf8())];
                    prop_assert!(c == '\u{fffd}' || here == c.to_string().as_bytes(), "{:?} at {}", c, at);
                }
            }
        }
    }
}
