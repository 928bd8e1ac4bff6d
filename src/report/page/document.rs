//! The whole page: one file, no network, nothing of a guest's that acts.

use std::fmt::Write as _;

use base64ct::{Base64, Encoding as _};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::report::trace::{Timeline, qmp_moments};

use super::PagePicture;
use super::chart::{chart, ours};
use super::facts;
use super::log::{LogText, PageLog};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// The lines of a log that are there without a script.
const PLAIN_LINES: usize = 200;

/// What a page shows.
#[derive(Debug, Clone, Default)]
pub struct PageInputs<'a> {
    /// `result.json`.
    pub result: Value,
    /// The records of `trace.jsonl`.
    pub records: &'a [Value],
    /// The records of `qmp.jsonl`.
    pub qmp: &'a [Value],
    /// Consoles and the output of commands.
    pub logs: Vec<PageLog>,
    /// Pictures of the screen, in order.
    pub pictures: Vec<PagePicture>,
    /// QEMU's command lines.
    pub argv: String,
    /// The gate file, without its secrets.
    pub gate: String,
}

/// Where the lines of the logs are on the page.
pub(super) struct Lines<'a>(Vec<(&'a str, LogText)>);

impl Lines<'_> {
    /// The log and the line that hold a byte of a file.
    pub(super) fn find(&self, file: &str, offset_bytes: u64) -> Option<(String, usize)> {
        let at = self.0.iter().position(|(name, _)| *name == file)?;
        let line = self.0[at].1.line_of(offset_bytes)?;
        Some((log_id(at), line))
    }
}

fn log_id(number: usize) -> String {
    format!("log-{number}")
}

/// The page of a run.
pub fn report_page(inputs: &PageInputs<'_>) -> String {
    let timeline = Timeline::new(inputs.records);
    let lines = Lines(
        inputs
            .logs
            .iter()
            .map(|log| (log.name.as_str(), LogText::new(log)))
            .collect(),
    );
    let result = &inputs.result;
    let title = format!(
        "{}: {}",
        facts::text(result, "/verdict/class"),
        facts::text(result, "/run")
    );
    let body = html! {
        a.skip href="#verdict" { "Skip to the verdict" }
        header { p { "bootgate report of gate " strong { (facts::text(result, "/gate")) } }
            nav aria-label="Parts of this page" {
                a href="#stages" { "Stages" } " " a href="#timeline" { "Timeline" } " "
                @if !inputs.pictures.is_empty() { a href="#screens" { "Screens" } " " }
                @for (at, log) in inputs.logs.iter().enumerate() { a href={ "#" (log_id(at)) } { (facts::lined(&log.title)) } " " }
                a href="#machine" { "Machine" }
            }
        }
        main {
            (facts::verdict(result, &lines))
            (facts::stages(result, &lines))
            section #timeline {
                h2 { "Timeline" }
                div.wide tabindex="0" role="group" aria-label="Timeline" { (chart(&timeline, &qmp_moments(inputs.qmp))) }
                (facts::trace(&timeline, &lines))
            }
            (screens(&inputs.pictures))
            @for (at, (log, (_, text))) in inputs.logs.iter().zip(&lines.0).enumerate() { (log_section(at, log, text)) }
            (facts::machine(result, &inputs.argv, &inputs.gate))
        }
    };
    document(&title, &body)
}

/// Only this one script and this one style run, whatever a guest may have got past the encoders.
fn document(title: &str, body: &Markup) -> String {
    let policy = format!(
        "default-src 'none'; img-src data:; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (ours(STYLE)) }
            }
            body { (body) script { (ours(SCRIPT)) } }
        }
    };
    page.into_string()
}

/// The hash by which a content security policy knows a script or style.
fn hash(text: &str) -> String {
    format!("sha256-{}", Base64::encode_string(&Sha256::digest(text.as_bytes())))
}

fn screens(pictures: &[PagePicture]) -> Markup {
    html! {
        @if !pictures.is_empty() {
            section #screens {
                h2 { "Screens" }
                div.screens { @for picture in pictures {
                    @let name = facts::lined(&picture.name);
                    figure {
                        img src={ "data:image/png;base64," (Base64::encode_string(&picture.png)) } alt={ "The guest's screen, " (name) };
                        figcaption { (name) }
                        @if let Some(text) = &picture.text { details { summary { "as text" } pre tabindex="0" { (facts::lined(text)) } } }
                    }
                } }
            }
        }
    }
}

fn log_section(number: usize, log: &PageLog, text: &LogText) -> Markup {
    let id = log_id(number);
    let plain: Vec<&str> = text.text.lines().rev().take(PLAIN_LINES).collect();
    let plain = facts::lined(&plain.into_iter().rev().collect::<Vec<_>>().join("\n"));
    html! {
        section.log id=(id) data-lines=(text.lines()) {
            h2 { (facts::lined(&log.title)) }
            p.note {
                (facts::lined(&log.name)) ", " (text.lines()) " lines"
                @if log.offset_bytes > 0 { "; the first " (log.offset_bytes) " bytes are in the file only" }
            }
            noscript { p { "Without a script, the last lines:" } pre { (plain) } }
            script type="application/json" { (PreEscaped(json_in_script(&text.text))) }
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
            '<' | '>' | '&' | '\u{0}'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
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

    proptest! {
        #[test]
        fn a_log_comes_back_whole_and_ends_no_element(text in "(?s).{0,200}") {
            let json = json_in_script(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            prop_assert!(!json.contains(['<', '>', '&', '\n']));
        }
    }
}
