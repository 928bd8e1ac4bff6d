//! A run as OpenTelemetry spans: the run, its stages within it, their states within these, and all else as events.
//!
//! The form is that of OTLP, "OpenTelemetry Protocol Specification" 1.x. The ids are made of the run's uuid, so a run that
//! is exported twice is one trace.

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::evidence::RunInfo;
use crate::text::terminal_line;

use super::monitor::{QmpMoment, qmp_moments};
use super::timeline::{self, Moment, StageSpan, Timeline, text};

/// The most characters of a text that the guest may have written.
const TEXT_CHARS_MAX: usize = 512;
/// The most events of one span; those that come later are counted as dropped.
const EVENTS_MAX: usize = 512;

/// What a run's record says, and the attribute that says it. These names are part of the interface.
const ATTRIBUTES: [(&str, &str); 16] = [
    ("/event", "bootgate.event"),
    ("/to", "bootgate.state.next"),
    ("/confirmed_by", "bootgate.confirmed_by"),
    ("/detail", "bootgate.detail"),
    ("/deadline/kind", "bootgate.deadline.kind"),
    ("/deadline/left_ms", "bootgate.deadline.left_ms"),
    ("/evidence/file", "bootgate.evidence.file"),
    ("/evidence/offset_bytes", "bootgate.evidence.offset_bytes"),
    ("/evidence/quote", "bootgate.evidence.quote"),
    ("/outcome", "bootgate.stage.outcome"),
    ("/reached", "bootgate.stage.reached"),
    ("/class", "bootgate.verdict.class"),
    ("/cause", "bootgate.verdict.cause"),
    ("/title", "bootgate.verdict.title"),
    ("/rule", "bootgate.verdict.rule"),
    ("/symptom", "bootgate.verdict.symptom"),
];

/// What the result says of the image and the machine.
const RESOURCE: [(&str, &str); 5] = [
    ("/image/sha256", "bootgate.image.sha256"),
    ("/image/production/sha256", "bootgate.image.production.sha256"),
    ("/host/qemu_version", "bootgate.qemu.version"),
    ("/host/accelerator", "bootgate.accelerator"),
    ("/part", "bootgate.part"),
];

/// What the spans are made from.
#[derive(Debug, Clone, Copy)]
pub struct OtlpInputs<'a> {
    /// The run.
    pub info: &'a RunInfo,
    /// The records of its `trace.jsonl`.
    pub records: &'a [Value],
    /// Its `result.json`; `None` for a run without a verdict.
    pub result: Option<&'a Value>,
    /// The records of its `qmp.jsonl`, if it has any.
    pub qmp: &'a [Value],
}

/// The run as a request to a collector, in OTLP's JSON encoding.
pub fn otlp_json(inputs: &OtlpInputs<'_>) -> Result<Value, serde_json::Error> {
    serde_json::to_value(request(inputs))
}

/// The same in OTLP's binary encoding.
pub fn otlp_bytes(inputs: &OtlpInputs<'_>) -> Vec<u8> {
    request(inputs).encode_to_vec()
}

fn request(inputs: &OtlpInputs<'_>) -> ExportTraceServiceRequest {
    let info = inputs.info;
    let mut attributes = vec![
        key_value("service.name", "bootgate"),
        key_value("service.version", &info.bootgate_version),
        key_value("service.instance.id", &info.uuid.to_string()),
        key_value("bootgate.gate", &info.gate),
        key_value("bootgate.run.id", &info.id),
    ];
    attributes.extend(inputs.result.into_iter().flat_map(|result| listed(result, &RESOURCE)));
    let scope = InstrumentationScope {
        name: "bootgate".to_owned(),
        version: info.bootgate_version.clone(),
        ..InstrumentationScope::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes,
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: Exporter::new(inputs).spans(inputs),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// What all spans of a run share.
struct Exporter<'a> {
    info: &'a RunInfo,
    timeline: Timeline<'a>,
    qmp: Vec<QmpMoment>,
    /// The wall clock when the run's own clock stood at zero, in nanoseconds since 1970.
    zero_ns: u64,
}

impl<'a> Exporter<'a> {
    fn new(inputs: &OtlpInputs<'a>) -> Self {
        Self {
            info: inputs.info,
            timeline: Timeline::new(inputs.records),
            qmp: qmp_moments(inputs.qmp),
            zero_ns: zero_ns(inputs.info, inputs.records),
        }
    }

    fn spans(&self, inputs: &OtlpInputs<'_>) -> Vec<Span> {
        let run = self.id("run");
        let states: Vec<_> = self.timeline.stages.iter().flat_map(|stage| &stage.states).collect();
        let mut events = vec![Vec::new(); states.len()];
        let mut own = Vec::new();
        for (at_us, event) in self.events() {
            // A state stands until the next is entered; what comes after the last one is the run's.
            let state = states.iter().position(|state| at_us < state.to_us);
            state.map_or(&mut own, |state| &mut events[state]).push(event);
        }
        let mut spans = vec![self.run_span(&run, own, inputs)];
        let mut events = events.into_iter();
        for (number, stage) in self.timeline.stages.iter().enumerate() {
            let id = self.id(&format!("stage {number}"));
            spans.push(self.stage_span(stage, &id, &run));
            for (place, (state, events)) in stage.states.iter().zip(&mut events).enumerate() {
                spans.push(self.state_span(
                    (stage, state),
                    &self.id(&format!("stage {number} state {place}")),
                    &id,
                    events,
                ));
            }
        }
        spans
    }

    fn run_span(&self, id: &[u8], events: Vec<Event>, inputs: &OtlpInputs<'_>) -> Span {
        let verdict = self.timeline.verdict;
        let mut span = self.span(&format!("gate {}", self.info.gate), id, &[], (0, self.end_us()), events);
        span.attributes.push(key_value("bootgate.run.id", &self.info.id));
        span.attributes
            .extend(verdict.into_iter().flat_map(|verdict| listed(verdict, &ATTRIBUTES)));
        let exit_code = inputs.result.and_then(|result| result.pointer("/verdict/exit_code"));
        span.attributes
            .extend(exit_code.and_then(|code| attribute("bootgate.verdict.exit_code", code)));
        span.status = verdict.map(|verdict| {
            if text(verdict, "class") == "passed" {
                return ok();
            }
            span.attributes.push(key_value("error.type", text(verdict, "cause")));
            error(&format!("{}: {}", text(verdict, "cause"), text(verdict, "title")))
        });
        span
    }

    fn stage_span(&self, stage: &StageSpan<'_>, id: &[u8], run: &[u8]) -> Span {
        let stood = (stage.from_us(), stage.to_us());
        let mut span = self.span(&format!("stage {}", stage.name), id, run, stood, Vec::new());
        span.attributes.push(key_value("bootgate.stage.name", stage.name));
        if let Some(outcome) = stage.outcome {
            span.attributes.push(key_value("bootgate.stage.outcome", outcome));
        }
        span.status = match stage.outcome {
            Some("passed") => Some(ok()),
            Some("failed") => Some(error(
                self.timeline.verdict.map_or("", |verdict| text(verdict, "title")),
            )),
            _ => None,
        };
        span
    }

    fn state_span(
        &self,
        (stage, state): (&StageSpan<'_>, &timeline::Span<'_>),
        id: &[u8],
        parent: &[u8],
        events: Vec<Event>,
    ) -> Span {
        let stood = (state.from_us, state.to_us);
        let mut span = self.span(state.state, id, parent, stood, events);
        span.attributes.push(key_value("bootgate.stage.name", stage.name));
        span.attributes.push(key_value("bootgate.state", state.state));
        span.attributes
            .extend(state.left_by.into_iter().flat_map(|record| listed(record, &ATTRIBUTES)));
        let decided_here = self.timeline.verdict.filter(|verdict| {
            text(verdict, "class") != "passed"
                && (text(verdict, "stage"), text(verdict, "state")) == (stage.name, state.state)
        });
        span.status = decided_here.map(|verdict| error(text(verdict, "cause")));
        span
    }

    fn span(&self, name: &str, id: &[u8], parent: &[u8], (from_us, to_us): (u64, u64), mut events: Vec<Event>) -> Span {
        let dropped = events.len().saturating_sub(EVENTS_MAX);
        events.truncate(EVENTS_MAX);
        Span {
            trace_id: self.info.uuid.as_bytes().to_vec(),
            span_id: id.to_vec(),
            parent_span_id: parent.to_vec(),
            name: bounded(name),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: self.ns(from_us),
            end_time_unix_nano: self.ns(to_us),
            events,
            dropped_events_count: u32::try_from(dropped).unwrap_or(u32::MAX),
            ..Span::default()
        }
    }

    /// Notes, warnings, the verdict and the monitor's events, on one clock and in its order.
    fn events(&self) -> Vec<(u64, Event)> {
        let noted = self
            .timeline
            .moments
            .iter()
            .map(|moment| (moment.at_us, self.noted(moment)));
        let qmp = self
            .qmp
            .iter()
            .map(|moment| (moment.at_us, self.event(moment.at_us, &format!("QMP {}", moment.name))));
        let mut events: Vec<_> = noted.chain(qmp).collect();
        events.sort_by_key(|(at_us, _)| *at_us);
        events
    }

    fn noted(&self, moment: &Moment<'_>) -> Event {
        let mut event = self.event(moment.at_us, moment.what);
        event.attributes = listed(moment.record, &ATTRIBUTES).collect();
        event
    }

    fn event(&self, at_us: u64, name: &str) -> Event {
        Event {
            time_unix_nano: self.ns(at_us),
            name: bounded(name),
            ..Event::default()
        }
    }

    fn end_us(&self) -> u64 {
        let last = self.timeline.stages.last().map_or(0, StageSpan::to_us);
        last.max(self.timeline.end_us)
    }

    fn ns(&self, at_us: u64) -> u64 {
        self.zero_ns.saturating_add(at_us.saturating_mul(1000))
    }

    /// The first 8 bytes of a digest: an id of OTLP has this length, and may not be all zeros, which no digest begins with.
    fn id(&self, of: &str) -> Vec<u8> {
        let digest = Sha256::new()
            .chain_update(self.info.uuid.as_bytes())
            .chain_update(of)
            .finalize();
        digest[..8].to_vec()
    }
}

/// The first record that has both clocks ties them together; a trace without one begins when its run did.
fn zero_ns(info: &RunInfo, records: &[Value]) -> u64 {
    let both = records.iter().find_map(|record| {
        let wall: Timestamp = text(record, "wall").parse().ok()?;
        Some((wall, record.get("t_us")?.as_u64()?))
    });
    let (wall, at_us) = both.unwrap_or((info.started.parse().unwrap_or(Timestamp::UNIX_EPOCH), 0));
    let wall_ns = u64::try_from(wall.as_nanosecond()).unwrap_or(0);
    wall_ns.saturating_sub(at_us.saturating_mul(1000))
}

/// What a record says, as attributes.
fn listed(record: &Value, names: &'static [(&str, &str)]) -> impl Iterator<Item = KeyValue> {
    names
        .iter()
        .filter_map(|(place, name)| attribute(name, record.pointer(place)?))
}

fn attribute(name: &str, value: &Value) -> Option<KeyValue> {
    match value {
        Value::String(text) => Some(key_value(name, text)),
        Value::Number(number) => Some(with_value(name, any_value::Value::IntValue(number.as_i64()?))),
        _ => None,
    }
}

fn key_value(name: &str, value: &str) -> KeyValue {
    with_value(name, any_value::Value::StringValue(bounded(value)))
}

fn with_value(name: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// A viewer shows it, so it is as harmless as a line for a terminal.
fn bounded(text: &str) -> String {
    terminal_line(text, TEXT_CHARS_MAX)
}

fn ok() -> Status {
    Status {
        code: StatusCode::Ok.into(),
        message: String::new(),
    }
}

fn error(message: &str) -> Status {
    Status {
        code: StatusCode::Error.into(),
        message: bounded(message),
    }
}

/// What a collector says in its answer that it did not take. `None` if it took everything.
pub fn otlp_refusal(answer: &[u8]) -> Option<String> {
    let answer = ExportTraceServiceResponse::decode(answer).ok()?;
    let part = answer.partial_success.filter(|part| part.rejected_spans > 0)?;
    Some(format!(
        "{} spans: {}",
        part.rejected_spans,
        bounded(&part.error_message)
    ))
}
