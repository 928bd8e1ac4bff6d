//! A terminal's screen that breaks its lines anew when its window gets another width, as VTE, kitty, tmux and others do.

use std::num::NonZeroU16;

/// What the terminal shows.
pub(crate) struct Screen(vt100::Parser);

impl Screen {
    pub(crate) fn new(columns: u16, rows: u16) -> Self {
        let size = |count| NonZeroU16::new(count).unwrap();
        Self(vt100::Parser::new(size(rows), size(columns), 0))
    }

    pub(crate) fn process(&mut self, written: &str) {
        self.0.process(written.as_bytes());
    }

    /// The window gets another size. Colours are lost.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        let screen = self.0.screen();
        let (last, column) = self.cursor();
        let mut text = String::new();
        for (row, shown) in (0..=last).zip(screen.rows(0, screen.size().1.get())) {
            match (row == last, screen.row_wrapped(row)) {
                // What stands behind the cursor is no part of what was written so far.
                (true, _) => text.extend(shown.chars().chain(std::iter::repeat(' ')).take(column)),
                (false, true) => text.push_str(&shown),
                (false, false) => text.extend([shown.trim_end(), "\r\n"]),
            }
        }
        *self = Self::new(columns, rows);
        self.process(&text);
    }

    /// The cursor's row and column, from 0.
    pub(crate) fn cursor(&self) -> (u16, usize) {
        let (row, column) = self.0.screen().cursor_position();
        (row, usize::from(column))
    }

    /// The rows, down to the last one that shows something.
    pub(crate) fn rows(&self) -> Vec<String> {
        let screen = self.0.screen();
        let rows = screen.rows(0, screen.size().1.get());
        let mut rows: Vec<_> = rows.map(|row| row.trim_end().to_owned()).collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }

    pub(crate) fn hides_cursor(&self) -> bool {
        self.0.screen().hide_cursor()
    }
}
