//! A terminal that draws and answers nothing: what ECMA-48 and xterm move, erase and scroll. Colours and modes that change
//! no character are passed over.

use super::grid::Grid;
use vte::{Params, Perform};

const TAB_COLUMNS: usize = 8;

/// DEC's line-drawing characters, for `` ` `` to `~`.
const LINE_DRAWING: &str = "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·";

#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    row: usize,
    column: usize,
    /// The last column is written, and the next character begins a new row.
    wraps: bool,
}

/// The terminal.
pub(super) struct Terminal {
    grid: Grid,
    /// The main screen's cells while the other one is shown.
    main: Option<Grid>,
    cursor: Cursor,
    saved: Cursor,
    /// First row of the region that scrolls, and the row behind its last.
    region: (usize, usize),
    /// Whether G0 and G1 hold the line-drawing characters, and which of them is in use.
    drawing: [bool; 2],
    in_use: usize,
    last: char,
    rows_addressed: usize,
}

impl Terminal {
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        Self {
            grid: Grid::new(columns, rows),
            main: None,
            cursor: Cursor::default(),
            saved: Cursor::default(),
            region: (0, rows),
            drawing: [false; 2],
            in_use: 0,
            last: ' ',
            rows_addressed: 0,
        }
    }

    /// The rows' texts, without blanks at their ends.
    pub(super) fn rows(&self) -> impl Iterator<Item = String> + '_ {
        self.grid.texts()
    }

    /// Row and column, from 0.
    pub(super) fn cursor(&self) -> (usize, usize) {
        (self.cursor.row, self.cursor.column)
    }

    /// The highest row that the cursor was put at, from 1. It may be outside of the screen.
    pub(super) fn rows_addressed(&self) -> usize {
        self.rows_addressed
    }

    fn place(&mut self, row: usize, column: usize) {
        self.cursor = Cursor {
            row: row.min(self.grid.rows() - 1),
            column: column.min(self.grid.columns() - 1),
            wraps: false,
        };
    }

    fn line_feed(&mut self) {
        self.cursor.wraps = false;
        if self.cursor.row + 1 == self.region.1 {
            self.grid.scroll(self.region.0..self.region.1, 1, false);
        } else {
            self.place(self.cursor.row + 1, self.cursor.column);
        }
    }

    fn reverse_line_feed(&mut self) {
        if self.cursor.row == self.region.0 {
            self.grid.scroll(self.region.0..self.region.1, 1, true);
        } else {
            self.place(self.cursor.row.saturating_sub(1), self.cursor.column);
        }
    }

    fn put(&mut self, character: char) {
        if self.cursor.wraps {
            self.cursor.column = 0;
            self.line_feed();
        }
        self.grid.set(self.cursor.row, self.cursor.column, character);
        self.last = character;
        if self.cursor.column + 1 == self.grid.columns() {
            self.cursor.wraps = true;
        } else {
            self.cursor.column += 1;
        }
    }

    fn erase_display(&mut self, what: usize) {
        let Cursor { row, column, .. } = self.cursor;
        let (columns, rows) = (self.grid.columns(), self.grid.rows());
        match what {
            0 => {
                self.grid.blank(row, column..columns);
                self.grid.blank_rows(row + 1..rows);
            }
            1 => {
                self.grid.blank_rows(0..row);
                self.grid.blank(row, 0..column + 1);
            }
            2 => self.grid.blank_rows(0..rows),
            _ => {}
        }
    }

    fn erase_line(&mut self, what: usize) {
        let Cursor { row, column, .. } = self.cursor;
        match what {
            0 => self.grid.blank(row, column..self.grid.columns()),
            1 => self.grid.blank(row, 0..column + 1),
            2 => self.grid.blank_rows(row..row + 1),
            _ => {}
        }
    }

    /// Rows come in at the cursor or go out there, within the region.
    fn shift_rows(&mut self, count: usize, down: bool) {
        if (self.region.0..self.region.1).contains(&self.cursor.row) {
            self.grid.scroll(self.cursor.row..self.region.1, count, down);
            self.place(self.cursor.row, 0);
        }
    }

    fn set_region(&mut self, top: usize, bottom: Option<usize>) {
        let rows = self.grid.rows();
        let bottom = bottom.unwrap_or(rows).min(rows);
        if top < bottom {
            self.region = (top - 1, bottom);
            self.place(0, 0);
        }
    }

    /// Switches to the other screen, which is blank, or back.
    fn switch_screen(&mut self, to_other: bool) {
        if to_other && self.main.is_none() {
            self.saved = self.cursor;
            let other = Grid::new(self.grid.columns(), self.grid.rows());
            self.main = Some(std::mem::replace(&mut self.grid, other));
        } else if !to_other && let Some(main) = self.main.take() {
            self.grid = main;
            self.cursor = self.saved;
        }
    }

    fn move_by(&mut self, action: char, count: usize) {
        let Cursor { row, column, .. } = self.cursor;
        match action {
            'A' => self.place(row.saturating_sub(count), column),
            'B' | 'e' => self.place(row + count, column),
            'C' | 'a' => self.place(row, column + count),
            'D' => self.place(row, column.saturating_sub(count)),
            'E' => self.place(row + count, 0),
            _ => self.place(row.saturating_sub(count), 0),
        }
    }
}

impl Perform for Terminal {
    fn print(&mut self, character: char) {
        let drawn = match character {
            '`'..='~' if self.drawing[self.in_use] => {
                let index = character as usize - '`' as usize;
                LINE_DRAWING.chars().nth(index).unwrap_or(character)
            }
            // What has no glyph of its own takes a cell all the same: the encoder of the sink shows it by its number.
            other => other,
        };
        self.put(drawn);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            0x08 => self.place(self.cursor.row, self.cursor.column.saturating_sub(1)),
            b'\t' => self.place(self.cursor.row, (self.cursor.column / TAB_COLUMNS + 1) * TAB_COLUMNS),
            b'\n' | 0x0b | 0x0c => self.line_feed(),
            b'\r' => self.place(self.cursor.row, 0),
            0x0e => self.in_use = 1,
            0x0f => self.in_use = 0,
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        let mut values = params
            .iter()
            .map(|values| usize::from(values.first().copied().unwrap_or(0)));
        let (first, second) = (values.next().unwrap_or(0), values.next().unwrap_or(0));
        // A missing or zero count is one.
        let count = first.max(1);
        if ignore {
            return;
        }
        match (intermediates, action) {
            ([], 'A'..='F' | 'a' | 'e') => self.move_by(action, count),
            ([], 'G' | '`') => self.place(self.cursor.row, count - 1),
            ([], 'd') => self.place(count - 1, self.cursor.column),
            ([], 'H' | 'f') => {
                self.rows_addressed = self.rows_addressed.max(count);
                self.place(count - 1, second.max(1) - 1);
            }
            ([], 'J') => self.erase_display(first),
            ([], 'K') => self.erase_line(first),
            ([], 'L') => self.shift_rows(count, true),
            ([], 'M') => self.shift_rows(count, false),
            ([], '@') => self.grid.shift(self.cursor.row, self.cursor.column, count, false),
            ([], 'P') => self.grid.shift(self.cursor.row, self.cursor.column, count, true),
            ([], 'X') => self
                .grid
                .blank(self.cursor.row, self.cursor.column..self.cursor.column + count),
            ([], 'S') => self.grid.scroll(self.region.0..self.region.1, count, false),
            ([], 'T') => self.grid.scroll(self.region.0..self.region.1, count, true),
            ([], 'b') => (0..count.min(self.grid.columns())).for_each(|_| self.put(self.last)),
            ([], 'r') => self.set_region(count, (second > 0).then_some(second)),
            ([], 's') => self.saved = self.cursor,
            ([], 'u') => self.cursor = self.saved,
            ([b'?'], 'h' | 'l') if matches!(first, 47 | 1047 | 1049) => self.switch_screen(action == 'h'),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _: bool, byte: u8) {
        match (intermediates, byte) {
            ([], b'7') => self.saved = self.cursor,
            ([], b'8') => self.cursor = self.saved,
            ([], b'D') => self.line_feed(),
            ([], b'E') => {
                self.line_feed();
                self.place(self.cursor.row, 0);
            }
            ([], b'M') => self.reverse_line_feed(),
            ([], b'c') => {
                let rows_addressed = self.rows_addressed;
                *self = Self::new(self.grid.columns(), self.grid.rows());
                self.rows_addressed = rows_addressed;
            }
            ([b'('], set) => self.drawing[0] = set == b'0',
            ([b')'], set) => self.drawing[1] = set == b'0',
            _ => {}
        }
    }
}
