//! JSON that may be printed: the same value, in characters that no terminal and no CI runner acts on.

use std::fmt::Write as _;

use serde_json::Value;

/// A value as JSON text of printable ASCII, over several lines if `pretty`. Everything else stands as `\u…`, so the value
/// that a program reads is the same; `##[`, which the runner of GitHub Actions obeys anywhere in a line, stands so too.
pub fn printable_json(value: &Value, pretty: bool) -> String {
    let text = if pretty {
        format!("{value:#}")
    } else {
        value.to_string()
    };
    let mut printable = String::with_capacity(text.len());
    let mut units = [0; 2];
    for c in text.chars() {
        match c {
            // Line feeds inside of strings are escaped already.
            ' '..='~' | '\n' => printable.push(c),
            _ => {
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(printable, "\\u{unit:04x}");
                }
            }
        }
    }
    // Outside of strings no JSON has a `#`.
    printable.replace("##[", "##\\u005b")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_runner_and_the_terminal_find_nothing() {
        let value = serde_json::json!({"quote": "\u{9b}31m ##[error]x\u{202e}\u{fffe}\u{7f}\u{1f600}\r\n::error::y"});
        let text = printable_json(&value, false);
        let expected = concat!(
            r###"{"quote":"\u009b31m ##\u005berror]x\u202e\ufffe\u007f\ud83d\ude00"###,
            r#"\r\n::error::y"}"#
        );
        assert_eq!(text, expected);
    }

    proptest! {
        #[test]
        fn the_value_stays(text in any::<String>(), pretty in any::<bool>()) {
            let value = serde_json::json!({ &text: [&text, 1, null] });
            let printed = printable_json(&value, pretty);
            prop_assert!(printed.chars().all(|c| c == '\n' || (' '..='~').contains(&c)));
            prop_assert!(!printed.contains("##["));
            prop_assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), value);
        }
    }
}
