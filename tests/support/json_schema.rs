//! A reader of JSON Schema: the part of it that our schemas use. A keyword of another part is a panic.

use serde_json::{Map, Value as Json};

/// What does not fit into a schema, as lines. Empty: all of it fits.
pub(crate) fn misfits(schema: &Json, value: &Json) -> Vec<String> {
    Reader { root: schema }.misfits(schema, value)
}

struct Reader<'a> {
    /// What `$ref` begins at.
    root: &'a Json,
}

impl Reader<'_> {
    fn misfits(&self, schema: &Json, value: &Json) -> Vec<String> {
        let Json::Object(schema) = schema else {
            return if schema == &Json::Bool(false) {
                vec![format!("{value} is forbidden")]
            } else {
                Vec::new()
            };
        };
        let all = schema.iter();
        all.flat_map(|(keyword, rule)| self.keyword_misfits(schema, keyword, rule, value))
            .collect()
    }

    fn keyword_misfits(&self, schema: &Map<String, Json>, keyword: &str, rule: &Json, value: &Json) -> Vec<String> {
        let fits = |schema: &Json| self.misfits(schema, value).is_empty();
        let list = rule.as_array().map_or(&[][..], Vec::as_slice);
        let text = value.as_str();
        let number = |json: &Json| json.as_f64();
        let fine = match keyword {
            "$schema" | "$defs" | "title" | "description" | "default" | "format" | "then" => true,
            "$ref" => {
                let place = rule
                    .as_str()
                    .and_then(|place| place.strip_prefix('#'))
                    .expect("a place in this schema");
                let schema = self.root.pointer(place).unwrap_or_else(|| panic!("{place} is nowhere"));
                return self.misfits(schema, value);
            }
            "type" if rule.is_array() => list.iter().any(|kind| is_of(kind, value)),
            "type" => is_of(rule, value),
            "enum" => list.contains(value),
            "const" => rule == value,
            "minLength" => text.is_none_or(|text| text.chars().count() as u64 >= rule.as_u64().unwrap_or(0)),
            "maxLength" => text.is_none_or(|text| text.chars().count() as u64 <= rule.as_u64().unwrap_or(0)),
            "minimum" => number(value).is_none_or(|it| Some(it) >= number(rule)),
            "maximum" => number(value).is_none_or(|it| Some(it) <= number(rule)),
            "pattern" => {
                let pattern = regex::Regex::new(rule.as_str().unwrap_or_default()).expect("a pattern of the schema");
                text.is_none_or(|text| pattern.is_match(text))
            }
            "required" => list
                .iter()
                .all(|key| value.get(key.as_str().unwrap_or_default()).is_some()),
            "anyOf" => list.iter().any(fits),
            "oneOf" => list.iter().filter(|schema| fits(schema)).count() == 1,
            "allOf" => return list.iter().flat_map(|schema| self.misfits(schema, value)).collect(),
            "if" => {
                return if fits(rule) {
                    self.misfits(&schema["then"], value)
                } else {
                    Vec::new()
                };
            }
            "items" => {
                let items = value.as_array().into_iter().flatten();
                return items.flat_map(|item| self.misfits(rule, item)).collect();
            }
            "properties" => {
                let entries = value.as_object().into_iter().flatten();
                let known = entries.filter_map(|(key, value)| Some((rule.get(key)?, value)));
                return known.flat_map(|(rule, value)| self.misfits(rule, value)).collect();
            }
            "additionalProperties" => {
                let known = |key: &String| schema["properties"].get(key).is_some();
                *rule == Json::Bool(false) && value.as_object().is_none_or(|table| table.keys().all(known))
            }
            other => panic!("the schema uses `{other}`, which this reader does not know"),
        };
        if fine {
            Vec::new()
        } else {
            vec![format!("{value} does not fit {keyword} {rule}")]
        }
    }
}

fn is_of(kind: &Json, value: &Json) -> bool {
    match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        other => panic!("type {other:?}"),
    }
}
