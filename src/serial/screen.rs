//! The last screen of the serial console, as a terminal would show it. Pure.

use std::num::NonZeroU16;

use crate::text::terminal_line;
use crate::units::KIB;

/// Bytes of the console's end that are drawn; a longer input is cut at its front. A full-screen program draws its whole
/// screen in some 10 KiB.
pub const DRAWN_BYTES_MAX: usize = 256 * KIB as usize;
/// Columns and rows of a screen, at most.
pub const SIDE_CELLS_MAX: u16 = 512;
/// What firmware and boot loaders draw for.
pub const USUAL: Size = Size { columns: 80, rows: 25 };

/// Characters of a line for each of its columns, at most: what has no glyph of its own stands as `\u{…}`.
const CHARS_PER_COLUMN_MAX: usize = 10;

/// A screen's size in character cells. What is outside of 1 to [`SIDE_CELLS_MAX`] is drawn as the nearest that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Width in character cells.
    pub columns: u16,
    /// Height in character cells.
    pub rows: u16,
}

/// A screen of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen {
    /// Its rows from the top, without blanks at their ends. They hold printable characters only and can be shown anywhere
    /// that takes a terminal line.
    pub lines: Vec<String>,
    /// Where the cursor is: row and column, from 0.
    pub cursor: (u16, u16),
    /// True if a full-screen program switched to the terminal's other screen and has not switched back.
    pub alternate: bool,
}

impl Screen {
    /// The rows as one text, without empty rows at the end, each row ended by a line feed.
    pub fn text(&self) -> String {
        let used = self.lines.iter().rposition(|line| !line.is_empty());
        let used = used.map_or(0, |last| last + 1);
        self.lines[..used].iter().fold(String::new(), |text, line| text + line + "\n")
    }
}

/// Draws the end of a console's raw bytes. Where the bytes begin in the middle of something, the first row may show a part
/// of it.
pub fn render(tail: &[u8], size: Size) -> Screen {
    let cells = |side: u16| NonZeroU16::new(side.min(SIDE_CELLS_MAX)).unwrap_or(NonZeroU16::MIN);
    let (rows, columns) = (cells(size.rows), cells(size.columns));
    let mut parser = vt100::Parser::new(rows, columns, 0);
    parser.process(&tail[tail.len().saturating_sub(DRAWN_BYTES_MAX)..]);
    let screen = parser.screen();
    let chars_max = usize::from(columns.get()) * CHARS_PER_COLUMN_MAX;
    Screen {
        lines: screen
            .rows(0, columns.get())
            .map(|row| terminal_line(row.trim_end(), chars_max))
            .collect(),
        cursor: screen.cursor_position(),
        alternate: screen.alternate_screen(),
    }
}

#[cfg(test)]
mod tests;
