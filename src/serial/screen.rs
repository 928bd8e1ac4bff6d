//! The last screen of the serial console, as a terminal would show it. Pure.
//!
//! Drawn by an interpreter of our own on the crate `vte`: firmware draws its frames in code page 437 and for more rows than
//! 25 (UEFI's console), and what the guest sends must not be able to stop the drawing, which it could with crate `vt100`
//! 0.18 (`unwrap` at wide characters).

mod codepage;
mod grid;
mod terminal;

use crate::text::terminal_line;
use terminal::Terminal;

/// Bytes of the console's end that are drawn; a longer input is cut at its front. A full-screen program draws its whole
/// screen in some 10 KiB.
pub const DRAWN_BYTES_MAX: usize = 64 * 1024;
/// Columns of a screen, at most.
pub const COLUMNS_MAX: usize = 132;
/// Rows of a screen, at most.
pub const ROWS_MAX: usize = 60;

/// Sizes that UEFI's console on a serial line has (EDK II, TerminalDxe). The first is that of everything else as well.
const CONSOLE_SIZES: [Size; 3] = [size(80, 25), size(100, 31), size(80, 50)];

/// Characters of a line for each of its columns, at most: what has no glyph of its own stands as `\u{…}`.
const CHARS_PER_COLUMN_MAX: usize = 10;

/// A screen's size in character cells. What is outside of 1 to [`COLUMNS_MAX`] and [`ROWS_MAX`] is drawn as the nearest
/// that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Width in character cells.
    pub columns: usize,
    /// Height in character cells.
    pub rows: usize,
}

const fn size(columns: usize, rows: usize) -> Size {
    Size { columns, rows }
}

/// A screen of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen {
    /// Its rows from the top, without blanks at their ends. They hold printable characters only and can be shown anywhere
    /// that takes a terminal line.
    pub lines: Vec<String>,
    /// Where the cursor is, from 0.
    pub cursor_row: usize,
    /// Where the cursor is, from 0.
    pub cursor_column: usize,
}

impl Screen {
    /// The rows as one text, without empty rows at the end, each row ended by a line feed.
    pub fn text(&self) -> String {
        let used = self.lines.iter().rposition(|line| !line.is_empty());
        let used = used.map_or(0, |last| last + 1);
        self.lines[..used]
            .iter()
            .fold(String::new(), |text, line| text + line + "\n")
    }
}

/// Draws the end of a console's raw bytes on a screen of the size that they were made for, as far as they show it.
pub fn render(tail: &[u8]) -> Screen {
    let rows = draw(tail, CONSOLE_SIZES[0]).rows_addressed();
    let fits = CONSOLE_SIZES.iter().find(|size| size.rows >= rows);
    // More rows than any console has are how a shell asks for the terminal's size.
    render_on(tail, *fits.unwrap_or(&CONSOLE_SIZES[0]))
}

/// Draws the end of a console's raw bytes on a screen of a given size. Where they begin in the middle of something, the
/// first row may show a part of it.
pub fn render_on(tail: &[u8], size: Size) -> Screen {
    let terminal = draw(tail, size);
    let (cursor_row, cursor_column) = terminal.cursor();
    let chars_max = size.columns.clamp(1, COLUMNS_MAX) * CHARS_PER_COLUMN_MAX;
    Screen {
        lines: terminal.rows().map(|row| terminal_line(row, chars_max)).collect(),
        cursor_row,
        cursor_column,
    }
}

fn draw(tail: &[u8], size: Size) -> Terminal {
    let mut terminal = Terminal::new(size.columns.clamp(1, COLUMNS_MAX), size.rows.clamp(1, ROWS_MAX));
    let end = &tail[tail.len().saturating_sub(DRAWN_BYTES_MAX)..];
    vte::Parser::new().advance(&mut terminal, codepage::decode(end).as_bytes());
    terminal
}

#[cfg(test)]
mod tests;
