//! The keys of a gate file, from its schema.

use std::fmt::Write as _;

use bootgate::plan;
use serde_json::Value;

use super::markdown::{MADE, code, table};

pub(super) fn page() -> String {
    let schema = plan::schema();
    let mut page = format!(
        "{MADE}\n# Gate file\n\nTOML. An unknown key is refused, with its place and the nearest key. A path is relative to the file. A size is a\n\
         number with a unit (`512MiB`), a time likewise (`90s`, `1m30s`). [fixtures/gate.schema.json](../../fixtures/gate.schema.json) is the\n\
         same for editors, with what each value may look like.\n"
    );
    section(&mut page, "The file itself", &schema, |_, child| !is_table(child));
    let tables = schema["properties"].as_object().unwrap().iter();
    for (key, child) in tables.filter(|(_, child)| is_table(child)) {
        let is_list = child["type"] == "array";
        let name = if is_list {
            format!("`[[{key}]]`")
        } else {
            format!("`[{key}]`")
        };
        let inner = if is_list { &child["items"] } else { child };
        section(&mut page, &name, inner, |_, _| true);
    }
    let every_key = include_str!("../../../fixtures/gates/every-key.toml");
    let _ = write!(page, "\n## Every key\n\n```toml\n{}\n```\n", every_key.trim_end());
    page
}

/// Has a section of its own.
fn is_table(schema: &Value) -> bool {
    schema["properties"].is_object() || schema["items"]["properties"].is_object()
}

fn section(page: &mut String, name: &str, schema: &Value, wanted: impl Fn(&str, &Value) -> bool) {
    let about = schema["description"].as_str().unwrap_or_default();
    let mut rows = Vec::new();
    keys(&mut rows, schema, "", &wanted);
    let _ = write!(
        page,
        "\n## {name}\n\n{about}\n\n{}",
        table(&["key", "value", "default", "meaning"], rows)
    );
}

/// A row for each key, and for the keys within it.
fn keys(rows: &mut Vec<Vec<String>>, schema: &Value, before: &str, wanted: &dyn Fn(&str, &Value) -> bool) {
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
    for (key, child) in schema["properties"].as_object().into_iter().flatten() {
        if !wanted(key, child) {
            continue;
        }
        let default = match &child["default"] {
            Value::Null if required.contains(&&Value::from(key.as_str())) => "required".to_owned(),
            Value::Null => String::new(),
            default => code(&default.to_string()),
        };
        let mut meaning = child["description"].as_str().unwrap_or_default().to_owned();
        if let Some(kinds) = kinds_with(schema, key) {
            meaning = format!("{meaning} Only in stages of kind {kinds}.");
        }
        rows.push(vec![code(&format!("{before}{key}")), value(child), default, meaning]);
        let inner = if child["items"].is_object() {
            &child["items"]
        } else {
            child
        };
        // Secrets and patterns are described in one place, by their form.
        if inner["properties"].is_object() {
            keys(rows, inner, &format!("{before}{key}."), &|_: &str, _: &Value| true);
        }
    }
}

/// The kinds of stages that have a key, where not all have it, and whether it must be there.
fn kinds_with(schema: &Value, key: &str) -> Option<String> {
    let cases = schema["allOf"].as_array()?;
    let with: Vec<_> = cases
        .iter()
        .filter(|case| case["then"]["properties"][key] != Value::Bool(false))
        .collect();
    let kinds: Vec<_> = with
        .iter()
        .filter_map(|case| case["if"]["properties"]["kind"]["const"].as_str().map(code))
        .collect();
    let must = |case: &&&Value| {
        case["then"]["required"]
            .as_array()
            .is_some_and(|keys| keys.contains(&key.into()))
    };
    let needed = if with.iter().any(|case| must(&case)) {
        ", and required there"
    } else {
        ""
    };
    (kinds.len() < cases.len()).then(|| format!("{}{needed}", kinds.join(" or ")))
}

/// What may stand there.
fn value(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<_> = words.iter().map(|word| code(&word.to_string())).collect();
        return words.join(", ");
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", value(&schema["items"])),
        Some("object") => "table".to_owned(),
        Some("integer") => range(schema, "number"),
        Some(name) => range(schema, name),
        None => {
            let choices = schema["anyOf"].as_array().into_iter().flatten();
            let forms: Vec<_> = choices.map(form).collect();
            forms.join(" or ")
        }
    }
}

fn range(schema: &Value, name: &str) -> String {
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Null, _) | (_, Value::Null) => name.to_owned(),
        (low, high) => format!("{name}, {low} to {high}"),
    }
}

/// One of several forms: `{ env = … }` for a table.
fn form(schema: &Value) -> String {
    let Some(keys) = schema["properties"].as_object() else {
        return value(schema);
    };
    let forms: Vec<_> = keys
        .keys()
        .filter(|key| *key != "name")
        .map(|key| format!("`{{ {key} = … }}`"))
        .collect();
    forms.join(" or ")
}
