//! What an emulated terminal shows of it.

use std::num::NonZeroU16;

use vt100::{Parser, Screen};

use crate::Paint;
use crate::script::{Frame, frames};

const ROWS: u16 = 24;
/// A window that nothing leaves.
const HIGH: u16 = 60;
/// Where the window becomes narrow: within the installation.
const NARROW_AT: usize = 160;
/// How many lines stand above the view by then.
pub(crate) const LINES_BEFORE: usize = 4;

/// What a terminal was told while the run went on.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) bytes: usize,
    pub(crate) glyphs: usize,
    pub(crate) flickering: usize,
    /// The cursor was hidden at some time.
    pub(crate) hidden: bool,
    /// Where the cursor stood after the last change: there goes on what comes after a `kill -9`.
    pub(crate) column: u16,
}

fn terminal(columns: u16, rows: u16) -> Parser {
    let size = |count| NonZeroU16::new(count).unwrap();
    Parser::new(size(rows), size(columns), 0)
}

fn is_blank(screen: &Screen, (row, column): (u16, u16)) -> bool {
    screen
        .cell(row, column)
        .is_none_or(|cell| cell.contents().trim().is_empty())
}

/// The cells of two screens that show the same, and something.
fn same(one: &Screen, other: &Screen, columns: u16) -> Vec<(u16, u16)> {
    let cells = (0..ROWS).flat_map(|row| (0..columns).map(move |column| (row, column)));
    let is_same = |(row, column): &(u16, u16)| {
        let text = |screen: &Screen| screen.cell(*row, *column).map(|cell| cell.contents().to_owned());
        !is_blank(one, (*row, *column)) && text(one) == text(other)
    };
    cells.filter(is_same).collect()
}

/// Shows the run to a terminal.
pub(crate) fn watch(painter: &mut dyn Paint, frames: Vec<Frame>) -> Seen {
    let columns = u16::try_from(frames[0].look.columns).unwrap();
    let (mut screen, mut seen) = (terminal(columns, ROWS), Seen::default());
    for frame in frames {
        let text = painter.paint(&frame.above, frame.block, &frame.look);
        seen.bytes += text.len();
        let text = text.replace('\n', "\r\n");
        let mut after = terminal(columns, ROWS);
        after.process(screen.screen().state_formatted().as_bytes());
        after.process(text.as_bytes());
        let mut stays = same(screen.screen(), after.screen(), columns);
        let count = stays.len();
        for piece in pieces(&text) {
            if !piece.starts_with('\x1b') {
                seen.glyphs += piece.chars().filter(|c| !c.is_control()).count();
            }
            screen.process(piece.as_bytes());
            seen.hidden |= screen.screen().hide_cursor();
            stays.retain(|cell| !is_blank(screen.screen(), *cell));
        }
        seen.flickering += count - stays.len();
    }
    seen.column = screen.screen().cursor_position().1;
    seen
}

/// The text in sequences that act and runs that show.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = if first == '\x1b' {
            rest[2..].find(|c: char| c.is_ascii_alphabetic()).map(|at| at + 3)
        } else {
            let from = first.len_utf8();
            rest[from..].find(['\x1b', '\r', '\n']).map(|at| at + from)
        };
        let (piece, more) = rest.split_at(end.unwrap_or(rest.len()));
        pieces.push(piece);
        rest = more;
    }
    pieces
}

/// The same screen in a window of another width, as terminals show it that break and join lines.
fn reflowed(old: &Screen, columns: u16) -> Parser {
    let mut new = terminal(columns, HIGH);
    let (last, column) = old.cursor_position();
    for (row, shown) in (0..=last).zip(old.rows(0, old.size().1.get())) {
        let text = match (row == last, old.row_wrapped(row)) {
            (true, _) => shown
                .chars()
                .chain(std::iter::repeat(' '))
                .take(column.into())
                .collect(),
            (false, true) => shown,
            (false, false) => format!("{}\r\n", shown.trim_end()),
        };
        new.process(text.as_bytes());
    }
    new
}

/// How many of the lines above are still what they were after the window has become narrow, and how many rows more than
/// those and the view are there.
pub(crate) fn narrowed(painter: &mut dyn Paint, from: u16, to: u16) -> (usize, usize) {
    let mut screen = terminal(from, HIGH);
    let (wide, narrow) = (frames(from.into()), frames(to.into()));
    let mut lines = Vec::new();
    for frame in wide.into_iter().take(NARROW_AT) {
        lines.extend(frame.above.lines().map(|line| line.trim_end().to_owned()));
        screen.process(written(painter, frame).as_bytes());
    }
    assert_eq!(lines.len(), LINES_BEFORE);
    let mut screen = reflowed(screen.screen(), to);
    let frame = narrow.into_iter().nth(NARROW_AT).unwrap();
    let height = frame.block.len();
    screen.process(written(painter, frame).as_bytes());
    let shown: Vec<_> = screen
        .screen()
        .rows(0, to)
        .map(|row| row.trim_end().to_owned())
        .collect();
    let kept = lines.iter().filter(|line| shown.contains(line)).count();
    let rows = shown.iter().filter(|row| !row.is_empty()).count();
    (kept, rows.saturating_sub(kept + height))
}

fn written(painter: &mut dyn Paint, frame: Frame) -> String {
    painter
        .paint(&frame.above, frame.block, &frame.look)
        .replace('\n', "\r\n")
}
