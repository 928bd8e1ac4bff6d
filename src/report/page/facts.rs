//! The parts of a page that are looked up: the stages' table, the machine, how to reproduce, the files.

use std::fmt::Write as _;

use maud::{Markup, html};
use serde_json::Value;

use crate::text::terminal_line;

use super::document::PageInputs;
use super::logs::Logs;
use super::verdict::{evidence_link, took};

/// The most characters of one text.
const TEXT_CHARS_MAX: usize = 4000;

/// A text of the result or of a record, as a person may read it.
pub(super) fn text(value: &Value, path: &str) -> String {
    let found = value.pointer(path);
    match found {
        Some(Value::String(text)) => shown(text),
        Some(Value::Null) | None => String::new(),
        Some(other) => shown(&other.to_string()),
    }
}

/// One line that holds nothing that acts.
pub(super) fn shown(text: &str) -> String {
    terminal_line(text, TEXT_CHARS_MAX)
}

/// Text with its lines, and nothing that acts.
pub(super) fn lined(text: &str) -> String {
    crate::text::lines(text).join("\n")
}

/// A time since the run began, as minutes and seconds.
pub(super) fn clock(at_us: u64) -> String {
    let tenths = at_us / 100_000;
    format!("{}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

pub(super) fn seconds(ms: Option<&Value>) -> String {
    let ms = ms.and_then(Value::as_u64).unwrap_or(0);
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

/// A time of day to the second.
pub(super) fn when(timestamp: &str) -> String {
    match (timestamp.get(..10), timestamp.get(11..19)) {
        (Some(day), Some(time)) if timestamp.ends_with('Z') => format!("{day} {time} UTC"),
        _ => timestamp.to_owned(),
    }
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// What each stage claims and came to.
pub(super) fn stages(result: &Value, logs: &Logs<'_>) -> Markup {
    let stages = list(result, "/stages");
    html! {
        @if !stages.is_empty() { section #stages aria-labelledby="stages-heading" {
            h2 #stages-heading { "Stages" }
            div.wide tabindex="0" role="group" aria-label="Stages" { table.stages {
                thead { tr { th scope="col" { "Stage" } th scope="col" { "Outcome" } th scope="col" { "Claims" } th scope="col" { "Reached" } th scope="col" { "Took" } th scope="col" { "Remarks and findings" } } }
                tbody { @for stage in stages {
                    tr {
                        th scope="row" { (text(stage, "/name")) }
                        td class={ "outcome " (text(stage, "/outcome")) } { (text(stage, "/outcome")) }
                        td { (text(stage, "/claims")) }
                        td { (text(stage, "/reached")) }
                        td { (took(stage)) }
                        td { (remarks(stage, logs)) }
                    }
                } }
            } }
        } }
    }
}

fn remarks(stage: &Value, logs: &Logs<'_>) -> Markup {
    let (remarks, findings) = (list(stage, "/remarks"), list(stage, "/findings"));
    let why_not = text(stage, "/not_tested");
    html! {
        @if !why_not.is_empty() { p { "not tested: " (why_not) } }
        @if !remarks.is_empty() || !findings.is_empty() {
            ul {
                @for remark in remarks { li { (text(remark, "")) } }
                @for finding in findings {
                    li {
                        (text(finding, "/title")) " (" (text(finding, "/class")) ", rule " (text(finding, "/rule")) ") "
                        @if let Some(evidence) = finding.get("evidence") { (evidence_link(evidence, logs)) }
                    }
                }
            }
        }
    }
}

/// Everything that a run was made of, as the result tells it.
pub(super) fn machine(result: &Value) -> Markup {
    let mut facts: Vec<(String, String)> = [
        ("Image", "/image/source/source/iso"),
        ("Image", "/image/source/source/disk"),
        ("Kernel", "/image/source/source/kernel"),
        ("Image's SHA-256", "/image/sha256"),
        ("Production image", "/image/production/path"),
        ("Production image's SHA-256", "/image/production/sha256"),
        ("Gate file", "/gate_file"),
        ("Gate file's SHA-256", "/gate_sha256"),
        ("QEMU", "/host/qemu_version"),
        ("QEMU's program", "/host/qemu"),
        ("Accelerator", "/host/accelerator"),
        ("Why that one", "/host/accelerator_why"),
        ("CPU model", "/host/cpu_model"),
        ("Firmware", "/host/firmware"),
        ("Run's UUID", "/run_uuid"),
        ("bootgate", "/bootgate_version"),
    ]
    .into_iter()
    .map(|(name, path)| (name.to_owned(), text(result, path)))
    .collect();
    let scale = text(result, "/host/deadline_scale_percent");
    if !scale.is_empty() {
        facts.push(("Deadlines".to_owned(), format!("× {scale} %")));
    }
    for console in list(result, "/consoles") {
        let told = format!(
            "{} bytes, {} of them kept, {} lost",
            text(console, "/bytes_total"),
            text(console, "/bytes_kept"),
            text(console, "/bytes_lost")
        );
        facts.push((text(console, "/file"), told));
    }
    facts.retain(|(_, told)| !told.is_empty());
    html! {
        @if !facts.is_empty() { section #machine aria-labelledby="machine-heading" {
            h2 #machine-heading { "Machine and digests" }
            div.wide tabindex="0" role="group" aria-label="Machine and digests" { table.facts { tbody {
                @for (name, told) in &facts { tr { th scope="row" { (name) } td { (told) } } }
            } } }
        } }
    }
}

/// The commands that lead on from here.
fn commands(result: &Value) -> Vec<(&'static str, String)> {
    let (gate, run, part) = (text(result, "/gate_file"), text(result, "/run"), text(result, "/part"));
    let mut commands = Vec::new();
    if !gate.is_empty() {
        let stage = if part.is_empty() {
            String::new()
        } else {
            format!(" --stage {part}")
        };
        commands.push(("Run it again", format!("bootgate run {gate}{stage}")));
    }
    if !run.is_empty() {
        commands.push(("Look at this run", format!("bootgate inspect {run}")));
        commands.push(("Play its recording, without QEMU", format!("bootgate replay {run}")));
        commands.push((
            "See where the time went",
            format!("bootgate trace {run} --format chrome > trace.json"),
        ));
    }
    let bundle = text(result, "/bundle/path");
    if !bundle.is_empty() {
        commands.push(("Open the failed machine", format!("bootgate reopen {bundle}")));
    }
    commands
}

/// How to do it again, and by what it was done.
pub(super) fn reproduce(inputs: &PageInputs<'_>) -> Markup {
    html! {
        section #reproduce aria-labelledby="reproduce-heading" {
            h2 #reproduce-heading { "How to reproduce" }
            dl { @for (what, command) in commands(&inputs.result) { dt { (what) } dd { code { (command) } } } }
            @if !inputs.argv.is_empty() { details { summary { "How bootgate starts QEMU" } pre tabindex="0" { (lined(&inputs.argv)) } } }
            @if !inputs.gate.is_empty() { details { summary { "The gate file, without its secrets" } pre tabindex="0" { (lined(&inputs.gate)) } } }
        }
    }
}

/// The files that lie beside the page.
pub(super) fn files(names: &[String]) -> Markup {
    html! {
        @if !names.is_empty() { section #files aria-labelledby="files-heading" {
            h2 #files-heading { "Files" }
            p.note { "They lie beside this page." }
            ul.files { @for name in names { li { (file_link(name)) } } }
        } }
    }
}

/// To a file that lies beside the page.
pub(super) fn file_link(name: &str) -> Markup {
    html! { a href={ "./" (encoded(name)) } { (lined(name)) } }
}

/// A path as a relative address: no byte of it says anything but a name.
fn encoded(path: &str) -> String {
    let mut address = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => address.push(byte.into()),
            _ => {
                let _ = write!(address, "%{byte:02X}");
            }
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_address_of_its_own() {
        assert_eq!(encoded("ssh/a b:é?#%.log"), "ssh/a%20b%3A%C3%A9%3F%23%25.log");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(clock(61_250_000), "1:01.2");
        assert_eq!(when("2026-11-23T17:24:12.109708498Z"), "2026-11-23 17:24:12 UTC");
        assert_eq!(when("é-then"), "é-then");
    }
}
