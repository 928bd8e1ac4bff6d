//! A trace for the viewers that read Chrome's trace event format: Perfetto, `chrome://tracing`, speedscope.
//! The format: "Trace Event Format", Google, 2016. Times are microseconds.

use serde_json::{Map, Value, json};

use crate::text::json_text;

use super::timeline::{Moment, Span, StageSpan, Timeline, text};

/// The track of stages and states.
const TRACK_STATES: u64 = 1;
/// The track of what is seen meanwhile.
const TRACK_MOMENTS: u64 = 2;

/// The trace as one JSON object: stages as slices, their states as slices within them, everything else as instants.
pub fn chrome_trace(run: &str, records: &[Value]) -> Value {
    let timeline = Timeline::new(records);
    let mut events = vec![
        name("process_name", 0, &format!("bootgate {run}")),
        name("thread_name", TRACK_STATES, "stages and states"),
        name("thread_name", TRACK_MOMENTS, "events"),
    ];
    for stage in &timeline.stages {
        events.push(stage_slice(stage));
        events.extend(stage.states.iter().map(state_slice));
    }
    events.extend(timeline.moments.iter().map(instant));
    json!({
        "displayTimeUnit": "ms",
        "otherData": { "run": json_text(run) },
        "traceEvents": events,
    })
}

fn name(what: &str, track: u64, name: &str) -> Value {
    json!({"ph": "M", "pid": 1, "tid": track, "name": what, "args": {"name": json_text(name)}})
}

fn slice(name: &str, category: &str, (from_us, to_us): (u64, u64), arguments: &Map<String, Value>) -> Value {
    json!({
        "ph": "X", "pid": 1, "tid": TRACK_STATES, "cat": category, "name": json_text(name),
        "ts": from_us, "dur": to_us - from_us, "args": arguments,
    })
}

fn stage_slice(stage: &StageSpan<'_>) -> Value {
    let outcome = stage
        .outcome
        .map(|outcome| ("outcome".to_owned(), json_text(outcome).into()));
    let arguments = outcome.into_iter().collect();
    slice(stage.name, "stage", (stage.from_us(), stage.to_us()), &arguments)
}

/// A state tells how it ended.
fn state_slice(span: &Span<'_>) -> Value {
    let arguments = span.left_by.map(particulars).unwrap_or_default();
    slice(span.state, "state", (span.from_us, span.to_us), &arguments)
}

fn instant(moment: &Moment<'_>) -> Value {
    json!({
        "ph": "i", "s": "t", "pid": 1, "tid": TRACK_MOMENTS, "cat": text(moment.record, "kind"),
        "name": json_text(moment.what), "ts": moment.at_us, "args": particulars(moment.record),
    })
}

/// What a record says beside its kind and time.
fn particulars(record: &Value) -> Map<String, Value> {
    let left_out = ["seq", "t_us", "wall", "kind", "what", "from"];
    let fields = record.as_object().into_iter().flatten();
    fields
        .filter(|(key, _)| !left_out.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
