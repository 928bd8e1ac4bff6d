//! Text for a Markdown page: a CI step's summary.

use super::sanitize::{joined, shortened};

/// What begins or ends something in Markdown or HTML, wherever it stands in a line. What does so only at its start (`#`, `-`,
/// `1.`) has words of ours in front of it.
const ACTING: &[char] = &[
    '\\', '`', '*', '_', '{', '}', '[', ']', '<', '>', '#', '|', '~', '&', '!', '$', ':', '@', '=',
];

/// One line as text that is shown as it is: nothing in it becomes a link, a picture, a tag or emphasis. For words of people
/// who write rules and gate files; a guest's go into [`markdown_code`]. It must not stand at the start of a line.
pub fn markdown_text(text: impl AsRef<[u8]>, chars_max: usize) -> String {
    let line = shortened(joined(text.as_ref(), chars_max.saturating_add(1)), chars_max);
    let mut safe = String::with_capacity(line.len());
    for c in line.trim().chars() {
        if ACTING.contains(&c) {
            safe.push('\\');
        }
        safe.push(c);
    }
    // A bare `www.` is a link in GitHub's Markdown.
    safe.replace("www.", "www\\.")
}

/// One line of a guest's as a code span, in which nothing is obeyed: no link, no mention, no tag. Not for a table's cell,
/// whose `|` counts before its code.
pub fn markdown_code(text: impl AsRef<[u8]>, chars_max: usize) -> String {
    let line = shortened(joined(text.as_ref(), chars_max.saturating_add(1)), chars_max);
    let line = line.trim();
    if line.is_empty() {
        return "(nothing)".to_owned();
    }
    let longest = line.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A backtick at either end would become part of the fence; the spaces are taken off again by the reader.
    let space = if longest > 0 { " " } else { "" };
    format!("{fence}{space}{line}{space}{fence}")
}
