//! A gate file in the making. Whatever comes from an image can be a comment's word or a string, and nothing else.

use crate::text::terminal_name;

/// Columns of a comment.
const COLUMNS: usize = 118;
/// The image's words in a comment, in characters.
const QUOTE_CHARS_MAX: usize = 160;

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// A comment: `# ` and its words, in as many lines as they need.
    pub(super) fn note(&mut self, text: &str) {
        let mut line = String::from("#");
        for word in text.split([' ', '\n']).filter(|word| !word.is_empty()) {
            if line.len() > 1 && line.chars().count() + 1 + word.chars().count() > COLUMNS {
                self.line(&line);
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(&line);
    }

    /// A line as it is: of words that are not the image's.
    pub(super) fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// A key and its value in TOML's words.
    pub(super) fn set(&mut self, key: &'static str, value: &str) {
        self.line(&format!("{key} = {value}"));
    }

    /// A setting that is switched off: `#` without a space.
    pub(super) fn off(&mut self, line: &str) {
        self.line(&format!("#{line}"));
    }

    /// The header of a table, behind an empty line.
    pub(super) fn table(&mut self, header: &'static str) {
        self.line("");
        self.line(header);
    }

    pub(super) fn text(self) -> String {
        self.0
    }
}

/// The image's words in a comment: on one line, printable, of bounded length, between backquotes.
pub(super) fn quote(words: &str) -> String {
    format!("`{}`", terminal_name(words, QUOTE_CHARS_MAX).replace('`', "'"))
}

/// A text as a basic string of TOML, on one line whatever it holds.
pub fn toml_string(text: &str) -> String {
    use std::fmt::Write as _;
    let mut written = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                let _ = write!(written, "\\u{:04X}", u32::from(c));
            }
            c => written.push(c),
        }
    }
    written.push('"');
    written
}

/// A regular expression as a literal string of TOML, of words that are not the image's.
pub(super) fn literal(text: &'static str) -> String {
    format!("'{text}'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_text_comes_back_from_its_string(text in any::<String>()) {
            let written = toml_string(&text);
            prop_assert_eq!(written.lines().count(), 1);
            let table: toml::Table = format!("a = {written} # {written}\n#b = {written}\nc = 1\n").parse().unwrap();
            prop_assert_eq!(table["a"].as_str(), Some(text.as_str()));
            prop_assert_eq!(table.len(), 2);
        }

        #[test]
        fn a_comment_stays_one(text in any::<String>()) {
            let mut page = Page::default();
            page.note(&format!("seen: {} in {}", quote(&text), quote(&text)));
            let text = page.text();
            prop_assert!(text.lines().all(|line| line.starts_with("# ") && line.chars().count() < 700));
            let table: toml::Table = text.parse().unwrap();
            prop_assert!(table.is_empty());
        }
    }
}
