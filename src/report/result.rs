//! `result.json`: the one answer of a run, for programs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::driver::Outcome;
use crate::evidence::RunInfo;
use crate::machine::{Cause, Class, EvidenceRef, Finding, RuleFacts, Verdict};
use crate::plan::Plan;
use crate::text::json_text;

use super::image::image_json;

/// The version of the result's form. It rises when a field changes its meaning.
const RESULT_VERSION: u32 = 1;

/// What the result is made from.
pub struct ResultInputs<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The run.
    pub info: &'a RunInfo,
    /// What the run came to.
    pub outcome: &'a Outcome,
    /// SHA-256 of the image, if it was read to its end in time.
    pub image_sha256: Option<String>,
    /// SHA-256 of the gate file without its secrets.
    pub gate_sha256: &'a str,
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The result as JSON.
pub fn result_json(inputs: &ResultInputs<'_>) -> Value {
    let ResultInputs {
        plan, info, outcome, ..
    } = inputs;
    let verdict = &outcome.verdict;
    json!({
        "version": RESULT_VERSION,
        "run": info.id,
        "run_uuid": info.uuid,
        "gate": plan.gate,
        "gate_file": plan.file,
        "gate_sha256": inputs.gate_sha256,
        "gate_stages": plan.stages.iter().map(|stage| &stage.name).collect::<Vec<_>>(),
        "part": outcome.part.only_stage().map(|stage| &plan.stages[stage].name),
        "publish": { "require": plan.require },
        "bootgate_version": info.bootgate_version,
        "started": info.started,
        "took_ms": ms(outcome.took),
        "verdict": {
            "class": verdict.class.as_str(),
            "exit_code": verdict.exit_code(),
            "cause": verdict.cause,
            "title": verdict.title,
            "detail": verdict.detail,
            "remedy": verdict.remedy,
            "stage": plan.stages[verdict.stage].name,
            "state": verdict.state.name(),
            "evidence": verdict.evidence.as_ref().map(evidence),
            "led_by": verdict.led_by.iter().map(evidence).collect::<Vec<_>>(),
            "symptom": verdict.symptom,
            "rule": verdict.rule.as_deref().map(|rule| rule_json("id", rule)),
            "root_cause": verdict.rule.as_ref().map(|rule| &rule.root_cause),
            "publishable": publishable(verdict),
            "confirmed_by": verdict.confirmed_by,
        },
        "stages": stages(plan, outcome),
        "image": image_json(plan, outcome, inputs.image_sha256.as_ref()),
        "host": outcome.host.as_ref().map(|host| json!({
            "qemu": host.qemu,
            "qemu_version": host.qemu_version,
            "accelerator": host.accelerator,
            "accelerator_why": host.accelerator_why,
            "cpu_model": host.cpu_model,
            "firmware": host.firmware,
            "deadline_scale_percent": host.scale_percent,
        })),
        "consoles": outcome.consoles.iter().map(|(file, summary)| json!({
            "file": file,
            "bytes_total": summary.bytes_total,
            "bytes_kept": summary.bytes_kept,
            "bytes_dropped": summary.bytes_dropped,
            "bytes_lost": summary.bytes_lost,
        })).collect::<Vec<_>>(),
        "trace_records_lost": outcome.trace_lost,
    })
}

fn stages(plan: &Plan, outcome: &Outcome) -> Vec<Value> {
    outcome
        .stages(plan)
        .map(|(stage, report)| {
            let since_start = |at: std::time::Instant| ms(at.duration_since(outcome.started));
            json!({
                "name": stage.name,
                "kind": stage.kind.as_str(),
                "outcome": report.outcome.as_str(),
                "claims": stage.claims.as_str(),
                "reached": report.reached.map(crate::plan::Evidence::as_str),
                "began_ms": report.began.map(since_start),
                "ended_ms": report.ended.map(since_start),
                "not_tested": report.not_tested,
                "remarks": report.remarks,
                "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
            })
        })
        .collect()
}

/// Whether the image may be published; `None` if nothing is known about it.
fn publishable(verdict: &Verdict) -> Option<bool> {
    match verdict.class {
        // Other runs have to say more before anything is published.
        Class::Passed if verdict.cause != Cause::EveryClaimProved.id() => None,
        Class::Passed => Some(true),
        Class::Failed => Some(false),
        Class::KnownFailure => Some(verdict.rule.as_ref().is_some_and(|rule| rule.publishable)),
        Class::Infrastructure | Class::Untestable | Class::Internal | Class::Cancelled => None,
    }
}

/// What a rule says, for a program; its id is called `id_key`.
pub fn rule_json(id_key: &str, rule: &RuleFacts) -> Value {
    json!({
        id_key: rule.id,
        "class": rule.class_name(),
        "cause": rule.cause,
        "title": rule.title,
        "root_cause": rule.root_cause,
        "remedy": rule.remedy,
        "tracker": rule.tracker,
        "publishable": rule.publishable,
        "expires": rule.expires,
        "expired": rule.is_expired,
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "rule": finding.rule.id,
        "class": finding.rule.class_name(),
        "cause": finding.rule.cause,
        "title": finding.rule.title,
        "evidence": evidence(&finding.evidence),
        "led_by": finding.led_by.iter().map(evidence).collect::<Vec<_>>(),
    })
}

fn evidence(evidence: &EvidenceRef) -> Value {
    json!({
        "file": evidence.file,
        "offset_bytes": evidence.offset_bytes,
        "quote": evidence.quote.as_ref().map(json_text),
    })
}
