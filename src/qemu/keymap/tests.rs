use super::*;
use proptest::prelude::*;

fn keys(text: &str) -> String {
    let strokes = strokes(text).unwrap();
    let strokes: Vec<String> = strokes.iter().map(|stroke| stroke.keys().join("+")).collect();
    strokes.join(" ")
}

/// The rows of a US keyboard (ANSI INCITS 154-1988), as they are printed on its keys, from left to right.
#[test]
fn shifts_are_those_of_the_layout() {
    for (plain, shifted) in [
        ("`1234567890-=", "~!@#$%^&*()_+"),
        ("qwertyuiop[]\\", "QWERTYUIOP{}|"),
        ("asdfghjkl;'", "ASDFGHJKL:\""),
        ("zxcvbnm,./", "ZXCVBNM<>?"),
    ] {
        for (plain, shifted) in plain.chars().zip(shifted.chars()) {
            let key = keys(&plain.to_string());
            assert!(!key.contains('+'), "{plain}: {key}");
            let shifted = if shifted == '<' {
                "<lt>".to_owned()
            } else {
                shifted.to_string()
            };
            assert_eq!(keys(&shifted), format!("shift+{key}"));
        }
    }
}

#[test]
fn text_and_keys_mix() {
    for (text, expected) in [
        ("Ab 1!\n", "shift+a b spc 1 shift+1 ret"),
        ("\t\u{8}\u{7f}\u{1b}", "tab backspace backspace esc"),
        ("<ret><TAB><Esc><up><f12>", "ret tab esc up f12"),
        ("<ctrl-alt-del>", "ctrl+alt+delete"),
        ("<ctrl-c><ctrl-C>", "ctrl+c ctrl+shift+c"),
        ("<alt-sysrq-b>", "alt+sysrq+b"),
        ("<capslock><ctrl-minus><shift-shift-a>", "caps_lock ctrl+minus shift+a"),
        ("a <lt> b > c", "a spc shift+comma spc b spc shift+dot spc c"),
        ("<a><$>", "a shift+4"),
        ("", ""),
    ] {
        assert_eq!(keys(text), expected, "{text:?}");
    }
}

#[test]
fn what_can_not_be_typed_is_named_with_its_place() {
    for (text, error) in [
        (
            "pass\u{fc}",
            "character 5, 'ü' (U+00FC), is not on a US keyboard; what can be typed is printable ASCII, a line feed, \
             a tab and keys in angle brackets, such as `<ret>`",
        ),
        (
            "ab\r",
            "character 3, '\\r' (U+000D), is not on a US keyboard; what can be typed is printable ASCII, a line feed, \
             a tab and keys in angle brackets, such as `<ret>`",
        ),
        (
            "äa",
            "character 1, 'ä' (U+00E4), is not on a US keyboard; what can be typed is printable ASCII, a line feed, \
             a tab and keys in angle brackets, such as `<ret>`",
        ),
        (
            "if a<b",
            "character 5 is a `<` that no `>` closes; a literal `<` is written `<lt>`",
        ),
        (
            "x<retrn>",
            "character 2 begins a key named \"retrn\", which is not known; `<ret>` is near; a literal `<` is written `<lt>`",
        ),
        (
            "<>",
            "character 1 begins a key named \"\", which is not known; a literal `<` is written `<lt>`",
        ),
        (
            "<ctrl-->",
            "character 1 begins a key named \"ctrl--\", which is not known; a literal `<` is written `<lt>`",
        ),
        (
            "<a-b-c-d-e-f-g>",
            "the keys that begin at character 1 are more than 6 together",
        ),
    ] {
        assert_eq!(strokes(text).unwrap_err().to_string(), error, "{text:?}");
    }
    assert_eq!(strokes(&"a".repeat(STROKES_MAX)).unwrap().len(), STROKES_MAX);
    assert_eq!(strokes(&"a".repeat(STROKES_MAX + 1)), Err(KeymapError::TooLong));
}

#[test]
fn qmp_arguments_are_as_qemu_reads_them() {
    let stroke = &strokes("A").unwrap()[0];
    assert_eq!(
        stroke.send_key().to_string(),
        r#"{"keys":[{"type":"qcode","data":"shift"},{"type":"qcode","data":"a"}],"hold-time":20}"#
    );
    let events = stroke.events();
    let order: Vec<String> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| format!("{} {}", event["data"]["key"]["data"], event["data"]["down"]))
        .collect();
    assert_eq!(
        order,
        ["\"shift\" true", "\"a\" true", "\"a\" false", "\"shift\" false"]
    );
    assert_eq!(events["events"][0]["type"], "key");
}

#[test]
fn a_long_text_is_sent_in_bursts_that_fit() {
    let strokes = strokes(&"aB".repeat(200)).unwrap();
    let bursts = bursts(&strokes);
    assert_eq!(bursts.iter().map(|burst| burst.strokes.len()).sum::<usize>(), 400);
    for burst in &bursts {
        let keys: usize = burst.strokes.iter().map(|stroke| stroke.keys().len()).sum();
        assert!((1..=BURST_KEYS_MAX).contains(&keys));
        assert_eq!(burst.takes.as_millis(), keys as u128 * 40);
    }
    assert_eq!(bursts.len(), 4);
    assert!(super::bursts(&[]).is_empty());
}

#[test]
fn a_line_is_typed_as_it_is_or_not_at_all() {
    let all: String = (' '..='~').collect();
    let typed = line(&all).unwrap();
    assert_eq!(typed.len(), all.len() + 1);
    assert_eq!(typed.last().unwrap().keys(), ["ret"]);
    for (text, position) in [("pa\u{df}", 3), ("a\tb", 2), ("<ret>\n", 6), ("\u{1b}", 1)] {
        assert_eq!(line(text), Err(NotTypable { position }), "{text:?}");
        assert!(!NotTypable { position }.to_string().contains(text), "{text:?}");
    }
}

proptest! {
    #[test]
    fn every_printable_character_is_typed(text in "[ -;=-~\n\t]{0,40}") {
        let strokes = strokes(&text).unwrap();
        prop_assert_eq!(strokes.len(), text.chars().count());
        for (stroke, character) in strokes.iter().zip(text.chars()) {
            let shifted = character.is_ascii_uppercase() || "~!@#$%^&*()_+{}|:\">?".contains(character);
            prop_assert_eq!(stroke.keys().len(), 1 + usize::from(shifted));
            prop_assert_eq!(stroke.keys()[0] == SHIFT, shifted);
        }
    }

    /// Two characters are never typed by the same keys.
    #[test]
    fn no_two_characters_share_their_keys(one in "[ -;=-~]", other in "[ -;=-~]") {
        prop_assert_eq!(strokes(&one) == strokes(&other), one == other);
    }

    #[test]
    fn any_text_is_typed_or_refused(text in any::<String>()) {
        let _ = strokes(&text);
    }
}
