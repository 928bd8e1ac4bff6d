//! What a person who has ten seconds reads: the verdict, why, and how far each stage came.

use maud::{Markup, html};
use serde_json::Value;

use super::facts::{seconds, shown, text, when};
use super::logs::Logs;
use crate::machine::Class;
use crate::report::catalogue::explained_by;
use crate::report::human::names_only_the_rule;
use crate::report::trace::Timeline;

/// The verdict, with what it means.
pub(super) fn verdict(result: &Value, timeline: &Timeline<'_>, logs: &Logs<'_>) -> Markup {
    let class = text(result, "/verdict/class");
    let title = text(result, "/verdict/title");
    let meaning = Class::of_name(&class).map(Class::meaning);
    let meaning = meaning.filter(|meaning| *meaning != title);
    let row = |name: &str, told: &str| html! { @if !told.is_empty() { dt { (name) } dd { (told) } } };
    let part = |name: &str, path: &str| row(name, &text(result, path));
    let rule = text(result, "/verdict/rule/id");
    let detail = text(result, "/verdict/detail");
    let detail = Some(detail).filter(|detail| !names_only_the_rule(detail, Some(&rule)));
    html! {
        section #verdict class={ "verdict " (class) } aria-labelledby="verdict-heading" {
            h1 #verdict-heading { span.class { (class) } " " (title) }
            @if let Some(meaning) = meaning { p.meaning { (meaning) } }
            (strip(result, timeline))
            dl {
                (place(result, &class))
                @if let Some(evidence) = result.pointer("/verdict/evidence").filter(|evidence| evidence.is_object()) {
                    dt { "Evidence" } dd { (evidence_link(evidence, logs)) }
                }
                (part("Why", "/verdict/root_cause"))
                (part("Do", "/verdict/remedy"))
                (row("Detail", &detail.unwrap_or_default()))
                (part("Cause", "/verdict/cause"))
                (row("Rule", &rule))
                (part("Tracked", "/verdict/rule/tracker"))
                @if class == "known-failure" { dt { "Publish" } dd { (if result.pointer("/verdict/publishable") == Some(&Value::Bool(true)) { "the image may be published" } else { "no" }) } }
                (run(result))
            }
        }
    }
}

fn place(result: &Value, class: &str) -> Markup {
    let (stage, state) = (text(result, "/verdict/stage"), text(result, "/verdict/state"));
    html! { @if class != "passed" && !stage.is_empty() { dt { "Where" } dd { "stage " strong { (stage) } ", state " (state) } } }
}

/// The run, and the next commands.
fn run(result: &Value) -> Markup {
    let run = text(result, "/run");
    let told: Vec<String> = [
        run.clone(),
        when(&text(result, "/started")),
        result
            .get("took_ms")
            .map(|took| seconds(Some(took)))
            .unwrap_or_default(),
    ]
    .into_iter()
    .filter(|part| !part.is_empty())
    .collect();
    let explain = explained_by(&text(result, "/verdict/class"), &text(result, "/verdict/cause"));
    let inspect = (!run.is_empty()).then(|| format!("bootgate inspect {run}"));
    let next: Vec<String> = inspect.into_iter().chain(explain).collect();
    html! {
        @if !told.is_empty() { dt { "Run" } dd { (told.join(", ")) } }
        @if !next.is_empty() { dt { "Next" } dd { @for (at, command) in next.iter().enumerate() { @if at > 0 { br; } code { (command) } } } }
    }
}

/// The stages in one row: how far the run came. Of a run without a result it is what the trace knows.
fn strip(result: &Value, timeline: &Timeline<'_>) -> Markup {
    let stages = result.pointer("/stages").and_then(Value::as_array);
    let known = stages.into_iter().flatten().map(|stage| {
        let (name, outcome) = (text(stage, "/name"), text(stage, "/outcome"));
        (name, outcome, took(stage))
    });
    let mut steps: Vec<(String, String, String)> = known.collect();
    if steps.is_empty() {
        steps.extend(timeline.stages.iter().map(|stage| {
            let took = seconds(Some(&(stage.to_us().saturating_sub(stage.from_us()) / 1000).into()));
            (shown(stage.name), shown(stage.outcome.unwrap_or("undecided")), took)
        }));
    }
    html! {
        ol.strip aria-label="Stages" { @for (name, outcome, took) in &steps {
            li class=(outcome) {
                span.sign aria-hidden="true" { (sign(outcome)) } " " strong { (name) } " " (outcome) @if !took.is_empty() { ", " (took) }
            }
        } }
    }
}

fn sign(outcome: &str) -> &'static str {
    match outcome {
        "passed" => "✓",
        "failed" => "✗",
        "not-reached" | "skipped" | "not-tested" => "–",
        _ => "?",
    }
}

/// How long a stage took.
pub(super) fn took(stage: &Value) -> String {
    let at = |path: &str| stage.pointer(path).and_then(Value::as_u64);
    let (Some(began), Some(ended)) = (at("/began_ms"), at("/ended_ms")) else {
        return String::new();
    };
    seconds(Some(&ended.saturating_sub(began).into()))
}

/// Where the evidence lies, as a link to its line if it is on the page, with what stands there.
pub(super) fn evidence_link(evidence: &Value, logs: &Logs<'_>) -> Markup {
    let file = text(evidence, "/file");
    let offset = evidence.pointer("/offset_bytes").and_then(Value::as_u64);
    let quote = text(evidence, "/quote");
    let line = offset.and_then(|offset| logs.find(&file, offset));
    html! {
        @match (line, offset) {
            (Some((log, line)), _) => a href={ "#" (log) ":" (line) } { (file) " line " (line) },
            (None, Some(offset)) => span { (file) " at byte " (offset) },
            (None, None) if file == "trace.jsonl" => a href="#timeline" { (file) },
            (None, None) => span { (file) },
        }
        @if !quote.is_empty() { " " q { (quote) } }
    }
}
