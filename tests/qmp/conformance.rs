//! What the types can't read: from a schema, one sample of each event is built for each value that an enum in it has and
//! for each member that may be missing, and is read as an event.

use std::collections::{BTreeMap, BTreeSet};

use bootgate::qmp::QmpNotice;
use bootgate::qmp::session::{Output, Session, Waiter};
use serde_json::{Map, Value, json};

/// Types that contain themselves are followed this far.
const DEPTH_MAX: usize = 8;

/// The events that the gate decides by. All their samples must be readable.
const RELEVANT: &[&str] = &[
    "SHUTDOWN",
    "RESET",
    "STOP",
    "RESUME",
    "GUEST_PANICKED",
    "GUEST_CRASHLOADED",
    "BLOCK_IO_ERROR",
    "BLOCK_JOB_COMPLETED",
    "BLOCK_JOB_CANCELLED",
    "BLOCK_JOB_ERROR",
    "BLOCK_JOB_READY",
    "BLOCK_JOB_PENDING",
    "JOB_STATUS_CHANGE",
    "MIGRATION",
    "WATCHDOG",
    "POWERDOWN",
];

/// What `query-qmp-schema` says, by name.
struct Schema<'a>(BTreeMap<&'a str, &'a Value>);

impl<'a> Schema<'a> {
    fn new(schema: &'a Value) -> Self {
        let entries = schema.as_array().unwrap().iter();
        Self(entries.map(|entry| (entry["name"].as_str().unwrap(), entry)).collect())
    }

    /// Samples of a type; the first has all members.
    fn samples(&self, name: &Value, depth: usize) -> Vec<Value> {
        let entry = self.0[name.as_str().unwrap()];
        match entry["meta-type"].as_str().unwrap() {
            "builtin" => vec![match entry["json-type"].as_str().unwrap() {
                "string" => json!("text"),
                "int" => json!(1),
                "number" => json!(1.5),
                "boolean" => json!(true),
                "null" => Value::Null,
                _ => json!({}),
            }],
            "enum" => entry["values"].as_array().unwrap().clone(),
            "array" => {
                let elements = self.samples(&entry["element-type"], depth + 1);
                elements
                    .into_iter()
                    .map(|element| json!([element]))
                    .chain([json!([])])
                    .collect()
            }
            "object" => self.objects(entry, depth + 1),
            "alternate" => {
                let members = entry["members"].as_array().unwrap().iter();
                members
                    .flat_map(|member| self.samples(&member["type"], depth + 1))
                    .collect()
            }
            other => panic!("unknown meta-type {other}"),
        }
    }

    fn objects(&self, entry: &Value, depth: usize) -> Vec<Value> {
        let mut whole = Map::new();
        let mut variations: Vec<(String, Option<Value>)> = Vec::new();
        for member in entry["members"].as_array().unwrap() {
            let name = member["name"].as_str().unwrap().to_owned();
            let optional = member.get("default").is_some();
            if optional && depth > DEPTH_MAX {
                continue;
            }
            let mut samples = self.samples(&member["type"], depth).into_iter();
            whole.insert(name.clone(), samples.next().unwrap());
            variations.extend(samples.map(|sample| (name.clone(), Some(sample))));
            if optional {
                variations.push((name, None));
            }
        }
        let varied = variations.into_iter().map(|(name, sample)| {
            let mut object = whole.clone();
            match sample {
                Some(sample) => object.insert(name, sample),
                None => object.shift_remove(&name),
            };
            object
        });
        let objects: Vec<_> = std::iter::once(whole.clone()).chain(varied).collect();
        let Some(tag) = entry["tag"].as_str() else {
            return objects.into_iter().map(Value::Object).collect();
        };
        objects
            .into_iter()
            .flat_map(|object| self.with_variant(entry, tag, &object, depth))
            .collect()
    }

    /// The members that an object has because of the value of its tag.
    fn with_variant(&self, entry: &Value, tag: &str, object: &Map<String, Value>, depth: usize) -> Vec<Value> {
        let case = entry["variants"]
            .as_array()
            .unwrap()
            .iter()
            .find(|variant| Some(&variant["case"]) == object.get(tag));
        let parts = case.map_or_else(|| vec![json!({})], |variant| self.samples(&variant["type"], depth));
        let join = |part: Value| {
            let mut object = object.clone();
            object.extend(part.as_object().unwrap().clone());
            Value::Object(object)
        };
        parts.into_iter().map(join).collect()
    }
}

/// Only what describes events: the rest of a schema is much longer.
pub(crate) fn events_part(schema: &Value) -> Value {
    let by_name = Schema::new(schema).0;
    let mut wanted: Vec<&Value> = by_name
        .values()
        .copied()
        .filter(|entry| entry["meta-type"] == "event")
        .collect();
    let mut kept = BTreeMap::new();
    while let Some(entry) = wanted.pop() {
        if kept.insert(entry["name"].as_str().unwrap(), entry.clone()).is_some() {
            continue;
        }
        let parts = ["members", "variants"].map(|list| entry[list].as_array().into_iter().flatten());
        let types = parts.into_iter().flatten().map(|part| &part["type"]);
        let types = types
            .chain([&entry["arg-type"], &entry["element-type"]])
            .filter_map(Value::as_str);
        wanted.extend(types.map(|name| by_name[name]));
    }
    kept.into_values().collect()
}

struct Nobody;

impl Waiter for Nobody {
    fn is_waiting(&self) -> bool {
        false
    }
}

fn is_readable(event: &Value) -> bool {
    let mut session = Session::<Nobody>::default();
    session.receive(event.to_string().as_bytes());
    std::iter::from_fn(|| session.next_output())
        .any(|output| matches!(output, Output::Notice(QmpNotice::Event(event)) if event.typed.is_ok()))
}

/// How many samples there were, and which events have one that can't be read.
pub(crate) fn unreadable(schema: &Value) -> (usize, BTreeSet<String>) {
    let types = Schema::new(schema);
    let mut count = 0;
    let mut unreadable = BTreeSet::new();
    for event in schema
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["meta-type"] == "event")
    {
        for data in types.samples(&event["arg-type"], 0) {
            let timestamp = json!({"seconds": 1, "microseconds": 2});
            count += 1;
            if !is_readable(&json!({"event": event["name"], "data": data, "timestamp": timestamp})) {
                unreadable.insert(event["name"].as_str().unwrap().to_owned());
            }
        }
    }
    (count, unreadable)
}

/// Panics if an event that matters can't be read.
pub(crate) fn assert_relevant_are_readable(unreadable: &BTreeSet<String>) {
    let relevant: Vec<_> = unreadable
        .iter()
        .filter(|name| RELEVANT.contains(&name.as_str()))
        .collect();
    assert!(relevant.is_empty(), "the types of qapi can't read {relevant:?}");
}

#[test]
fn the_types_read_every_relevant_event_of_the_recorded_schemas() {
    let mut known = BTreeMap::new();
    for entry in crate::fixture::manifest()
        .file
        .into_iter()
        .filter(|entry| entry.path.ends_with("events.schema.json"))
    {
        let text = std::fs::read_to_string(crate::fixture::root().join(&entry.path)).unwrap();
        let schema: Value = serde_json::from_str(&text).unwrap();
        let (count, unreadable) = unreadable(&schema);
        assert!(count > 200, "{}: only {count} samples", entry.path);
        for name in RELEVANT {
            assert!(
                Schema::new(&schema).0.contains_key(name),
                "{} has no {name}",
                entry.path
            );
        }
        assert_relevant_are_readable(&unreadable);
        known.insert(entry.path, unreadable);
    }
    insta::assert_json_snapshot!(known);
}
