//! Spans as a test looks at them.

use cli_support::run;
use serde_json::Value;

use crate::cli_support;

/// A span, with what the tests ask of it.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) from_ns: u64,
    pub(crate) to_ns: u64,
    /// 0 unset, 1 ok, 2 error.
    pub(crate) status: i64,
    /// When, and what.
    pub(crate) events: Vec<(u64, String)>,
    pub(crate) attributes: Vec<(String, Value)>,
}

impl Span {
    pub(crate) fn attribute(&self, name: &str) -> Option<&Value> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value)
    }
}

/// What `trace --format otlp` says of a run.
#[track_caller]
pub(crate) fn exported(run_directory: &str) -> (Value, Vec<Span>) {
    let seen = run(["trace", run_directory, "--format", "otlp"]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert_eq!(seen.stdout.lines().count(), 1, "one request is one line");
    let request = seen.json();
    let spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
        .as_array()
        .unwrap();
    let spans = spans.iter().map(span).collect();
    (request["resourceSpans"][0]["resource"].clone(), spans)
}

fn span(span: &Value) -> Span {
    let text = |name: &str| span[name].as_str().unwrap().to_owned();
    let events = span["events"].as_array().unwrap().iter();
    Span {
        name: text("name"),
        trace: text("traceId"),
        id: text("spanId"),
        parent: text("parentSpanId"),
        from_ns: text("startTimeUnixNano").parse().unwrap(),
        to_ns: text("endTimeUnixNano").parse().unwrap(),
        status: span["status"]["code"].as_i64().unwrap_or(0),
        events: events
            .map(|event| {
                let at_ns = event["timeUnixNano"].as_str().unwrap().parse().unwrap();
                (at_ns, event["name"].as_str().unwrap().to_owned())
            })
            .collect(),
        attributes: attributes(&span["attributes"]),
    }
}

/// Attributes, each with its value of whatever type.
pub(crate) fn attributes(list: &Value) -> Vec<(String, Value)> {
    let pair = |pair: &Value| {
        let value = pair["value"].as_object().unwrap().values().next().unwrap();
        (pair["key"].as_str().unwrap().to_owned(), value.clone())
    };
    list.as_array().unwrap().iter().map(pair).collect()
}
