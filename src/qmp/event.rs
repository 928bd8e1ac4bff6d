//! Events: typed where the types know them, and always kept as they came.

use serde::Deserialize;
use serde_json::Value;

use super::codec::Timestamp;
use super::error::printable;

/// The longest event that is kept whole, in bytes. Real ones have some hundred; the limit bounds what the queue of
/// events can hold.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;

/// One event from QEMU.
///
/// QEMU may merge events of one kind that come fast, so they can't be counted (QEMU `docs/interop/qmp-spec.rst`).
#[derive(Debug, Clone)]
pub struct QmpEvent {
    /// The event's name, such as `SHUTDOWN`.
    pub name: String,
    /// The host's wall clock in microseconds since the epoch, if QEMU could tell. Only to label a record: never
    /// compare it with a time of ours.
    pub timestamp_us: Option<i64>,
    /// The whole message; `Null` if it was longer than [`EVENT_BYTES_MAX`].
    pub raw: Value,
    /// The event by its type, or why it has none: an unknown name, an unknown value, a missing member.
    pub typed: Result<Box<qapi_qmp::Event>, String>,
}

impl QmpEvent {
    /// Reads an event whose name and time are known already from the line that holds it.
    pub(super) fn read(name: &str, timestamp: Option<Timestamp>, line: &[u8]) -> Self {
        let timestamp_us = timestamp.and_then(Timestamp::since_epoch_us);
        let (raw, typed) = if line.len() > EVENT_BYTES_MAX {
            (
                Value::Null,
                Err(format!("{} bytes are too many for an event", line.len())),
            )
        } else {
            let raw: Value = serde_json::from_slice(line).unwrap_or_default();
            let typed = typed(&raw, timestamp_us.is_some());
            (raw, typed)
        };
        Self {
            name: printable(name),
            timestamp_us,
            raw,
            typed,
        }
    }

    /// What the event says beyond its name; `Null` if it says nothing.
    pub fn data(&self) -> &Value {
        &self.raw["data"]
    }
}

/// The types want a time that is not negative, so one that the host could not tell is replaced.
fn typed(raw: &Value, has_time: bool) -> Result<Box<qapi_qmp::Event>, String> {
    let decoded = if has_time {
        qapi_qmp::Event::deserialize(raw)
    } else {
        let mut timed = raw.clone();
        timed["timestamp"] = serde_json::json!({"seconds": 0, "microseconds": 0});
        qapi_qmp::Event::deserialize(&timed)
    };
    decoded.map(Box::new).map_err(|error| printable(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::codec::{Frame, parse};
    use super::*;

    fn event(line: &str) -> QmpEvent {
        match parse(line.as_bytes()) {
            Ok(Frame::Event { name, timestamp }) => QmpEvent::read(&name, timestamp, line.as_bytes()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_known_event_is_typed() {
        let event = event(
            r#"{"timestamp": {"seconds": 5, "microseconds": 7}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset", "new": 1}}"#,
        );
        assert_eq!(event.timestamp_us, Some(5_000_007));
        assert!(matches!(*event.typed.unwrap(), qapi_qmp::Event::SHUTDOWN { data, .. } if data.guest));
    }

    #[test]
    fn an_event_without_a_time_is_typed_all_the_same() {
        let event = event(r#"{"timestamp": {"seconds": -1, "microseconds": -1}, "event": "STOP"}"#);
        assert_eq!(event.timestamp_us, None);
        assert!(event.typed.is_ok());
        assert_eq!(event.raw["timestamp"]["seconds"], -1);
    }

    #[test]
    fn what_the_types_do_not_know_is_kept_raw() {
        let event = event(r#"{"event": "MIGRATION", "data": {"status": "failing"}}"#);
        assert!(event.typed.unwrap_err().contains("failing"));
        assert_eq!(event.raw["data"]["status"], "failing");
    }

    #[test]
    fn an_event_that_is_too_long_keeps_its_name() {
        let event = event(&format!(
            r#"{{"event": "STOP", "data": "{}"}}"#,
            "x".repeat(EVENT_BYTES_MAX)
        ));
        assert_eq!(
            (event.name.as_str(), event.raw.is_null(), event.typed.is_err()),
            ("STOP", true, true)
        );
        assert!(event.data().is_null());
    }
}
