//! Rows of character cells, and the region of them that scrolls.

use std::collections::VecDeque;
use std::ops::Range;

const BLANK: char = ' ';

/// A screen's cells.
pub(super) struct Grid {
    columns: usize,
    rows: VecDeque<Vec<char>>,
}

impl Grid {
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        Self {
            columns,
            rows: vec![vec![BLANK; columns]; rows].into(),
        }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The rows' texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> + '_ {
        self.rows
            .iter()
            .map(|row| row.iter().collect::<String>().trim_end().to_owned())
    }

    pub(super) fn set(&mut self, row: usize, column: usize, character: char) {
        if let Some(cell) = self.rows.get_mut(row).and_then(|row| row.get_mut(column)) {
            *cell = character;
        }
    }

    /// Blanks a part of a row.
    pub(super) fn blank(&mut self, row: usize, columns: Range<usize>) {
        let columns = columns.start.min(self.columns)..columns.end.min(self.columns);
        if let Some(cells) = self.rows.get_mut(row).and_then(|row| row.get_mut(columns)) {
            cells.fill(BLANK);
        }
    }

    /// Blanks whole rows.
    pub(super) fn blank_rows(&mut self, rows: Range<usize>) {
        for row in rows {
            self.blank(row, 0..self.columns);
        }
    }

    /// Moves the rows of a region up by `count`, or down if `down`; what comes in is blank.
    pub(super) fn scroll(&mut self, region: Range<usize>, count: usize, down: bool) {
        let region = region.start..region.end.min(self.rows.len());
        if region.start >= region.end {
            return;
        }
        for _ in 0..count.min(region.len()) {
            let (from, to) = if down {
                (region.end - 1, region.start)
            } else {
                (region.start, region.end - 1)
            };
            if let Some(mut row) = self.rows.remove(from) {
                row.fill(BLANK);
                self.rows.insert(to, row);
            }
        }
    }

    /// Moves the cells of a row from `column` on right by `count`, or left if `left`; what comes in is blank.
    pub(super) fn shift(&mut self, row: usize, column: usize, count: usize, left: bool) {
        let Some(cells) = self.rows.get_mut(row).and_then(|row| row.get_mut(column..)) else {
            return;
        };
        let count = count.min(cells.len());
        if left {
            cells.rotate_left(count);
            let end = cells.len() - count;
            cells[end..].fill(BLANK);
        } else {
            cells.rotate_right(count);
            cells[..count].fill(BLANK);
        }
    }
}
