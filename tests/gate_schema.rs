//! The JSON Schema of gate files: it is the committed one, it knows the parser's keys, and it accepts what is right.

#[path = "support/json_schema.rs"]
mod json_schema;

use std::path::{Path, PathBuf};

use bootgate::plan;
use json_schema::misfits;
use serde_json::Value as Json;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let file = fixtures().join("gate.schema.json");
    let generated = format!("{:#}\n", plan::schema());
    if std::env::var_os("BOOTGATE_BLESS").is_some_and(|it| it == "1") {
        std::fs::write(&file, &generated).expect("the fixtures can be written");
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == generated,
        "{} is not what the keys of the gate file say; write it anew with\n    BOOTGATE_BLESS=1 cargo test --test gate_schema\nand look at the difference",
        file.display()
    );
}

/// A value that no key of a gate file accepts.
const NEVER_RIGHT: &str = "1979-05-27";

/// Every place that the schema gives a name to, as a gate file that has [`NEVER_RIGHT`] there.
fn gate_files_with_one_key(node: &Json, wrap: &dyn Fn(&str) -> String, found: &mut Vec<(String, String)>) {
    for choice in node["anyOf"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|choice| choice["type"] == "object")
    {
        gate_files_with_one_key(choice, wrap, found);
    }
    if node["items"].is_object() {
        gate_files_with_one_key(&node["items"], &|inner| wrap(&format!("[{inner}]")), found);
    }
    for (key, value) in node["properties"].as_object().into_iter().flatten() {
        let kind = kind_with(node, key);
        let field = |inner: &str| wrap(&format!("{{ {kind}{key} = {inner} }}"));
        found.push((key.clone(), field(NEVER_RIGHT)));
        gate_files_with_one_key(value, &field, found);
    }
}

/// `kind = "…", ` of a kind of stage that has the key.
fn kind_with(node: &Json, key: &str) -> String {
    let rules = node["allOf"].as_array().into_iter().flatten();
    let allowing = rules.filter(|rule| rule["then"]["properties"][key] != Json::Bool(false) && key != "kind");
    let kinds: Vec<_> = allowing
        .filter_map(|rule| rule["if"]["properties"]["kind"]["const"].as_str())
        .collect();
    kinds
        .first()
        .map_or_else(String::new, |kind| format!("kind = \"{kind}\", "))
}

/// The whole gate file is one inline table here; taking off its braces makes it a document.
fn document(table: &str) -> String {
    table
        .strip_prefix("{ ")
        .and_then(|it| it.strip_suffix(" }"))
        .expect("the outermost table")
        .to_owned()
}

#[test]
fn the_parser_reads_every_key_of_the_schema() {
    let mut found = Vec::new();
    gate_files_with_one_key(&plan::schema(), &str::to_owned, &mut found);
    assert!(found.len() > 70, "only {} keys", found.len());
    for (key, table) in found {
        let text = document(&table);
        let at = text.find(NEVER_RIGHT).expect("the value is there");
        let errors = plan::parse(Path::new("gate.toml"), &text).expect_err("a date is never right");
        let complained = errors
            .diagnostics()
            .iter()
            .any(|it| it.span == (at..at + NEVER_RIGHT.len()));
        assert!(complained, "nobody reads `{key}` in\n{text}\n{errors}");
        assert!(!errors.to_string().contains("unknown key"), "{errors}");
    }
}

#[test]
fn the_parser_refuses_every_key_that_is_not_in_the_schema() {
    let mut found = Vec::new();
    gate_files_with_one_key(&plan::schema(), &str::to_owned, &mut found);
    for (key, table) in found {
        let place = table
            .rfind(&format!("{key} = {NEVER_RIGHT}"))
            .expect("the key is there");
        let (before, after) = document(&format!("{}zzz{}", &table[..place], &table[place + key.len()..]))
            .split_once("zzz")
            .map(|(before, after)| (before.to_owned(), after.to_owned()))
            .expect("the key was put there");
        let text = format!("{before}zzz{after}");
        let errors = plan::parse(Path::new("gate.toml"), &text).expect_err("an unknown key");
        let complained = errors.diagnostics().iter().any(|it| it.span.start == before.len());
        assert!(complained, "`zzz` is taken in\n{text}\n{errors}");
    }
}

fn toml_as_json(path: &Path) -> Json {
    let text = std::fs::read_to_string(path).expect("a fixture is readable");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_schema_accepts_the_good_gate_files() {
    let schema = plan::schema();
    let entries = std::fs::read_dir(fixtures().join("gates")).expect("the fixtures are part of the repository");
    let paths = entries.map(|entry| entry.expect("a readable directory").path());
    let files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
        .collect();
    assert!(files.len() >= 2);
    for file in files {
        assert_eq!(
            misfits(&schema, &toml_as_json(&file)),
            Vec::<String>::new(),
            "{}",
            file.display()
        );
    }
}

#[test]
fn the_schema_sees_what_can_be_seen_without_bootgate() {
    for name in [
        "11-stage-missing",
        "12-unknown-key-near",
        "19-size-without-unit",
        "20-size-as-integer",
        "28-cpus-out-of-range",
        "31-choice-near",
        "34-name-malformed",
        "40-image-with-two-sources",
        "48-pattern-empty",
        "59-ssh-without-secret",
        "73-stage-key-of-another-kind",
        "78-command-missing",
        "93-upload-to-directory",
    ] {
        let file = fixtures().join(format!("gates/bad/{name}.toml"));
        assert_ne!(
            misfits(&plan::schema(), &toml_as_json(&file)),
            Vec::<String>::new(),
            "{name}"
        );
    }
}
