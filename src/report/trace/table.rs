//! `trace.jsonl` as a table for a terminal.

use std::fmt::Write as _;

use serde_json::Value;

use crate::text::terminal_line;

/// The widest event column, in characters.
const EVENT_CHARS_MAX: usize = 100;

/// The records as lines: time, what, why, where the evidence lies. With `notes` false, transitions and verdicts only.
pub fn trace_table(records: &[Value], notes: bool) -> String {
    let mut text = String::new();
    for record in records {
        let kind = word(record, "kind");
        let what = match kind.as_str() {
            "transition" => format!("{} → {}", word(record, "from"), word(record, "to")),
            "verdict" => format!("VERDICT {}", word(record, "class")),
            "stage-began" => format!("── stage {}", word(record, "stage")),
            "stage-ended" => format!("── stage {} {}", word(record, "stage"), word(record, "outcome")),
            "deadline-near" if notes => "  ! deadline near".to_owned(),
            _ if notes => format!("  · {}", word(record, "what")),
            _ => continue,
        };
        let seconds = record.get("t_us").and_then(Value::as_u64).unwrap_or(0);
        let line = format!("{:>9.3}s  {what:<34} {}", micros(seconds), why(record));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds are shown, and a run lasts hours, not centuries"
)]
fn micros(t_us: u64) -> f64 {
    t_us as f64 / 1e6
}

fn word(record: &Value, key: &str) -> String {
    let text = record.get(key).and_then(Value::as_str).unwrap_or_default();
    terminal_line(text, EVENT_CHARS_MAX)
}

fn why(record: &Value) -> String {
    let mut parts: Vec<String> = ["event", "cause", "detail", "title"]
        .iter()
        .map(|key| word(record, key))
        .filter(|part| !part.is_empty())
        .collect();
    if let Some(by) = Some(word(record, "confirmed_by")).filter(|by| !by.is_empty()) {
        parts.push(format!("✓ {by}"));
    }
    if let Some(evidence) = record.get("evidence") {
        let offset = evidence.get("offset_bytes").and_then(Value::as_u64);
        let offset = offset.map(|offset| format!("@{offset}")).unwrap_or_default();
        parts.push(format!("[{}{offset}]", word(evidence, "file")));
    }
    if let Some(deadline) = record.get("deadline").filter(|deadline| deadline.is_object()) {
        let left_ms = deadline.get("left_ms").and_then(Value::as_u64).unwrap_or(0);
        parts.push(format!("({} left {} s)", word(deadline, "kind"), left_ms / 1000));
    }
    parts.join("  ")
}
