//! The logs of a run on its page, each with what was found in it.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};
use serde_json::Value;

use super::facts::{clock, file_link, lined, shown, text};
use super::log::{LogText, PageLog};
use crate::report::trace::Timeline;

/// The lines of a log that are there without a script.
const PLAIN_LINES: usize = 200;
/// The most places of a log that are named beside it.
const PLACES_MAX: usize = 60;

/// The logs, and where their lines are on the page.
pub(super) struct Logs<'a> {
    logs: Vec<(&'a PageLog, LogText)>,
    /// True if their files lie beside the page.
    is_beside: bool,
}

/// A place in a log that something is to be said of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    line: usize,
    /// False: it is what decided, or a finding.
    is_mark: bool,
    what: String,
}

impl<'a> Logs<'a> {
    pub(super) fn new(logs: &'a [PageLog], is_beside: bool) -> Self {
        let logs = logs.iter().map(|log| (log, LogText::new(log))).collect();
        Self { logs, is_beside }
    }

    /// The log and the line that hold a byte of a file.
    pub(super) fn find(&self, file: &str, offset_bytes: u64) -> Option<(String, usize)> {
        let at = self.logs.iter().position(|(log, _)| log.name == file)?;
        let line = self.logs[at].1.line_of(offset_bytes)?;
        Some((log_id(at), line))
    }

    /// Links to each.
    pub(super) fn links(&self) -> Markup {
        html! { @for (at, (log, _)) in self.logs.iter().enumerate() { li { a href={ "#" (log_id(at)) } { (lined(&log.title)) } } " " } }
    }

    /// Which part of which files a section shows.
    fn note(&self, log: &PageLog, text: &LogText) -> Markup {
        let end_bytes = log.offset_bytes + log.bytes.len() as u64;
        let ends = std::iter::once(0).chain(log.files.iter().map(|file| file.bytes.end));
        html! { p.note {
            (lined(&log.name)) ", " (text.lines()) " lines"
            @if log.files.is_empty() {
                @if text.offset_bytes > 0 { "; the first " (text.offset_bytes) " bytes are in the file only" }
            } @else {
                ": bytes " (text.offset_bytes) " to " (end_bytes) ". All that the run has kept:"
                @for (file, before_bytes) in log.files.iter().zip(ends) {
                    @if before_bytes > 0 { ";" }
                    @if file.bytes.start > before_bytes { " bytes " (before_bytes) " to " (file.bytes.start) " were not kept;" }
                    " " @if self.is_beside { (file_link(&file.name)) } @else { (lined(&file.name)) }
                    ", bytes " (file.bytes.start) " to " (file.bytes.end)
                }
            }
        } }
    }

    pub(super) fn sections(&self, result: &Value, timeline: &Timeline<'_>) -> Markup {
        html! { @for (at, (log, text)) in self.logs.iter().enumerate() {
            (section(at, log, text, &places(log, text, result, timeline), &self.note(log, text)))
        } }
    }
}

fn log_id(number: usize) -> String {
    format!("log-{number}")
}

/// What was found in a log, in the order of its lines.
fn places(log: &PageLog, lines: &LogText, result: &Value, timeline: &Timeline<'_>) -> Vec<Place> {
    let line_of = |evidence: &Value| {
        let offset = evidence.get("offset_bytes").and_then(Value::as_u64)?;
        let is_here = evidence.get("file").and_then(Value::as_str) == Some(&log.name);
        is_here.then(|| lines.line_of(offset))?
    };
    let list = |value: &Value, path: &str| {
        value
            .pointer(path)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut places = Vec::new();
    let mut add = |evidence: &Value, is_mark: bool, what: String| {
        if let Some(line) = line_of(evidence) {
            places.push(Place { line, is_mark, what });
        }
    };
    add(&result["verdict"]["evidence"], false, text(result, "/verdict/title"));
    for led_by in list(result, "/verdict/led_by") {
        add(&led_by, false, "led to the verdict".to_owned());
    }
    for finding in list(result, "/stages")
        .iter()
        .flat_map(|stage| list(stage, "/findings"))
    {
        add(&finding["evidence"], false, text(&finding, "/title"));
    }
    for moment in &timeline.moments {
        add(
            &moment.record["evidence"],
            true,
            format!("{} at {}", shown(moment.what), clock(moment.at_us)),
        );
    }
    // What decided came first, and marks last.
    places.truncate(PLACES_MAX);
    places.sort();
    // A finding says more than the mark at the same line.
    places.dedup_by(|next, first| next.line == first.line && (next.is_mark || next.what == first.what));
    places
}

fn section(number: usize, log: &PageLog, text: &LogText, places: &[Place], note: &Markup) -> Markup {
    let id = log_id(number);
    let plain: Vec<&str> = text.text.lines().rev().take(PLAIN_LINES).collect();
    let plain = lined(&plain.into_iter().rev().collect::<Vec<_>>().join("\n"));
    let numbers = |is_mark: bool| {
        let numbers = places.iter().filter(|place| place.is_mark == is_mark);
        numbers
            .map(|place| place.line.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let body = html! {
        (note)
        @if !places.is_empty() {
            ul.places aria-label="Found here" { @for place in places { li.found[!place.is_mark] {
                a href={ "#" (id) ":" (place.line) } { "line " (place.line) } " " (place.what)
            } } }
        }
        noscript { p { "Without a script, the last lines:" } pre { (plain) } }
        script type="application/json" { (PreEscaped(json_in_script(&text.text))) }
    };
    html! {
        section.log id=(id) aria-labelledby={ (id) "-heading" } data-found=(numbers(false)) data-marks=(numbers(true)) {
            h2 id={ (id) "-heading" } { (lined(&log.title)) }
            @if log.is_minor { details { summary { "Show " (lined(&log.name)) } (body) } } @else { (body) }
        }
    }
}

/// A JSON string that can't end the script element that it stands in.
fn json_in_script(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + text.len() / 8 + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '<' | '>' | '&' | '\u{0}'..='\u{1f}' => {
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            _ => json.push(c),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    proptest! {
        #[test]
        fn a_log_comes_back_whole_and_ends_no_element(text in "(?s).{0,200}") {
            let json = json_in_script(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            prop_assert!(!json.contains(['<', '>', '&', '\n']));
        }
    }

    #[test]
    fn of_many_places_those_are_kept_that_say_most() {
        let log = PageLog {
            name: "serial.log".to_owned(),
            title: "console".to_owned(),
            bytes: b"\n".repeat(500),
            offset_bytes: 0,
            files: Vec::new(),
            is_minor: false,
        };
        let evidence = |line: usize| json!({ "file": "serial.log", "offset_bytes": line - 1 });
        let findings: Vec<_> = (1..=100)
            .map(|line| json!({ "title": "a finding", "evidence": evidence(line) }))
            .collect();
        let result = json!({
            "verdict": { "title": "the verdict", "evidence": evidence(400) },
            "stages": [{ "findings": findings }],
        });
        let places = places(&log, &LogText::new(&log), &result, &Timeline::new(&[]));
        assert_eq!(places.len(), PLACES_MAX);
        assert!(
            places.is_sorted()
                && places
                    .iter()
                    .any(|place| place.line == 400 && place.what == "the verdict")
        );
    }
}
