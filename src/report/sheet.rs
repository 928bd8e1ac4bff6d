//! Labelled lines that take no more than a screen, however much there is to say.

use std::fmt::Write as _;

use crate::view::{Ink, Look, beginning, glyphs, width_of, wrap};

/// A screen that everybody has, in columns and rows; the prompt of the shell takes one of them.
const SCREEN_COLUMNS: usize = 80;
const SCREEN_ROWS: usize = 24;
const PROMPT_ROWS: usize = 1;
/// How many rows of an item are as good as the first one of another.
const ROWS_FAIR: usize = 3;
/// The end of what was cut.
const CUT: &str = "…";

/// What an item is worth where there is no room for all: the last ones go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// The answer, where the evidence lies, and what to type.
    Answer,
    /// Why, in one sentence, and what to do.
    Cause,
    /// What the cause is seen by.
    Proof,
    /// What was reached.
    Stage,
    /// What else is known.
    Aside,
}

/// A labelled piece of text.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) rank: Rank,
    /// What stands in front of its first row, blanks included.
    pub(super) label: String,
    pub(super) ink: Ink,
    pub(super) text: String,
    pub(super) text_ink: Ink,
    /// It is to be copied: the terminal breaks it, not we.
    pub(super) is_whole: bool,
}

/// Where items are shown.
#[derive(Debug, Clone, Copy)]
pub struct Sheet {
    /// A terminal; `None`: a log, whose lines are not broken, but no longer than they would be on a screen.
    screen: Option<Look>,
    /// Rows that others need below.
    reserved: usize,
}

impl Sheet {
    /// A terminal, or a log.
    pub fn new(screen: Option<Look>) -> Self {
        Self { screen, reserved: 0 }
    }

    /// The same with room for so many rows below.
    #[must_use]
    pub fn above(self, rows: usize) -> Self {
        Self { reserved: rows, ..self }
    }

    /// How wide a row is.
    pub(super) fn columns(&self) -> usize {
        self.screen.map_or(SCREEN_COLUMNS, |look| look.columns)
    }

    fn rows(&self) -> usize {
        let rows = self.screen.map_or(SCREEN_ROWS, |look| look.rows.min(SCREEN_ROWS));
        rows.saturating_sub(PROMPT_ROWS + self.reserved)
    }

    /// The items as text, with an empty line in front of them.
    pub(super) fn show(&self, items: &[Item]) -> String {
        let items: Vec<Item> = items.iter().map(|item| self.shown(item)).collect();
        let granted = self.grant(&items, self.rows().saturating_sub(1));
        let mut text = "\n".to_owned();
        for (item, rows) in items.iter().zip(granted) {
            self.write(&mut text, item, rows);
        }
        text
    }

    fn shown(&self, item: &Item) -> Item {
        let unicode = self.screen.is_none_or(|look| look.unicode);
        Item {
            label: glyphs(&item.label, unicode),
            // Space at its ends has no row of its own.
            text: glyphs(item.text.trim(), unicode),
            ..item.clone()
        }
    }

    /// How many rows each item gets: one, then a fair share, then what is left, the more worthy ones before the others.
    fn grant(&self, items: &[Item], rows: usize) -> Vec<usize> {
        let wanted: Vec<usize> = items.iter().map(|item| self.rows_of(item)).collect();
        let mut granted = vec![0; items.len()];
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by_key(|index| items[*index].rank);
        let mut left = rows;
        for (share, least) in [
            (1, Rank::Cause),
            (ROWS_FAIR, Rank::Cause),
            (1, Rank::Stage),
            (ROWS_FAIR, Rank::Proof),
            (1, Rank::Aside),
            (rows, Rank::Aside),
        ] {
            for &index in order.iter().filter(|index| items[**index].rank <= least) {
                // What is to be copied is no use in part; it is a part all the same, if it is a screen long.
                let share = if items[index].is_whole {
                    (rows / 4).max(1)
                } else {
                    share
                };
                let more = wanted[index].min(share).saturating_sub(granted[index]).min(left);
                granted[index] += more;
                left -= more;
            }
        }
        granted
    }

    fn rows_of(&self, item: &Item) -> usize {
        if item.is_whole {
            let width = width_of(&item.label) + width_of(&item.text);
            return width.div_ceil(self.columns()).max(1);
        }
        wrap(&item.text, self.text_columns(item)).len()
    }

    /// The width of an item's text.
    fn text_columns(&self, item: &Item) -> usize {
        self.columns().saturating_sub(width_of(&item.label)).max(1)
    }

    fn write(&self, text: &mut String, item: &Item, rows: usize) {
        if rows == 0 {
            return;
        }
        let look = self.screen.filter(|look| look.colour);
        let label = |label: &str| match (&look, item.label.trim().is_empty()) {
            (Some(look), false) => item.ink.paint(label, look),
            _ => label.to_owned(),
        };
        if item.is_whole {
            let room = (rows * self.columns()).saturating_sub(width_of(&item.label));
            let _ = writeln!(text, "{}{}", label(&item.label), self.cut(&item.text, room));
            return;
        }
        let columns = self.text_columns(item);
        let mut lines = wrap(&item.text, columns);
        if self.screen.is_none() && lines.len() <= rows {
            lines = vec![item.text.clone()];
        }
        if lines.len() > rows {
            let rest = lines.split_off(rows - 1).join(" ");
            lines.push(self.cut(&rest, columns));
        }
        if self.screen.is_none() {
            // A log has room for whole lines.
            let line = format!("{}{}", item.label, lines.join(" "));
            let _ = writeln!(text, "{}", line.trim_end());
            return;
        }
        let blank = " ".repeat(width_of(&item.label));
        for (index, line) in lines.iter().enumerate() {
            let line = look.map_or(line.clone(), |look| item.text_ink.paint(line, &look));
            let lead = if index == 0 { label(&item.label) } else { blank.clone() };
            let _ = writeln!(text, "{}", format!("{lead}{line}").trim_end());
        }
    }

    /// The beginning of a text, with a sign if it is not all.
    fn cut(&self, text: &str, columns: usize) -> String {
        if width_of(text) <= columns {
            return text.to_owned();
        }
        let mark = glyphs(CUT, self.screen.is_none_or(|look| look.unicode));
        let mut first = beginning(text, columns.saturating_sub(width_of(&mark))).to_owned();
        first.push_str(&mark);
        beginning(&first, columns).to_owned()
    }
}
