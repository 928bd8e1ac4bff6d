//! The JSON Schema of gate files, for editors.

use serde_json::{Map, Value as Json, json};

use super::gate::ROOT;
use super::key::{AnyKey, Group, Need, StageWord, Table};

/// The JSON Schema (draft 7, which the TOML language servers read) of a gate file. Made from the same declarations that
/// the reader uses, so it knows the same keys. What holds between keys is checked by the reader only.
pub fn schema() -> Json {
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "bootgate gate file",
    });
    if let (Json::Object(schema), Json::Object(root)) = (&mut schema, table_schema(&ROOT)) {
        schema.extend(root);
    }
    schema
}

/// The schema of one table.
pub(super) fn table_schema(table: &Table) -> Json {
    let mut schema = Map::new();
    schema.insert("type".into(), json!("object"));
    schema.insert("description".into(), json!(table.doc));
    schema.insert("additionalProperties".into(), json!(false));
    let properties: Map<_, _> = table
        .keys
        .iter()
        .map(|key| (key.name().to_owned(), key_schema(*key)))
        .collect();
    schema.insert("properties".into(), Json::Object(properties));
    let required = required(table, None);
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    let each = |names: &[&str]| {
        names
            .iter()
            .map(|name| json!({ "required": [name] }))
            .collect::<Vec<_>>()
    };
    match table.group {
        Group::None => {}
        Group::ExactlyOne(names) => {
            schema.insert("oneOf".into(), json!(each(names)));
        }
        Group::AtLeastOne(names) => {
            schema.insert("anyOf".into(), json!(each(names)));
        }
    }
    if table.keys.iter().any(|key| !key.stages().is_empty()) {
        let kinds: Vec<_> = StageWord::ALL.iter().map(|kind| kind_schema(table, *kind)).collect();
        schema.insert("allOf".into(), json!(kinds));
    }
    Json::Object(schema)
}

fn required(table: &Table, stage: Option<StageWord>) -> Vec<&'static str> {
    let needed = table.keys.iter().filter(|key| key.need() == Need::Required);
    let here = needed.filter(|key| match stage {
        None => key.stages().is_empty(),
        Some(stage) => key.stages().contains(&stage),
    });
    here.map(|key| key.name()).collect()
}

fn key_schema(key: &dyn AnyKey) -> Json {
    let mut schema = key.schema();
    if let Json::Object(schema) = &mut schema {
        schema.insert("description".into(), json!(key.doc()));
        if let Need::Default(toml) = key.need()
            && let Ok(default) = toml::from_str::<Json>(&format!("value = {toml}"))
        {
            schema.insert("default".into(), default["value"].clone());
        }
    }
    schema
}

/// What holds for a stage of one kind: the keys it must have, and those it must not.
fn kind_schema(table: &Table, kind: StageWord) -> Json {
    let foreign = table
        .keys
        .iter()
        .filter(|key| !key.stages().is_empty() && !key.stages().contains(&kind));
    let foreign: Map<_, _> = foreign.map(|key| (key.name().to_owned(), json!(false))).collect();
    json!({
        "if": { "properties": { "kind": { "const": kind.as_str() } }, "required": ["kind"] },
        "then": { "required": required(table, Some(kind)), "properties": foreign },
    })
}
