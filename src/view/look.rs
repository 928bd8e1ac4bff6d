//! Rows of a terminal: never wider than its window, and nothing in them but glyphs and our own colours.

use unicode_width::UnicodeWidthChar as _;

/// What the place where a view is shown can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Width of the window, in columns.
    pub columns: usize,
    /// Height of the window, in rows.
    pub rows: usize,
    /// It shows colours, and nobody has forbidden them.
    pub colour: bool,
    /// It shows more than ASCII.
    pub unicode: bool,
}

/// How a piece of text looks, where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// As the terminal's owner likes it.
    Plain,
    /// What is there for those who look for it.
    Dim,
    /// What the eye is to find first.
    Bold,
    /// What has gone well.
    Good,
    /// What has not.
    Bad,
    /// What may turn out badly.
    Warn,
    /// What goes on.
    Live,
}

impl Ink {
    /// The parameter of SGR (ECMA-48, 8.3.117): of the sixteen colours that each terminal has its own readable shades of.
    fn parameter(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Warn => "33",
            Self::Live => "36",
        }
    }

    /// The text in this ink.
    pub fn paint(self, text: &str, look: &Look) -> String {
        if !look.colour || self == Self::Plain || text.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{}m{text}\x1b[m", self.parameter())
    }
}

/// How many columns a text takes.
pub fn width_of(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// The text in glyphs that the terminal has: what acts, or takes no room of its own, is shown as `?`, and without Unicode
/// the signs that bootgate itself uses have their likes in ASCII.
pub fn glyphs(text: &str, unicode: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match (c, columns_of(c)) {
            (' '..='~', _) => shown.push(c),
            (_, 0) => shown.push('?'),
            (_, _) if unicode => shown.push(c),
            ('→', _) => shown.push_str("->"),
            ('…', _) => shown.push_str("..."),
            ('✓', _) => shown.push('+'),
            ('✗', _) => shown.push('x'),
            ('○' | '·', _) => shown.push('.'),
            ('▶' | '┃', _) => shown.push('>'),
            ('─', _) => shown.push('-'),
            ('━', _) => shown.push('='),
            ('×', _) => shown.push('*'),
            ('“' | '”', _) => shown.push('"'),
            (_, columns) => shown.extend(std::iter::repeat_n('?', columns)),
        }
    }
    shown
}

/// A row of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    look: Look,
    spans: Vec<(Ink, String)>,
    width: usize,
}

impl Row {
    /// An empty row. It never reaches the last column, where terminals disagree on what follows.
    pub fn new(look: &Look) -> Self {
        Self {
            look: *look,
            spans: Vec::new(),
            width: 0,
        }
    }

    fn width_max(&self) -> usize {
        self.look.columns.saturating_sub(1)
    }

    /// How many columns are left.
    pub fn room(&self) -> usize {
        self.width_max() - self.width
    }

    /// How many columns it takes.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Adds text; what has no room is left out, and its end shows that.
    #[must_use]
    pub fn add(mut self, ink: Ink, text: &str) -> Self {
        let fitted = fitted(&glyphs(text, self.look.unicode), self.room(), self.look.unicode);
        self.width += width_of(&fitted);
        self.spans.push((ink, fitted));
        self
    }

    /// Adds blanks up to a column.
    #[must_use]
    pub fn to_column(self, column: usize) -> Self {
        let blanks = column.saturating_sub(self.width);
        self.fill(" ", blanks, Ink::Plain)
    }

    /// Adds a one-column sign so many times.
    #[must_use]
    pub fn fill(self, sign: &str, times: usize, ink: Ink) -> Self {
        let times = times.min(self.room());
        self.add(ink, &sign.repeat(times))
    }

    /// What goes to the terminal.
    pub fn painted(&self) -> String {
        let painted = self.spans.iter().map(|(ink, text)| ink.paint(text, &self.look));
        painted.collect()
    }
}

/// The beginning of a text that fits; where it was cut it says so.
fn fitted(text: &str, columns: usize, unicode: bool) -> String {
    if width_of(text) <= columns {
        return text.to_owned();
    }
    let mark = if unicode { "…" } else { "~" };
    let mut shown = String::new();
    let mut left = columns.saturating_sub(1);
    for c in text.chars() {
        let Some(rest) = left.checked_sub(columns_of(c)) else {
            break;
        };
        left = rest;
        shown.push(c);
    }
    if columns > 0 {
        shown.push_str(mark);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn look(columns: usize, unicode: bool) -> Look {
        Look {
            columns,
            rows: 24,
            colour: true,
            unicode,
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_where_one_can_see_it() {
        let row = |columns, unicode, text: &str| Row::new(&look(columns, unicode)).add(Ink::Plain, text).painted();
        assert_eq!(row(6, true, "12345"), "12345");
        assert_eq!(row(6, true, "123456"), "1234…");
        assert_eq!(row(6, false, "123456"), "1234~");
        assert_eq!(row(6, true, "漢字漢字"), "漢字…");
        assert_eq!(row(6, false, "漢字漢字"), "????~");
        assert_eq!(row(20, false, "a → “b” ✓ …"), "a -> \"b\" + ...");
        assert_eq!(row(1, true, "x"), "");
    }

    proptest! {
        #[test]
        fn a_row_is_as_wide_as_it_says_and_never_too_wide(
            texts in prop::collection::vec(any::<String>(), 0..4), columns in 0_usize..50, unicode: bool,
        ) {
            let mut row = Row::new(&look(columns, unicode));
            for text in &texts {
                row = row.add(Ink::Plain, text).to_column(7);
            }
            let shown = row.painted();
            prop_assert_eq!(width_of(&shown), row.width());
            prop_assert!(row.width() <= columns.saturating_sub(1));
            prop_assert!(shown.chars().all(|c| !c.is_control() && (unicode || c.is_ascii())), "{:?}", shown);
        }
    }
}
