//! What all generated pages are written with.

use std::fmt::Write as _;

/// What stands on top of each.
pub(super) const MADE: &str = "<!-- Made from the code: BOOTGATE_BLESS=1 cargo test --test docs -->\n";

/// A table; a bar or line break within a cell would end it.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: Vec<String>| {
        let cells: Vec<_> = cells
            .iter()
            .map(|cell| cell.replace('|', "\\|").replace('\n', " "))
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(head.iter().map(|&cell| cell.to_owned()).collect());
    let _ = writeln!(text, "|{}", "---|".repeat(head.len()));
    text.extend(rows.into_iter().map(line));
    text
}

/// A word of code.
pub(super) fn code(word: &str) -> String {
    format!("`{word}`")
}
