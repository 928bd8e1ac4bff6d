//! What every kind of value needs: the type that is there, and the text of a string.

use toml::de::DeValue;

use super::context::Context;
use super::diagnostic::Mistake;
use super::key::Field;

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A value of another type than the key has.
pub(super) fn wrong_type(field: &Field<'_>, expected: &str) -> Mistake {
    wrong_type_but(field, expected, format!("expected {expected}"))
}

/// The same with a label that knows better what was meant.
pub(super) fn wrong_type_but(field: &Field<'_>, expected: &str, label: String) -> Mistake {
    let found = type_name(field.value.get_ref());
    let message = format!("`{}` must be {expected}, not {found}", field.name);
    Mistake::new(field.value.span(), message, label)
}

/// The text of a string value. `expected` says what the text means.
pub(super) fn string<'a>(field: &Field<'a>, expected: &str, cx: &Context<'_>) -> Option<&'a str> {
    let value = field.value;
    let Some(text) = value.get_ref().as_str() else {
        let mistake = match value.get_ref() {
            // A number where a string is due only lacks its quotes.
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                let written = cx.text.get(value.span()).unwrap_or_default();
                wrong_type_but(field, expected, format!("write `\"{written}\"`"))
            }
            _ => wrong_type(field, expected),
        };
        cx.report(mistake);
        return None;
    };
    if text.contains('\0') {
        let message = format!("`{}` holds a NUL character", field.name);
        cx.report(Mistake::new(
            value.span(),
            message,
            "no argument and no path can hold one",
        ));
        return None;
    }
    Some(text)
}

/// The one thing wrong with a value, at the value itself.
pub(super) fn bad_value(field: &Field<'_>, message: impl Into<String>, label: impl Into<String>) -> Mistake {
    Mistake::new(field.value.span(), message, label)
}

/// Words as people list them: `a, b or c`.
pub(super) fn or_list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [word] => word.clone(),
        [words @ .., last] => format!("{} or {last}", words.join(", ")),
    }
}
