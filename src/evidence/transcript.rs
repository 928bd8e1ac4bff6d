//! `qmp.jsonl`: what was said over QMP in both directions, within a byte budget.

use super::error::{Context, EvidenceError};
use super::journal::write_whole;
use super::reserve::Reserve;
use crate::units::{KIB, MIB};
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How much a transcript may take on the disk. The head file is kept for ever; behind it the newest part goes into a tail
/// file, which is thrown away for a new one each time it is full twice over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TranscriptBudget {
    /// The size of the head file, in bytes.
    pub head_bytes: u64,
    /// The size of each of the two tail files, in bytes.
    pub tail_bytes: u64,
    /// The longest text that is kept of one line, in bytes.
    pub line_bytes: usize,
}

impl Default for TranscriptBudget {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "64 KiB fits every usize that Linux runs on"
    )]
    fn default() -> Self {
        Self {
            head_bytes: 16 * MIB,
            tail_bytes: 4 * MIB,
            line_bytes: 64 * KIB as usize,
        }
    }
}

/// Writes a transcript: `<name>.jsonl`, and when that is full `<name>-tail.jsonl` and the one before it,
/// `<name>-tail-old.jsonl`. Secrets must have been taken out of the lines before they come here.
#[derive(Debug)]
pub struct TranscriptLog {
    head: PathBuf,
    budget: TranscriptBudget,
    file: File,
    length_bytes: u64,
    records: u64,
    in_tail: bool,
    records_in_old_tail: u64,
    dropped: u64,
    reserve: Option<Arc<Reserve>>,
}

#[derive(Serialize)]
struct Record<'a> {
    t_us: u64,
    dir: &'a str,
    line: &'a str,
    /// The length before it was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_from_bytes: Option<usize>,
}

impl TranscriptLog {
    /// Makes the head file, mode 0600. Its name ends in `.jsonl`.
    ///
    /// With a reserve, a full disk takes the lines that tell that it is full.
    pub fn create(path: &Path, budget: TranscriptBudget, reserve: Option<Arc<Reserve>>) -> Result<Self, EvidenceError> {
        Ok(Self {
            file: new_file(path).context("create", path)?,
            head: path.to_owned(),
            budget,
            length_bytes: 0,
            records: 0,
            in_tail: false,
            records_in_old_tail: 0,
            dropped: 0,
            reserve,
        })
    }

    /// Adds a line: when it was seen, in µs since the run began, and whether we received it (`rx`) or sent it (`tx`). What
    /// the disk does not take is counted as dropped: a transcript never ends a run.
    pub fn append(&mut self, t_us: u64, dir: &str, line: &[u8]) {
        let line = line.trim_ascii_end();
        let kept = &line[..line.len().min(self.budget.line_bytes)];
        let cut_from_bytes = (kept.len() < line.len()).then_some(line.len());
        let text = String::from_utf8_lossy(kept);
        let record = Record {
            t_us,
            dir,
            line: &text,
            cut_from_bytes,
        };
        if self.write(&record).is_err() {
            self.dropped += 1;
        }
    }

    /// How many lines are in none of the files.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(record)?;
        bytes.push(b'\n');
        let limit = if self.in_tail {
            self.budget.tail_bytes
        } else {
            self.budget.head_bytes
        };
        if self.length_bytes > 0 && self.length_bytes + bytes.len() as u64 > limit {
            self.next_file()?;
        }
        let write = || write_whole(&self.file, self.length_bytes, &bytes);
        match &self.reserve {
            Some(reserve) => reserve.retry_evidence(write)?,
            None => write()?,
        }
        self.length_bytes += bytes.len() as u64;
        self.records += 1;
        Ok(())
    }

    fn next_file(&mut self) -> io::Result<()> {
        let tail = self.beside("-tail");
        if self.in_tail {
            std::fs::rename(&tail, self.beside("-tail-old"))?;
            self.dropped += std::mem::replace(&mut self.records_in_old_tail, self.records);
        }
        self.file = new_file(&tail)?;
        (self.in_tail, self.length_bytes, self.records) = (true, 0, 0);
        Ok(())
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let stem = self.head.file_stem().unwrap_or_default().to_string_lossy();
        self.head.with_file_name(format!("{stem}{suffix}.jsonl"))
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::super::journal::read_journal;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_keeps_its_time_direction_and_text() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("qmp.jsonl");
        let mut log = TranscriptLog::create(
            &path,
            TranscriptBudget {
                line_bytes: 8,
                ..Default::default()
            },
            None,
        )
        .unwrap();
        log.append(5, "tx", b"{\"a\":1}\r\n");
        log.append(6, "rx", b"\xff0123456789");
        let read = read_journal(&path).unwrap();
        assert_eq!(read.records[0], json!({"t_us": 5, "dir": "tx", "line": "{\"a\":1}"}));
        assert_eq!(read.records[1]["line"], "\u{fffd}0123456");
        assert_eq!(read.records[1]["cut_from_bytes"], 11);
    }

    #[test]
    fn head_and_newest_part_are_kept_and_the_rest_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("qmp.jsonl");
        let budget = TranscriptBudget {
            head_bytes: 400,
            tail_bytes: 300,
            line_bytes: 100,
        };
        let mut log = TranscriptLog::create(&path, budget, None).unwrap();
        for t_us in 0..1000 {
            log.append(t_us, "rx", b"{\"event\": \"RESUME\"}");
        }
        let times = |name: &str| -> Vec<u64> {
            let read = read_journal(&directory.path().join(name)).unwrap();
            assert_eq!(read.torn, None);
            read.records
                .iter()
                .map(|record| record["t_us"].as_u64().unwrap())
                .collect()
        };
        let (head, old, tail) = (times("qmp.jsonl"), times("qmp-tail-old.jsonl"), times("qmp-tail.jsonl"));
        assert_eq!((head[0], *tail.last().unwrap()), (0, 999));
        assert_eq!(old.last().unwrap() + 1, tail[0]);
        assert_eq!(log.dropped(), 1000 - (head.len() + old.len() + tail.len()) as u64);
        let used: u64 = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum();
        assert!(used <= 400 + 2 * 300);
    }
}
