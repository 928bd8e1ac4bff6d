//! What holds for every text that somebody may take for a gate file.

use std::path::Path;

use bootgate::plan::{self, GateFileErrors};
use proptest::prelude::*;

const EVERY_KEY: &str = include_str!("../fixtures/gates/every-key.toml");

/// Every place lies in the text, on character borders, and is the line and column that it says.
fn check_places(text: &str, errors: &GateFileErrors) {
    assert!(!errors.diagnostics().is_empty());
    for diagnostic in errors.diagnostics() {
        let before = text.get(..diagnostic.span.start).expect("the span starts in the text");
        assert!(text.get(diagnostic.span.clone()).is_some(), "{:?}", diagnostic.span);
        if let Some(related) = &diagnostic.related {
            assert!(text.get(related.span.clone()).is_some(), "{:?}", related.span);
        }
        let line = before.split('\n').next_back().unwrap_or_default();
        assert_eq!(diagnostic.line, before.split('\n').count());
        assert_eq!(diagnostic.column, line.chars().count() + 1);
    }
    assert!(!errors.render(false).is_empty());
    assert!(!errors.render(true).is_empty());
}

fn check(text: &str) {
    if let Err(errors) = plan::parse(Path::new("gate.toml"), text) {
        check_places(text, &errors);
    }
}

/// Pieces that gate files are made of, so that random texts get past the TOML parser.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\[\\[?(stage|disk|image|machine|ssh|console|stage.ssh|x)\\]\\]?\n",
        "(gate|name|kind|vm|memory|cpus|timeout|iso|disk|format|markers|fail|pass|target|unlock|upload|password|key) = ",
        "\"(boot|command|installed-boot|same|2GiB|10m|ü→𐄁|\\\\\\\\d+|)\"\n",
        "'[(a-z*+?\\[é]{0,4}'\n",
        "(1|-7|0x10|1e9|nan|true|1979-05-27|\\{\\}|\\[\\]|\\{ regex = '\\(' \\}|\\{ env = \"\\$X\" \\})\n",
        ".{0,12}",
        "\n",
    ]
}

proptest! {
    // A failure prints its text; there is no need to keep it in a file.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_too_strange(text in "(?s).{0,300}") {
        check(&text);
    }

    #[test]
    fn no_heap_of_pieces_is_too_strange(pieces in proptest::collection::vec(piece(), 0..40)) {
        check(&pieces.concat());
    }

    #[test]
    fn no_damage_to_a_good_gate_file_is_too_strange(
        cut in any::<prop::sample::Index>(),
        length in 0usize..30,
        insert in "(?s).{0,6}",
    ) {
        let borders: Vec<_> = EVERY_KEY.char_indices().map(|(at, _)| at).collect();
        let start = cut.index(borders.len());
        let end = (start + length).min(borders.len() - 1);
        let text = format!("{}{insert}{}", &EVERY_KEY[..borders[start]], &EVERY_KEY[borders[end]..]);
        check(&text);
        if let Err(errors) = plan::parse(Path::new("gate.toml"), &text) {
            let shown = errors.render(false);
            let whole = text.contains("ssh = { password = \"inline-password\" }");
            prop_assert!(!(whole && shown.contains("inline-password")), "{}", shown);
        }
    }

    #[test]
    fn columns_count_characters(prefix in "[a-zß→𐄁é\u{301} ]{0,20}") {
        let text = format!("gate = \"g\"\nimage = {{ iso = '{prefix}', zzz = 1 }}\n");
        let errors = plan::parse(Path::new("gate.toml"), &text).expect_err("an unknown key");
        let unknown = errors.diagnostics().iter().find(|it| it.message.contains("zzz")).expect("it is reported");
        prop_assert_eq!((unknown.line, unknown.column), (2, 21 + prefix.chars().count()));
    }
}

#[test]
fn a_good_gate_file_cut_anywhere_is_reported_in_its_text() {
    for (at, _) in EVERY_KEY.char_indices().step_by(7) {
        check(&EVERY_KEY[..at]);
    }
}

#[test]
fn deep_nesting_is_a_mistake_and_not_a_crash() {
    for text in ["a = ".to_owned() + &"[".repeat(100_000), "a.".repeat(100_000) + "a = 1"] {
        assert!(plan::parse(Path::new("gate.toml"), &text).is_err());
    }
}
