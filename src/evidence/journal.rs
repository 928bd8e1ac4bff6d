//! `trace.jsonl`: one record per line, only ever added to.

use super::error::{Context, EvidenceError};
use super::reserve::Reserve;
use crate::units::KIB;
use serde::Serialize;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest record, in bytes with its newline. What is longer belongs into a file of its own that the record names.
#[expect(
    clippy::cast_possible_truncation,
    reason = "64 KiB fits every usize that Linux runs on"
)]
pub const RECORD_BYTES_MAX: usize = 64 * KIB as usize;

/// What a record must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The death of this process.
    Process,
    /// The death of the host: the record is on the disk before [`Journal::append`] returns.
    Host,
}

/// Where a record went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: u64,
    /// The offset of its first byte.
    pub offset_bytes: u64,
}

/// A file of JSON lines. Each record is written by a single write(2), so that a `kill -9` can tear only the last one; a
/// write that the disk takes by halves is taken back. When the disk is full, the run's reserve makes room.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    lines: u64,
    length_bytes: u64,
    lost: u64,
    reserve: Option<Arc<Reserve>>,
}

impl Journal {
    /// Makes a new file, mode 0600.
    pub fn create(path: &Path, reserve: Option<Arc<Reserve>>) -> Result<Self, EvidenceError> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path);
        Ok(Self {
            file: file.context("create", path)?,
            path: path.to_owned(),
            lines: 0,
            length_bytes: 0,
            lost: 0,
            reserve,
        })
    }

    /// Adds a record. A failure is counted and leaves the journal as it was, so that a run may go on without it.
    pub fn append(&mut self, record: &impl Serialize, durability: Durability) -> Result<Position, EvidenceError> {
        let appended = self.try_append(record, durability);
        if appended.is_err() {
            self.lost += 1;
        }
        appended
    }

    /// How many records could not be written.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// How many bytes it holds.
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    fn try_append(&mut self, record: &impl Serialize, durability: Durability) -> Result<Position, EvidenceError> {
        let mut line = serde_json::to_vec(record)
            .map_err(io::Error::from)
            .context("encode a record for", &self.path)?;
        line.push(b'\n');
        if line.len() > RECORD_BYTES_MAX {
            return Err(EvidenceError::RecordTooLarge {
                path: self.path.clone(),
                size_bytes: line.len(),
                limit_bytes: RECORD_BYTES_MAX,
            });
        }
        let write = || write_whole(&self.file, self.length_bytes, &line);
        match &self.reserve {
            Some(reserve) => reserve.retry(write),
            None => write(),
        }
        .context("write", &self.path)?;
        let position = Position {
            line: self.lines + 1,
            offset_bytes: self.length_bytes,
        };
        self.lines += 1;
        self.length_bytes += line.len() as u64;
        if durability == Durability::Host {
            self.file.sync_data().context("make durable", &self.path)?;
        }
        Ok(position)
    }
}

/// Adds a line to a file of this length by a single write(2), or leaves the file at this length.
pub(super) fn write_whole(mut file: &File, length_bytes: u64, line: &[u8]) -> io::Result<()> {
    let written = loop {
        match file.write(line) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            written => break written,
        }
    };
    if written? == line.len() {
        return Ok(());
    }
    // The kernel takes what fits and says that the disk is full only at the next try.
    file.set_len(length_bytes)?;
    Err(ErrorKind::StorageFull.into())
}

/// What a journal holds.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalRead {
    /// The records in order.
    pub records: Vec<Value>,
    /// What follows the last whole record, if anything does.
    pub torn: Option<TornTail>,
}

/// The end of a journal that is no record: its writer or its host died while writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TornTail {
    /// Where it starts.
    pub offset_bytes: u64,
    /// How long it is.
    pub length_bytes: u64,
}

/// Reads a journal up to the first line that is not a whole record.
pub fn read_journal(path: &Path) -> Result<JournalRead, EvidenceError> {
    let file = File::open(path).context("open", path)?;
    let end_bytes = file.metadata().context("examine", path)?.len();
    let mut reader = BufReader::new(file.take(end_bytes));
    let (mut records, mut offset_bytes) = (Vec::new(), 0);
    loop {
        let mut line = Vec::new();
        // One byte more than a record may have shows that it is none.
        let mut bounded = reader.by_ref().take(RECORD_BYTES_MAX as u64 + 1);
        bounded.read_until(b'\n', &mut line).context("read", path)?;
        let whole = line.len() <= RECORD_BYTES_MAX && line.ends_with(b"\n");
        match serde_json::from_slice(&line) {
            Ok(record) if whole => records.push(record),
            _ => break,
        }
        offset_bytes += line.len() as u64;
    }
    let length_bytes = end_bytes - offset_bytes;
    let torn = (length_bytes > 0).then_some(TornTail {
        offset_bytes,
        length_bytes,
    });
    Ok(JournalRead { records, torn })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn journal(directory: &Path) -> Journal {
        Journal::create(&directory.join("trace.jsonl"), None).unwrap()
    }

    #[test]
    fn records_are_read_back_and_know_their_place() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = journal(directory.path());
        let first = journal
            .append(&json!({"n": 1, "text": "a\nb\u{2028}"}), Durability::Process)
            .unwrap();
        let second = journal.append(&json!({"n": 2}), Durability::Host).unwrap();
        assert_eq!(
            first,
            Position {
                line: 1,
                offset_bytes: 0
            }
        );
        let bytes = std::fs::read(&journal.path).unwrap();
        let at = usize::try_from(second.offset_bytes).unwrap();
        assert_eq!((second.line, &bytes[at..]), (2, &b"{\"n\":2}\n"[..]));
        assert_eq!(journal.length_bytes(), bytes.len() as u64);
        let read = read_journal(&journal.path).unwrap();
        assert_eq!((read.records.len(), read.torn), (2, None));
        assert_eq!(read.records[0]["text"], "a\nb\u{2028}");
    }

    #[test]
    fn a_record_that_is_too_large_is_counted_and_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = journal(directory.path());
        let huge = "x".repeat(RECORD_BYTES_MAX);
        let error = journal.append(&huge, Durability::Process).unwrap_err();
        assert!(matches!(error, EvidenceError::RecordTooLarge { .. }));
        journal
            .append(&"x".repeat(RECORD_BYTES_MAX - 3), Durability::Process)
            .unwrap();
        assert_eq!(
            (journal.lost(), read_journal(&journal.path).unwrap().records.len()),
            (1, 1)
        );
    }

    #[test]
    fn a_full_disk_is_counted() {
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let error = write_whole(&full, 0, b"{}\n").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }

    proptest! {
        #[test]
        fn a_journal_cut_anywhere_keeps_its_whole_records(cut in 0usize..=36, junk in proptest::collection::vec(any::<u8>(), 0..9)) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("trace.jsonl");
            let whole = b"{\"n\":100}\n{\"n\":101}\n{\"n\":102}\n";
            let cut = cut.min(whole.len());
            let mut bytes = whole[..cut].to_vec();
            let on_a_border = cut % 10 == 0;
            if !on_a_border { bytes.extend(junk.iter().map(|byte| byte | 0x80)); }
            std::fs::write(&path, &bytes).unwrap();
            let read = read_journal(&path).unwrap();
            prop_assert_eq!(read.records.len(), cut / 10);
            prop_assert_eq!(read.torn.is_none(), on_a_border);
            let end = read.torn.map_or(cut as u64, |torn| torn.offset_bytes + torn.length_bytes);
            prop_assert_eq!(end, bytes.len() as u64);
        }

        #[test]
        fn no_bytes_panic_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("trace.jsonl");
            std::fs::write(&path, &bytes).unwrap();
            read_journal(&path).unwrap();
        }
    }
}
