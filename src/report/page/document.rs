//! The whole page: one file, no network, nothing of a guest's that acts.

use base64ct::{Base64, Encoding as _};
use maud::{DOCTYPE, Markup, html};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::report::trace::{Timeline, qmp_moments};

use super::PagePicture;
use super::chart::{chart, ours};
use super::facts;
use super::log::PageLog;
use super::logs::Logs;
use super::picture::Screens;
use super::{states, verdict};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

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
    /// Pictures of the screen.
    pub pictures: Vec<PagePicture>,
    /// QEMU's command lines.
    pub argv: String,
    /// The gate file, without its secrets.
    pub gate: String,
    /// The files that lie beside the page.
    pub files: Vec<String>,
}

/// The page of a run.
pub fn report_page(inputs: &PageInputs<'_>) -> String {
    let timeline = Timeline::new(inputs.records);
    let logs = Logs::new(&inputs.logs, !inputs.files.is_empty());
    let screens = Screens::new(&inputs.pictures, inputs.records, &timeline);
    let result = &inputs.result;
    let gate = facts::text(result, "/gate");
    let subject = [facts::text(result, "/run"), gate.clone(), "bootgate".to_owned()];
    let subject = subject.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    let title = format!("{}: {subject}", facts::text(result, "/verdict/class"));
    let body = html! {
        a.skip href="#verdict" { "Skip to the verdict" }
        header { p { "bootgate report" @if !gate.is_empty() { " of gate " strong { (gate) } } }
            nav aria-label="Parts of this page" { ul {
                @if result.get("stages").is_some() { li { a href="#stages" { "Stages" } } " " }
                li { a href="#timeline" { "Timeline" } } " "
                @if !screens.is_empty() { li { a href="#screens" { "Screens" } } " " }
                (logs.links())
                @if result.get("host").is_some() { li { a href="#machine" { "Machine" } } " " }
                li { a href="#reproduce" { "Reproduce" } }
            } }
        }
        main {
            (verdict::verdict(result, &timeline, &logs))
            (facts::stages(result, &logs))
            section #timeline aria-labelledby="timeline-heading" {
                h2 #timeline-heading { "Timeline" }
                div.wide tabindex="0" role="group" aria-label="Timeline" { (chart(&timeline, &qmp_moments(inputs.qmp), &screens)) }
                p.note { "The thin line under a state is the time it had. A dot is an event; the large one is the verdict. All times are of one clock, since the run began." }
                (states::states(&timeline))
                (states::trace(&timeline, &logs))
            }
            (screens.section())
            (logs.sections(result, &timeline))
            (facts::machine(result))
            (facts::reproduce(inputs))
            (facts::files(&inputs.files))
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
                meta name="referrer" content="no-referrer";
                // Else a browser asks the server of an artefact for one.
                link rel="icon" href="data:,";
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
