//! Our own painter with ratatui's differ of cells: the placement is ours, so it needs to know neither where the window's corner is
//! nor how high the block will be, and only cells that differ are written.

use std::fmt::Write as _;

use bootgate::view::{Look, Row};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;

use crate::Paint;
use crate::with_ratatui::{put, sgr};

/// Knows what the block looks like on the terminal, cell by cell.
#[derive(Default)]
pub(crate) struct Cells {
    shown: Buffer,
    widths: Vec<usize>,
    columns: usize,
}

impl Paint for Cells {
    fn paint(&mut self, above: &str, block: Vec<Row>, look: &Look) -> String {
        let area = |rows: usize| Rect::new(0, 0, look.columns as u16, rows as u16);
        let mut wanted = Buffer::empty(area(block.len()));
        for (y, row) in (0..).zip(&block) {
            put(&mut wanted, y, &row.painted());
        }
        let is_same_window = self.columns == look.columns;
        if above.is_empty() && is_same_window && wanted == self.shown {
            return String::new();
        }
        let mut text = "\x1b[?2026h".to_owned();
        // Rows that have become too long for the window were broken by the terminal.
        let rows = |width: &usize| width.div_ceil(look.columns.max(1)).max(1);
        let height: usize = self.widths.iter().map(rows).sum();
        if height > 0 {
            let _ = write!(text, "\r\x1b[{height}A");
        }
        if !above.is_empty() || !is_same_window {
            text.push_str("\x1b[J");
            text.push_str(above);
            if !above.is_empty() && !above.ends_with('\n') {
                text.push('\n');
            }
            self.shown = Buffer::empty(area(0));
        }
        let fewer = block.len() < usize::from(self.shown.area.height);
        self.shown.resize(wanted.area);
        changes(&mut text, &self.shown, &wanted);
        if fewer {
            text.push_str("\x1b[J");
        }
        text.push_str("\x1b[?2026l");
        self.widths = block.iter().map(Row::width).collect();
        (self.shown, self.columns) = (wanted, look.columns);
        text
    }
}

/// Writes the cells that differ, and ends below the block.
fn changes(text: &mut String, shown: &Buffer, wanted: &Buffer) {
    let (mut x, mut y, mut style) = (0, 0, "");
    for (column, row, cell) in shown.diff(wanted) {
        for _ in y..row {
            text.push('\n');
            x = 0;
        }
        y = row;
        if x != column {
            let _ = write!(text, "\r\x1b[{column}C");
        }
        let now = sgr(cell);
        if now != style {
            if !style.is_empty() {
                text.push_str("\x1b[m");
            }
            if !now.is_empty() {
                let _ = write!(text, "\x1b[{now}m");
            }
            style = now;
        }
        text.push_str(cell.symbol());
        x = column + unicode_width::UnicodeWidthStr::width(cell.symbol()) as u16;
    }
    if !style.is_empty() {
        text.push_str("\x1b[m");
    }
    for _ in y..wanted.area.height {
        text.push('\n');
    }
}
