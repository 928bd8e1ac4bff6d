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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

    /// What GitHub reads, with all that it may read more than Markdown.
    fn read(page: &str) -> Vec<Event<'_>> {
        Parser::new_ext(page, Options::all() - Options::ENABLE_SMART_PUNCTUATION).collect()
    }

    /// The words of a paragraph in which nothing else is.
    fn words(page: &str) -> Option<String> {
        let events = read(page);
        let [Event::Start(Tag::Paragraph), words @ .., Event::End(TagEnd::Paragraph)] = &events[..] else {
            return None;
        };
        let word = |event: &Event<'_>| match event {
            Event::Text(text) => Some(text.to_string()),
            _ => None,
        };
        words.iter().map(word).collect()
    }

    fn hostile() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec![
            "`",
            "``",
            "*",
            "_",
            "~~",
            "[a](http://b)",
            "![",
            "<b>",
            "</details>",
            "<!--",
            "&lt;",
            "|",
            "$x$",
            "#",
            "\\",
            "\n",
            "www.a.b",
            "http://a",
            "a@b.c",
            "@me",
            ":x:",
            "==",
            "{x}",
            "[^1]",
            "[[a]]",
            " ",
            "x",
            "é",
            "\x1b[31m",
            "\u{202e}",
            "||",
        ]);
        prop::collection::vec(part, 1..12).prop_map(|parts| parts.concat())
    }

    #[test]
    fn a_span_is_longer_than_what_it_holds() {
        for (line, span) in [
            ("a", "`a`"),
            ("a``b", "``` a``b ```"),
            ("`", "`` ` ``"),
            (" \n ", "(nothing)"),
        ] {
            assert_eq!(markdown_code(line, 100), span);
        }
        assert_eq!(markdown_code("12345", 4), "`123…`");
        assert_eq!(markdown_text("a_b www.c @d", 100), "a\\_b www\\.c \\@d");
        assert_eq!(markdown_text("12345", 4), "123…");
        for c in r"\`*_{}[]<>#|~&!$:@=".chars() {
            assert_eq!(markdown_text(c.to_string(), 4), format!("\\{c}"));
        }
    }

    proptest! {
        #[test]
        fn a_guests_words_are_code_and_nothing_else(line in hostile()) {
            let shown = joined(line.as_bytes(), usize::MAX);
            prop_assume!(!shown.trim().is_empty());
            let page = format!("x {}", markdown_code(&line, usize::MAX));
            let events = read(&page);
            prop_assert_eq!(events.len(), 4, "{} is {:?}", page, events);
            prop_assert_eq!(&events[2], &Event::Code(shown.trim().into()));
        }

        #[test]
        fn words_are_shown_as_they_are(line in hostile()) {
            let page = format!("x {}.", markdown_text(&line, usize::MAX));
            let shown = format!("x {}.", joined(line.as_bytes(), usize::MAX).trim());
            prop_assert_eq!(words(&page), Some(shown), "{}", page);
            // What else GitHub makes links and mentions of has no syntax: it is broken by a backslash.
            let acts = |start: &str| page.match_indices(start).any(|(at, _)| !page[..at].ends_with('\\'));
            prop_assert!(!["@", ":", "www."].into_iter().any(acts), "{}", page);
        }
    }
}
