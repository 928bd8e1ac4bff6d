//! Text in rows of whole words.

use super::width_of;

/// As much of the beginning as fits.
pub fn beginning(text: &str, columns: usize) -> &str {
    let mut left = columns;
    for (at, c) in text.char_indices() {
        match left.checked_sub(width_of(c.encode_utf8(&mut [0; 4]))) {
            Some(rest) => left = rest,
            None => return &text[..at],
        }
    }
    text
}

/// The text in rows of whole words. A text that fits stays as it is, its blanks too.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    if width_of(text) <= columns {
        return vec![text.to_owned()];
    }
    let mut rows: Vec<String> = Vec::new();
    let mut row = String::new();
    let mut gap = 0;
    for mut word in text.split(' ') {
        // Blanks that follow each other are words of no width between them.
        if word.is_empty() {
            gap += 1;
            continue;
        }
        if !row.is_empty() && width_of(&row) + gap + width_of(word) > columns {
            rows.push(std::mem::take(&mut row));
        }
        if !row.is_empty() {
            row.push_str(&" ".repeat(gap));
        }
        gap = 1;
        while width_of(word) > columns {
            // A sign that is wider than the row is not broken.
            let first = word.chars().next().map_or(0, char::len_utf8);
            let end = beginning(word, columns).len().max(first);
            rows.push(word[..end].to_owned());
            word = &word[end..];
        }
        row.push_str(word);
    }
    if !row.is_empty() || rows.is_empty() {
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_where_they_can() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("one  two  three", 8), ["one  two", "three"]);
        assert_eq!(wrap("a longerthanit b", 6), ["a", "longer", "thanit", "b"]);
        assert_eq!(wrap("  kept  as it is", 40), ["  kept  as it is"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("漢字漢字", 5), ["漢字", "漢字"]);
    }
}
