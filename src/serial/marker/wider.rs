//! Patterns of which all can be looked for at once, whatever language the text is in.

use regex_syntax::hir::{Hir, HirKind, LookSet, Repetition};

/// An expression that matches where `regex` does, and perhaps elsewhere: without its Unicode word boundaries, which the quick
/// search can't tell next to a character that is not ASCII. One of them makes it give up all patterns at each such character.
pub(super) fn wider(regex: &str) -> String {
    match regex_syntax::parse(regex) {
        Ok(parsed) if parsed.properties().look_set().contains_word_unicode() => unbounded(parsed).to_string(),
        _ => regex.to_owned(),
    }
}

/// Nothing in an expression negates, so a condition less is a match more, never one less.
fn unbounded(parsed: Hir) -> Hir {
    match parsed.into_kind() {
        HirKind::Look(look) if LookSet::singleton(look).contains_word_unicode() => Hir::empty(),
        HirKind::Look(look) => Hir::look(look),
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Capture(group) => unbounded(*group.sub),
        HirKind::Repetition(repeated) => Hir::repetition(Repetition {
            sub: Box::new(unbounded(*repeated.sub)),
            ..repeated
        }),
        HirKind::Concat(parts) => Hir::concat(parts.into_iter().map(unbounded).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.into_iter().map(unbounded).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::Regex;

    /// Expressions of what has and has not to do with words.
    fn expression() -> impl Strategy<Value = String> {
        let atom = prop::sample::select(vec![
            r"\b",
            r"\B",
            r"\b{start}",
            r"\b{end}",
            r"\b{start-half}",
            r"\b{end-half}",
            r"(?-u:\b)",
            "^",
            "$",
            "a",
            "é",
            r"\w",
            r"\W",
            ".",
            r"(?i:k)",
            "[^a]",
            "",
        ]);
        let atom = atom.prop_map(str::to_owned);
        atom.prop_recursive(4, 24, 3, |inner| {
            let repeat = prop::sample::select(vec!["*", "+", "?", "{2}", "*?"]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
                prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join("|"))),
                (inner, repeat).prop_map(|(inner, repeat)| format!("(?:{inner}){repeat}")),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_matches_at_least_as_much_and_needs_no_slower_search(regex in expression(), text in "[aékß ✓]{0,8}") {
            let wide = wider(&regex);
            let looks = regex_syntax::parse(&wide).unwrap().properties().look_set();
            prop_assert!(!looks.contains_word_unicode(), "{}", wide);
            let [narrow, wide] = [&regex, &wide].map(|regex| Regex::new(regex).unwrap());
            prop_assert!(!narrow.is_match(&text) || wide.is_match(&text), "{} in {:?}", wide, text);
        }
    }

    #[test]
    fn only_what_is_slow_is_left_out() {
        for (regex, wide) in [
            (r"\bpanic\b", "(?:panic)"),
            (r"^(?-u:\b)panic x\B", r"(?:\A(?-u:\b)(?:panic x))"),
            (r"(?-u:\b)panic(?-u:\b)", r"(?-u:\b)panic(?-u:\b)"),
            (r"^\w+ x$", r"^\w+ x$"),
        ] {
            assert_eq!(wider(regex), wide);
        }
    }
}
