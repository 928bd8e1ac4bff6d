//! The events of QEMU's monitor, from the transcript of a run.

use serde_json::Value;

use crate::text::terminal_line;

/// The most characters of an event's name.
const NAME_CHARS_MAX: usize = 60;

/// A QMP event: when it came, in microseconds since the run began, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QmpMoment {
    /// When.
    pub at_us: u64,
    /// Its name, such as `SHUTDOWN`.
    pub name: String,
}

/// The events among the records of `qmp.jsonl`, in order.
pub fn qmp_moments(records: &[Value]) -> Vec<QmpMoment> {
    let received = records.iter().filter(|record| record["dir"] == "rx");
    let events = received.filter_map(|record| {
        let line: Value = serde_json::from_str(record["line"].as_str()?).ok()?;
        Some(QmpMoment {
            at_us: record["t_us"].as_u64()?,
            name: terminal_line(line.get("event")?.as_str()?, NAME_CHARS_MAX),
        })
    });
    events.collect()
}
