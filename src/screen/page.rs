//! A picture as rows of text.

use super::font::{Grid, Mask, grids};
use super::picture::Picture;

/// Columns of a screen, at most; a wider one is not read.
pub const COLUMNS_MAX: usize = 640;
/// Rows of a screen, at most; a higher one is not read.
pub const ROWS_MAX: usize = 320;
/// Fewer readable characters than these on a whole screen are taken for chance.
pub const READABLE_MIN: usize = 4;
/// A row is text if of so many marks at most one can't be read.
const MARKS_PER_UNREAD: usize = 4;

/// The text on a screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Rows from the top, without blanks at their ends. What can't be read is U+FFFD. A row that is no text is empty.
    pub rows: Vec<String>,
    /// For each row, whether it goes on to the last column.
    full: Vec<bool>,
    readable: usize,
}

impl Page {
    /// A page of rows that end before the last column.
    #[cfg(test)]
    pub(super) fn of(rows: Vec<String>) -> Self {
        Self {
            full: vec![false; rows.len()],
            readable: rows.iter().map(String::len).sum(),
            rows,
        }
    }

    /// Lines that hold something, from the top: a row that goes on to the last column is one with the row below it.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut goes_on = false;
        for (row, full) in self.rows.iter().zip(&self.full) {
            match lines.last_mut().filter(|_| goes_on) {
                Some(line) => line.push_str(row),
                None if row.is_empty() => {}
                None => lines.push(row.clone()),
            }
            goes_on = *full;
        }
        lines
    }
}

/// Reads the text on a screen. `None`: there is none, or none that can be read.
pub fn read(picture: &Picture<'_>) -> Option<Page> {
    let pages = grids().filter_map(|grid| Reader { picture, grid }.page());
    let best = pages.reduce(|best, page| if page.readable > best.readable { page } else { best });
    best.filter(|page| page.readable >= READABLE_MIN)
}

/// One way to read a picture.
struct Reader<'a> {
    picture: &'a Picture<'a>,
    grid: Grid,
}

/// What a cell shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Blank,
    Character(char),
    Unreadable,
}

impl Reader<'_> {
    fn page(&self) -> Option<Page> {
        let columns = self.picture.width() as usize / self.grid.cell_width;
        let rows = self.picture.height() as usize / self.grid.font.height;
        if !(1..=COLUMNS_MAX).contains(&columns) || !(1..=ROWS_MAX).contains(&rows) {
            return None;
        }
        let mut page = Page::default();
        for row in 0..rows {
            let cells: Vec<Cell> = (0..columns).map(|column| self.cell(column, row)).collect();
            let unread = cells.iter().filter(|cell| **cell == Cell::Unreadable).count();
            let marks = cells.iter().filter(|cell| **cell != Cell::Blank).count();
            if unread * MARKS_PER_UNREAD > marks {
                page.rows.push(String::new());
                page.full.push(false);
                continue;
            }
            let text: String = cells.iter().map(|cell| cell.shown()).collect();
            page.rows.push(text.trim_end().to_owned());
            page.full.push(cells.last() != Some(&Cell::Blank));
            page.readable += marks - unread;
        }
        Some(page)
    }

    fn cell(&self, column: usize, row: usize) -> Cell {
        let (width, height) = (self.grid.cell_width, self.grid.font.height);
        let (x, y) = (column * width, row * height);
        let first_row = self.picture.run(x, y, width);
        let first = &first_row[..3];
        let is_even = first_row.chunks_exact(3).all(|pixel| pixel == first);
        if is_even && (1..height).all(|line| self.picture.run(x, y + line, width) == first_row) {
            return Cell::Blank;
        }
        let mut second = None;
        let mut bits = Bits::new(width);
        for line in 0..height {
            for pixel in self.picture.run(x, y + line, width).chunks_exact(3) {
                let is_first = pixel == first;
                if !is_first && *second.get_or_insert(pixel) != pixel {
                    return Cell::Unreadable;
                }
                bits.0.push(!is_first);
            }
        }
        // Which of the two colours is the character's is not known.
        self.look_up(&bits)
            .or_else(|| self.look_up(&bits.inverted()))
            .unwrap_or(Cell::Unreadable)
    }

    fn look_up(&self, bits: &Bits) -> Option<Cell> {
        let exact = self.mask(bits).and_then(|mask| self.grid.font.character(&mask));
        if let Some(character) = exact {
            return Some(Cell::Character(character));
        }
        let mask = self.mask(&bits.without_cursor())?;
        if mask == Mask::default() {
            return Some(Cell::Blank);
        }
        self.grid.font.character(&mask).map(Cell::Character)
    }

    /// The pixels that the font draws; none if there are others.
    fn mask(&self, bits: &Bits) -> Option<Mask> {
        let mut mask = Mask::default();
        for (y, row) in bits.rows().enumerate() {
            for (x, set) in row.iter().enumerate() {
                match (set, x < self.grid.font.width) {
                    (true, true) => mask.set(y * self.grid.font.width + x),
                    (true, false) => return None,
                    (false, _) => {}
                }
            }
        }
        Some(mask)
    }
}

impl Cell {
    fn shown(self) -> char {
        match self {
            Self::Blank => ' ',
            Self::Character(character) => character,
            Self::Unreadable => char::REPLACEMENT_CHARACTER,
        }
    }
}

/// The pixels of a cell that have one of its two colours.
struct Bits(Vec<bool>, usize);

impl Bits {
    fn new(width: usize) -> Self {
        Self(Vec::new(), width)
    }

    fn rows(&self) -> impl Iterator<Item = &[bool]> {
        self.0.chunks_exact(self.1)
    }

    fn inverted(&self) -> Self {
        Self(self.0.iter().map(|bit| !bit).collect(), self.1)
    }

    /// A cursor draws whole rows of its cell.
    fn without_cursor(&self) -> Self {
        let is_cursor = |row: &[bool]| row.iter().all(|bit| *bit);
        let cleared = self.rows().flat_map(|row| {
            let keep = !is_cursor(row);
            row.iter().map(move |bit| *bit && keep)
        });
        Self(cleared.collect(), self.1)
    }
}

#[cfg(test)]
mod tests;
