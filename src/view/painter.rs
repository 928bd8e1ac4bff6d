//! What to write so that a terminal shows a block of rows below everything that was printed.
//!
//! No mode of the terminal is changed and the cursor is never hidden: it stands at the beginning of the line below the block. So
//! there is nothing to put back, however bootgate ends, and what others print stands on a line of its own.

use std::fmt::Write as _;

use super::{Look, Row};

/// The terminal shows what stands between these at once, if it knows them (private mode 2026).
const TOGETHER: &str = "\x1b[?2026h";
const SHOW: &str = "\x1b[?2026l";
/// Erases what stands behind the cursor in its line, and below it as well.
const ERASE_LINE: &str = "\x1b[K";
const ERASE_BELOW: &str = "\x1b[J";
/// The same from the first row of the block on. Not in one go: where that row is the window's first, tmux takes it for the
/// whole window's end, and keeps what was there in its history.
const ERASE_BLOCK: &str = "\x1b[K\n\x1b[J\x1b[A";

/// Knows what the block looks like on the terminal.
#[derive(Debug, Default)]
pub struct Painter {
    shown: Vec<Row>,
    columns: usize,
}

impl Painter {
    /// What to write to show `above`, whole lines, and below it the block. Empty if the terminal shows that already.
    pub fn paint(&mut self, above: &str, block: Vec<Row>, look: &Look) -> String {
        if above.is_empty() && block == self.shown && self.columns == look.columns {
            return String::new();
        }
        let mut text = TOGETHER.to_owned();
        let height = self.height(look.columns);
        if height > 0 {
            let _ = write!(text, "\r\x1b[{height}A");
        }
        if above.is_empty() && self.columns == look.columns && !block.is_empty() {
            self.changes(&mut text, &block);
        } else {
            text.push_str(if height > 0 { ERASE_BLOCK } else { ERASE_BELOW });
            text.push_str(above);
            if !above.is_empty() && !above.ends_with('\n') {
                text.push('\n');
            }
            for row in &block {
                let _ = writeln!(text, "{}", row.painted());
            }
        }
        text.push_str(SHOW);
        self.shown = block;
        self.columns = look.columns;
        text
    }

    /// Writes the rows that differ and steps over the others, so that nothing flickers.
    fn changes(&self, text: &mut String, block: &[Row]) {
        for (index, row) in block.iter().enumerate() {
            if self.shown.get(index) != Some(row) {
                text.push_str(&row.painted());
                text.push_str(ERASE_LINE);
            }
            text.push('\n');
        }
        if block.len() < self.shown.len() {
            text.push_str(ERASE_BELOW);
        }
    }

    /// How many rows the block takes now: terminals break rows that have become too long for the window.
    fn height(&self, columns: usize) -> usize {
        let rows = |row: &Row| row.width().div_ceil(columns.max(1)).max(1);
        self.shown.iter().map(rows).sum()
    }

    /// Somebody else has written below the block: it stays where it is, and the next one begins anew.
    pub fn forget(&mut self) {
        self.shown.clear();
    }
}
