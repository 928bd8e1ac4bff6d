//! The parts of a page that are read, not drawn: the verdict, the stages, the machine, the trace.

use maud::{Markup, html};
use serde_json::Value;

use crate::report::trace::{StageSpan, Timeline};
use crate::text::terminal_line;

use super::document::Lines;

/// The most characters of one text.
const TEXT_CHARS_MAX: usize = 4000;
/// The most rows of the trace.
const ROWS_MAX: usize = 5000;

/// A text of the result or of a record, as a person may read it.
pub(super) fn text(value: &Value, path: &str) -> String {
    let found = value.pointer(path);
    match found {
        Some(Value::String(text)) => terminal_line(text, TEXT_CHARS_MAX),
        Some(Value::Null) | None => String::new(),
        Some(other) => terminal_line(other.to_string(), TEXT_CHARS_MAX),
    }
}

/// The verdict: what a person who has ten seconds reads.
pub(super) fn verdict(result: &Value, lines: &Lines<'_>) -> Markup {
    let class = text(result, "/verdict/class");
    let part = |name: &str, path: &str| {
        let told = text(result, path);
        html! { @if !told.is_empty() { dt { (name) } dd { (told) } } }
    };
    html! {
        section #verdict class={ "verdict " (class) } {
            h1 { span.class { (class) } " " (text(result, "/verdict/title")) }
            dl {
                (part("Detail", "/verdict/detail"))
                (part("Why", "/verdict/root_cause"))
                (part("Do", "/verdict/remedy"))
                (part("Cause", "/verdict/cause"))
                (part("Rule", "/verdict/rule/id"))
                (part("Tracked", "/verdict/rule/tracker"))
                @if class == "known-failure" { dt { "Publish" } dd { (if result.pointer("/verdict/publishable") == Some(&Value::Bool(true)) { "the image may be published" } else { "no" }) } }
                @if let Some(evidence) = result.pointer("/verdict/evidence").filter(|evidence| evidence.is_object()) {
                    dt { "Evidence" } dd { (evidence_link(evidence, lines)) }
                }
                dt { "Run" } dd { (text(result, "/run")) ", " (text(result, "/started")) ", " (seconds(result.pointer("/took_ms"))) }
                dt { "Next" } dd { code { "bootgate inspect " (text(result, "/run")) } }
            }
        }
    }
}

/// Where the evidence lies, as a link to its line if it is on the page, with what stands there.
pub(super) fn evidence_link(evidence: &Value, lines: &Lines<'_>) -> Markup {
    let file = text(evidence, "/file");
    let offset = evidence.pointer("/offset_bytes").and_then(Value::as_u64);
    let quote = text(evidence, "/quote");
    let line = offset.and_then(|offset| lines.find(&file, offset));
    html! {
        @match (line, offset) {
            (Some((log, line)), _) => a href={ "#" (log) ":" (line) } { (file) " line " (line) },
            (None, Some(offset)) => span { (file) " at byte " (offset) },
            (None, None) => span { (file) },
        }
        @if !quote.is_empty() { " " q { (quote) } }
    }
}

/// What each stage claims and came to.
pub(super) fn stages(result: &Value, lines: &Lines<'_>) -> Markup {
    let stages = result.pointer("/stages").and_then(Value::as_array);
    html! {
        section #stages {
            h2 { "Stages" }
            div.wide { table {
                thead { tr { th scope="col" { "Stage" } th scope="col" { "Outcome" } th scope="col" { "Claims" } th scope="col" { "Reached" } th scope="col" { "Took" } th scope="col" { "Remarks and findings" } } }
                tbody { @for stage in stages.into_iter().flatten() {
                    tr {
                        th scope="row" { (text(stage, "/name")) }
                        td class={ "outcome " (text(stage, "/outcome")) } { (text(stage, "/outcome")) }
                        td { (text(stage, "/claims")) }
                        td { (text(stage, "/reached")) }
                        td { (took(stage)) }
                        td { (remarks(stage, lines)) }
                    }
                } }
            } }
        }
    }
}

fn remarks(stage: &Value, lines: &Lines<'_>) -> Markup {
    let list = |path: &str| {
        stage
            .pointer(path)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let (remarks, findings) = (list("/remarks"), list("/findings"));
    html! {
        @if !remarks.is_empty() || !findings.is_empty() {
            ul {
                @for remark in &remarks { li { (text(remark, "")) } }
                @for finding in &findings {
                    li {
                        (text(finding, "/title")) " (" (text(finding, "/class")) ", rule " (text(finding, "/rule")) ") "
                        @if let Some(evidence) = finding.get("evidence") { (evidence_link(evidence, lines)) }
                    }
                }
            }
        }
    }
}

fn took(stage: &Value) -> String {
    let at = |path: &str| stage.pointer(path).and_then(Value::as_u64);
    let (Some(began), Some(ended)) = (at("/began_ms"), at("/ended_ms")) else {
        return String::new();
    };
    seconds(Some(&ended.saturating_sub(began).into()))
}

fn seconds(ms: Option<&Value>) -> String {
    let ms = ms.and_then(Value::as_u64).unwrap_or(0);
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

/// Everything that a run was made of, as the result tells it.
pub(super) fn machine(result: &Value, argv: &str, gate: &str) -> Markup {
    let fact = |name: &str, path: &str| {
        let told = text(result, path);
        html! { @if !told.is_empty() { tr { th scope="row" { (name) } td { (told) } } } }
    };
    html! {
        section #machine {
            h2 { "Machine" }
            div.wide { table.facts { tbody {
                (fact("Image", "/image/source/source/iso"))
                (fact("Image's SHA-256", "/image/sha256"))
                (fact("QEMU", "/host/qemu_version"))
                (fact("Accelerator", "/host/accelerator"))
                (fact("Why", "/host/accelerator_why"))
                (fact("CPU model", "/host/cpu_model"))
                (fact("Firmware", "/host/firmware"))
                tr { th scope="row" { "Deadlines" } td { "× " (text(result, "/host/deadline_scale_percent")) " %" } }
                (fact("bootgate", "/bootgate_version"))
            } } }
            h3 { "How to reproduce" }
            p { "With the gate file " code { (text(result, "/gate_file")) } ": " code { "bootgate run " (text(result, "/gate_file")) } ". bootgate starts QEMU so:" }
            pre tabindex="0" { (lined(argv)) }
            details { summary { "The gate file, without its secrets" } pre tabindex="0" { (lined(gate)) } }
        }
    }
}

/// Text with its lines, and nothing that acts.
pub(super) fn lined(text: &str) -> String {
    crate::text::lines(text).join("\n")
}

/// Every transition and note, for who can't see the picture and for who needs more.
pub(super) fn trace(timeline: &Timeline<'_>, lines: &Lines<'_>) -> Markup {
    let mut rows: Vec<(u64, Markup)> = timeline
        .stages
        .iter()
        .flat_map(|stage| transitions(stage, lines))
        .collect();
    for moment in timeline.moments.iter().filter(|moment| moment.what != "stage-ended") {
        rows.push((moment.at_us, row(moment.at_us, "", moment.what, moment.record, lines)));
    }
    rows.sort_by_key(|(at_us, _)| *at_us);
    rows.truncate(ROWS_MAX);
    html! {
        details {
            summary { "The trace as a table" }
            div.wide { table {
                thead { tr { th scope="col" { "At" } th scope="col" { "Stage" } th scope="col" { "What" } th scope="col" { "Why" } th scope="col" { "Evidence" } } }
                tbody { @for (_, row) in rows { (row) } }
            } }
        }
    }
}

fn transitions<'a>(stage: &'a StageSpan<'_>, lines: &'a Lines<'_>) -> impl Iterator<Item = (u64, Markup)> + 'a {
    stage.states.iter().filter_map(move |span| {
        let record = span.left_by?;
        let to = text(record, "/to");
        let what = format!("{} → {to}", terminal_line(span.state, TEXT_CHARS_MAX));
        Some((span.to_us, row(span.to_us, stage.name, &what, record, lines)))
    })
}

fn row(at_us: u64, stage: &str, what: &str, record: &Value, lines: &Lines<'_>) -> Markup {
    let why: Vec<String> = ["/event", "/confirmed_by", "/class", "/cause", "/detail"]
        .iter()
        .map(|path| text(record, path))
        .filter(|part| !part.is_empty())
        .collect();
    html! {
        tr {
            td { (format!("{:.3} s", std::time::Duration::from_micros(at_us).as_secs_f64())) }
            td { (terminal_line(stage, TEXT_CHARS_MAX)) }
            td { (terminal_line(what, TEXT_CHARS_MAX)) }
            td { (why.join(" · ")) }
            td { @if let Some(evidence) = record.get("evidence") { (evidence_link(evidence, lines)) } }
        }
    }
}
