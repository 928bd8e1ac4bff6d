//! Records of the machine as lines of `trace.jsonl`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::machine::{DeadlineKind, EvidenceRef, Record};
use crate::plan::{Evidence, Plan};
use crate::text::{Redactor, json_text};

/// A record as JSON, without its sequence number and times.
#[allow(clippy::too_many_lines, reason = "one arm a kind of record reads best in one piece")]
pub fn record_json(plan: &Plan, record: &Record, redactor: &Redactor) -> Map<String, Value> {
    let clean = |text: &str| String::from_utf8_lossy(&redactor.redact(text.as_bytes())).into_owned();
    let evidence = |evidence: &Option<EvidenceRef>| evidence.as_ref().map(|e| evidence_json(e, redactor));
    let stage_name = |stage: usize| plan.stages[stage].name.clone();
    let value = match record {
        Record::Transition {
            stage,
            from,
            to,
            event,
            confirmed_by,
            detail,
            evidence: at,
            deadline_left,
        } => json!({
            "kind": "transition",
            "stage": stage_name(*stage),
            "from": from.name(),
            "to": to.name(),
            "event": event,
            "confirmed_by": confirmed_by,
            "detail": clean(detail),
            "evidence": evidence(at),
            "deadline": deadline_left.map(|(kind, left)| deadline_json(kind, left)),
        }),
        Record::Note {
            state,
            what,
            detail,
            evidence: at,
        } => json!({
            "kind": "note",
            "state": state.name(),
            "what": what,
            "detail": clean(detail),
            "evidence": evidence(at),
        }),
        Record::DeadlineNear { state, kind, left } => json!({
            "kind": "deadline-near",
            "state": state.name(),
            "deadline": deadline_json(*kind, *left),
        }),
        Record::StageBegan { stage } => json!({"kind": "stage-began", "stage": stage_name(*stage)}),
        Record::StageEnded {
            stage,
            outcome,
            reached,
        } => json!({
            "kind": "stage-ended",
            "stage": stage_name(*stage),
            "outcome": outcome.as_str(),
            "reached": reached.map(Evidence::as_str),
        }),
        Record::Decided(verdict) => json!({
            "kind": "verdict",
            "stage": stage_name(verdict.stage),
            "state": verdict.state.name(),
            "class": verdict.class.as_str(),
            "cause": verdict.cause,
            "symptom": verdict.symptom,
            "rule": verdict.rule.as_ref().map(|rule| &rule.id),
            "title": verdict.title,
            "detail": clean(&verdict.detail),
            "evidence": evidence(&verdict.evidence),
        }),
    };
    let told = |value: &Value| !value.is_null() && value != "";
    match value {
        Value::Object(map) => map.into_iter().filter(|(_, value)| told(value)).collect(),
        _ => Map::new(),
    }
}

fn deadline_json(kind: DeadlineKind, left: Duration) -> Value {
    json!({
        "kind": kind.name(),
        "left_ms": u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
    })
}

fn evidence_json(evidence: &EvidenceRef, redactor: &Redactor) -> Value {
    let mut map = Map::new();
    map.insert("file".to_owned(), json!(evidence.file));
    if let Some(offset) = evidence.offset_bytes {
        map.insert("offset_bytes".to_owned(), json!(offset));
    }
    if let Some(quote) = &evidence.quote {
        map.insert("quote".to_owned(), json!(json_text(redactor.redact(quote.as_bytes()))));
    }
    Value::Object(map)
}
