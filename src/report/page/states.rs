//! What the trace tells, as tables: for who can't see the picture, and for who needs more.

use maud::{Markup, html};
use serde_json::Value;

use super::facts::{clock, shown, text};
use super::logs::Logs;
use super::verdict::evidence_link;
use crate::report::trace::{Span, StageSpan, Timeline};

/// The most rows of a table.
const ROWS_MAX: usize = 5000;
/// The most states in the table that is always shown.
const STATES_MAX: usize = 200;

/// Each state against the time that it had.
pub(super) fn states(timeline: &Timeline<'_>) -> Markup {
    let spans = timeline
        .stages
        .iter()
        .flat_map(|stage| stage.states.iter().map(move |span| (stage, span)));
    html! {
        div.wide tabindex="0" role="group" aria-label="States and their deadlines" { table.states {
            thead { tr { th scope="col" { "State" } th scope="col" { "Stage" } th scope="col" { "From" } th scope="col" { "Stood" }
                th scope="col" { "Of its time" } th scope="col" { "Deadline" } th scope="col" { "Left by" } } }
            tbody { @for (stage, span) in spans.take(STATES_MAX) { (state(stage, span)) } }
        } }
    }
}

fn state(stage: &StageSpan<'_>, span: &Span<'_>) -> Markup {
    let why = span.left_by.map(|record| text(record, "/event")).unwrap_or_default();
    let limit = Limit::of(stage, span);
    html! {
        tr {
            th scope="row" { (shown(span.state)) }
            td { (shown(stage.name)) }
            td { (clock(span.from_us)) }
            td { (format!("{:.1} s", std::time::Duration::from_micros(span.length_us()).as_secs_f64())) }
            @if let Some(limit) = &limit {
                @let (used, all) = (span.to_us.saturating_sub(limit.from_us), limit.to_us.saturating_sub(limit.from_us).max(1));
                @let percent = u128::from(used) * 100 / u128::from(all);
                td { meter min="0" max=(all) value=(used) high=(all / 5 * 4) aria-label={ "Time used at the end of " (shown(span.state)) } { (percent) " %" } " " (percent) " %" }
                td { (shown(limit.kind)) ", " (limit.to_us.saturating_sub(span.to_us) / 1_000_000) " s left" }
            } @else { td {} td {} }
            td { (why) }
        }
    }
}

/// Deadlines that begin with the state and run to its end. The others begin with an event, and the trace does not tell which.
const WHOLE: [&str; 10] = [
    "prepare",
    "power-down",
    "exit",
    "release",
    "unlock",
    "stop",
    "capture",
    "save",
    "journal",
    "discard",
];

/// The time that a state had.
pub(super) struct Limit<'a> {
    pub(super) kind: &'a str,
    /// When it began to run, in microseconds since the run began.
    pub(super) from_us: u64,
    /// When it would have passed.
    pub(super) to_us: u64,
}

impl<'a> Limit<'a> {
    /// The state's own, or else its stage's, if the trace tells it.
    pub(super) fn of(stage: &StageSpan<'a>, span: &Span<'a>) -> Option<Self> {
        let own = closest(span).filter(|(kind, _)| WHOLE.contains(kind));
        let of_stage = || {
            let (kind, to_us) = stage
                .states
                .iter()
                .filter_map(closest)
                .find(|(kind, _)| *kind == "stage")?;
            Some((kind, stage.from_us(), to_us))
        };
        let own = own.map(|(kind, to_us)| (kind, span.from_us, to_us));
        let (kind, from_us, to_us) = own.or_else(of_stage)?;
        Some(Self { kind, from_us, to_us }).filter(|limit| limit.to_us >= span.to_us)
    }
}

/// The deadline that was closest when a state was left: its kind, and when it would have passed.
fn closest<'a>(span: &Span<'a>) -> Option<(&'a str, u64)> {
    let deadline = span.left_by?.get("deadline")?;
    let left_us = deadline.get("left_ms")?.as_u64()?.saturating_mul(1000);
    Some((deadline.get("kind")?.as_str()?, span.to_us.saturating_add(left_us)))
}

/// Every transition and note.
pub(super) fn trace(timeline: &Timeline<'_>, logs: &Logs<'_>) -> Markup {
    let mut rows: Vec<(u64, Markup)> = timeline
        .stages
        .iter()
        .flat_map(|stage| transitions(stage, logs))
        .collect();
    for moment in timeline.moments.iter().filter(|moment| moment.what != "stage-ended") {
        rows.push((moment.at_us, row(moment.at_us, "", moment.what, moment.record, logs)));
    }
    rows.sort_by_key(|(at_us, _)| *at_us);
    rows.truncate(ROWS_MAX);
    html! {
        details {
            summary { "The trace as a table" }
            div.wide tabindex="0" role="group" aria-label="Trace" { table {
                thead { tr { th scope="col" { "At" } th scope="col" { "Stage" } th scope="col" { "What" } th scope="col" { "Why" } th scope="col" { "Evidence" } } }
                tbody { @for (_, row) in rows { (row) } }
            } }
        }
    }
}

fn transitions<'a>(stage: &'a StageSpan<'_>, logs: &'a Logs<'_>) -> impl Iterator<Item = (u64, Markup)> + 'a {
    stage.states.iter().filter_map(move |span| {
        let record = span.left_by?;
        let to = text(record, "/to");
        let what = format!("{} → {to}", shown(span.state));
        Some((span.to_us, row(span.to_us, stage.name, &what, record, logs)))
    })
}

fn row(at_us: u64, stage: &str, what: &str, record: &Value, logs: &Logs<'_>) -> Markup {
    let why: Vec<String> = ["/event", "/confirmed_by", "/class", "/cause", "/detail"]
        .iter()
        .map(|path| text(record, path))
        .filter(|part| !part.is_empty())
        .collect();
    html! {
        tr {
            td { (format!("{:.3} s", std::time::Duration::from_micros(at_us).as_secs_f64())) }
            td { (shown(stage)) }
            td { (shown(what)) }
            td { (why.join(" · ")) }
            td { @if let Some(evidence) = record.get("evidence") { (evidence_link(evidence, logs)) } }
        }
    }
}
