//! The console as a recording that players show in its own time: asciicast v2
//! (<https://docs.asciinema.org/manual/asciicast/v2/>), a JSON header and then one event a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use crate::text::ConsoleFilter;
use crate::units::MIB;

/// The most bytes that a recording takes on the disk. What comes after is in the raw log only.
pub const CAST_BYTES_MAX: u64 = 32 * MIB;
/// What is kept free for the words that it ends with.
const END_BYTES_MAX: u64 = 128;
/// The size of the terminal that a serial console is written for.
const COLUMNS: u16 = 80;
const ROWS: u16 = 24;

/// A recording that is being written. What a guest writes is passed on as far as it draws, so that playing it can't harm a
/// terminal. A disk that takes no more ends the recording with its last whole event; the raw log goes on.
pub struct Cast {
    file: Option<File>,
    filter: ConsoleFilter,
    began: Instant,
    size_bytes: u64,
    budget_bytes: u64,
}

impl Cast {
    /// Begins a recording in a new file, readable by its owner only. `unix_s` is the wall-clock time of `began`.
    pub fn create(path: &Path, title: &str, began: Instant, unix_s: i64) -> io::Result<Self> {
        Self::within(path, title, (began, unix_s), CAST_BYTES_MAX)
    }

    fn within(path: &Path, title: &str, (began, unix_s): (Instant, i64), budget_bytes: u64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let mut cast = Self {
            file: Some(file),
            filter: ConsoleFilter::default(),
            began,
            size_bytes: 0,
            budget_bytes,
        };
        cast.write(&line(&json!({
            "version": 2, "width": COLUMNS, "height": ROWS, "timestamp": unix_s, "title": title,
            "env": { "TERM": "vt220" },
        })));
        Ok(cast)
    }

    /// Adds what the guest wrote at this moment.
    pub fn bytes(&mut self, bytes: &[u8], at: Instant) {
        if self.file.is_none() {
            return;
        }
        let drawn = self.filter.push(bytes);
        if drawn.is_empty() {
            return;
        }
        let seconds = at.saturating_duration_since(self.began).as_secs_f64();
        let event = line(&json!([seconds, "o", String::from_utf8_lossy(&drawn)]));
        if self.size_bytes + event.len() as u64 + END_BYTES_MAX <= self.budget_bytes {
            self.write(&event);
        } else {
            self.write(&line(&json!([
                seconds,
                "m",
                "the recording ends here: the rest is in the raw log"
            ])));
            self.file = None;
        }
    }

    fn write(&mut self, line: &str) {
        let Some(file) = &mut self.file else { return };
        match file.write_all(line.as_bytes()) {
            Ok(()) => self.size_bytes += line.len() as u64,
            Err(error) => {
                tracing::warn!(%error, "the recording of the console ends");
                // Half an event would make the whole recording unreadable.
                if let Err(error) = file.set_len(self.size_bytes) {
                    tracing::warn!(%error, "the recording of the console ends in half an event");
                }
                self.file = None;
            }
        }
    }
}

fn line(value: &serde_json::Value) -> String {
    format!("{value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;
    use std::time::Duration;

    fn lines(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn events_keep_their_time_and_only_draw() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("serial.cast");
        let began = Instant::now();
        let mut cast = Cast::create(&path, "a run", began, 1_700_000_000).unwrap();
        cast.bytes(b"\x1b[32mOK\x1b[m \xc3", began + Duration::from_millis(1500));
        cast.bytes(b"\xa4\x1b]0;title\x07\r\n", began + Duration::from_secs(2));
        let lines = lines(&path);
        assert_eq!(
            (&lines[0]["version"], &lines[0]["timestamp"]),
            (&json!(2), &json!(1_700_000_000))
        );
        assert_eq!(lines[1], json!([1.5, "o", "\u{1b}[32mOK\u{1b}[m "]));
        assert_eq!(lines[2], json!([2.0, "o", "ä\r\n"]));
    }

    #[test]
    fn a_flood_ends_the_recording_with_a_word() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("serial.cast");
        let began = Instant::now();
        let mut cast = Cast::within(&path, "a run", (began, 0), 4096).unwrap();
        for _ in 0..10_000 {
            cast.bytes(&[b'x'; 100], began);
        }
        assert!(path.metadata().unwrap().len() <= 4096);
        assert_eq!(lines(&path).last().unwrap()[1], "m");
    }

    #[test]
    fn a_full_device_leaves_whole_events() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("serial.cast");
        let began = Instant::now();
        let mut cast = Cast::create(&path, "a run", began, 0).unwrap();
        cast.file = Some(OpenOptions::new().write(true).open("/dev/full").unwrap());
        cast.bytes(b"lost", began);
        cast.bytes(b"lost", began);
        assert_eq!(lines(&path).len(), 1);
    }

    proptest! {
        #[test]
        fn whatever_comes_a_player_can_read_it(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("serial.cast");
            let began = Instant::now();
            let mut cast = Cast::create(&path, "a run", began, 0).unwrap();
            for part in &parts {
                cast.bytes(part, began);
            }
            for event in &lines(&path)[1..] {
                prop_assert!(event[0].is_number() && event[1] == "o" && event[2].is_string());
            }
        }
    }
}
