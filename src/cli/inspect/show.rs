//! `show`: what there is to know about a run, on one page.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::evidence::RunRecord;
use crate::report::trace_table;
use crate::serial::log_end::read_log_end;
use crate::text::{lines, terminal_line};

/// How much of the console's end is read, in bytes, and shown, in lines.
const CONSOLE_BYTES: u64 = 64 * 1024;
const CONSOLE_LINES: usize = 15;
/// How much of the trace's end is shown, in lines.
const TIMELINE_LINES: usize = 14;
const LINE_CHARS_MAX: usize = 160;
/// The directory of a reopened machine in which the evidence of its run lies.
const BUNDLE: &str = "bundle";

/// Where the evidence of a run lies: in the run itself, or, if it is a machine that was opened again, in what was unpacked.
pub(super) fn evidence_of(record: &RunRecord) -> PathBuf {
    let unpacked = record.path.join(BUNDLE);
    if unpacked.is_dir() {
        unpacked
    } else {
        record.path.clone()
    }
}

/// The newest file of the evidence whose name begins and ends like this, by its number.
pub(super) fn newest(evidence: &Path, prefix: &str, suffix: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(evidence).ok()?;
    let numbered = entries.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let number = name.strip_prefix(prefix)?.strip_suffix(suffix)?.parse::<u64>().ok()?;
        Some((number, evidence.join(name)))
    });
    numbered.max().map(|(_, path)| path)
}

/// The page for a person.
pub(super) fn page(record: &RunRecord, held: &str) -> String {
    let evidence = evidence_of(record);
    let result = read_json(&evidence.join("result.json"));
    let mut page = String::new();
    let _ = writeln!(page, "Run:      {}", record.info.id);
    verdict(&mut page, result.as_ref());
    let _ = writeln!(page, "Machine:  {held}");
    screen(&mut page, &evidence);
    console(&mut page, &evidence);
    timeline(&mut page, &evidence);
    let _ = writeln!(page, "\nEvidence: {}", evidence.display());
    page
}

/// The same for a program.
pub(super) fn page_json(record: &RunRecord, held: &Value) -> Value {
    let evidence = evidence_of(record);
    json!({
        "run": record.info.id,
        "evidence": evidence,
        "result": read_json(&evidence.join("result.json")),
        "hold": held,
        "screen": newest(&evidence, "screen-", ".png"),
        "serial_screen": newest(&evidence, "screen-", ".txt"),
    })
}

fn verdict(page: &mut String, result: Option<&Value>) {
    let Some(verdict) = result.and_then(|result| result.get("verdict")) else {
        let _ = writeln!(page, "Verdict:  none: the run is going on, or was interrupted");
        return;
    };
    let word = |name: &str| {
        let text = verdict.get(name).and_then(Value::as_str).unwrap_or_default();
        terminal_line(text, 2 * LINE_CHARS_MAX)
    };
    let _ = writeln!(page, "Verdict:  {} (exit code {})", word("class"), verdict["exit_code"]);
    let _ = writeln!(page, "Cause:    {}: {}", word("cause"), word("title"));
    for (label, name) in [
        ("", "detail"),
        ("Why:", "root_cause"),
        ("Mend:", "remedy"),
        ("Tracker:", "tracker"),
    ] {
        if !word(name).is_empty() {
            let _ = writeln!(page, "{label:<9} {}", word(name));
        }
    }
    let _ = writeln!(page, "Where:    stage {}, state {}", word("stage"), word("state"));
    let quote = verdict.pointer("/evidence/quote").and_then(Value::as_str);
    if let Some(quote) = quote {
        let _ = writeln!(page, "          “{}”", terminal_line(quote, LINE_CHARS_MAX));
    }
    if let Some(file) = verdict.pointer("/evidence/file").and_then(Value::as_str) {
        let offset = verdict.pointer("/evidence/offset_bytes").and_then(Value::as_u64);
        let offset = offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default();
        let _ = writeln!(page, "          in {}{offset}", terminal_line(file, LINE_CHARS_MAX));
    }
}

fn screen(page: &mut String, evidence: &Path) {
    if let Some(picture) = newest(evidence, "screen-", ".png") {
        let _ = writeln!(page, "Screen:   {}", picture.display());
    }
    let Some(text) = newest(evidence, "screen-", ".txt").and_then(|path| std::fs::read(path).ok()) else {
        return;
    };
    let _ = writeln!(page, "\nThe serial terminal, as it stood:");
    for line in lines(&text) {
        let _ = writeln!(page, "  │ {}", terminal_line(&line, LINE_CHARS_MAX));
    }
}

/// The end of the last console, when there is no screen of it.
fn console(page: &mut String, evidence: &Path) {
    if newest(evidence, "screen-", ".txt").is_some() {
        return;
    }
    let file = newest(evidence, "serial-", ".log").unwrap_or_else(|| evidence.join("serial.log"));
    let Ok((end, _)) = read_log_end(&file, CONSOLE_BYTES) else {
        return;
    };
    let all = lines(&end);
    let _ = writeln!(page, "\nThe console's last lines:");
    for line in &all[all.len().saturating_sub(CONSOLE_LINES)..] {
        let _ = writeln!(page, "  │ {}", terminal_line(line, LINE_CHARS_MAX));
    }
}

fn timeline(page: &mut String, evidence: &Path) {
    let Ok(journal) = crate::evidence::read_journal(&evidence.join("trace.jsonl")) else {
        return;
    };
    let table = trace_table(&journal.records, false);
    let rows: Vec<_> = table.lines().collect();
    let _ = writeln!(page, "\nThe last transitions (`bootgate trace` has all):");
    for row in &rows[rows.len().saturating_sub(TIMELINE_LINES)..] {
        let _ = writeln!(page, "{row}");
    }
}

fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
