//! The console's raw bytes on disk, within a budget.
//!
//! The first bytes go to the file of the given name, for example `serial.log`, where the offset in the file is the offset
//! in the stream. When it is full, the rest goes to segments beside it. A segment's name ends in the stream offset of its
//! first byte, `serial.log.from-67108864`, so the files explain themselves even if bootgate was killed. The oldest segment
//! is removed when a new one would exceed the budget.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use crate::units::MIB;

/// Bytes from the start of the stream that are always kept.
pub const SERIAL_LOG_HEAD_BYTES: u64 = 64 * MIB;
/// Bytes of the stream's end that are kept at most; at least three quarters of it are.
pub const SERIAL_LOG_TAIL_BYTES: u64 = 64 * MIB;
/// How many files the tail is spread over.
const TAIL_SEGMENTS: u64 = 4;

/// Where the bytes of a stream go: a pure function of their offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLayout {
    path: PathBuf,
    head_bytes: u64,
    segment_bytes: u64,
}

impl LogLayout {
    /// A log at `path` that keeps `head_bytes` (at least 1) from the start of the stream and up to `tail_bytes` from its
    /// end.
    pub fn new(path: impl Into<PathBuf>, head_bytes: u64, tail_bytes: u64) -> Self {
        Self {
            path: path.into(),
            head_bytes: head_bytes.max(1),
            segment_bytes: (tail_bytes / TAIL_SEGMENTS).max(1),
        }
    }

    /// The file and the offset in it of the byte at stream offset `offset`, once `total` bytes have come. `None` if the
    /// byte has not come yet or was dropped with its segment.
    pub fn locate(&self, offset: u64, total: u64) -> Option<(PathBuf, u64)> {
        let kept = offset < self.head_bytes.min(total) || (self.tail_start(total)..total).contains(&offset);
        kept.then(|| (self.file_of(offset), offset - self.file_start(offset)))
    }

    /// Stream offset of the first byte behind the head that is kept, once `total` bytes have come.
    fn tail_start(&self, total: u64) -> u64 {
        let segments = total.saturating_sub(self.head_bytes).div_ceil(self.segment_bytes);
        self.head_bytes + segments.saturating_sub(TAIL_SEGMENTS) * self.segment_bytes
    }

    /// How many bytes were dropped to stay within the budget, once `total` bytes have come.
    fn dropped(&self, total: u64) -> u64 {
        self.tail_start(total) - self.head_bytes
    }

    /// First byte of the segment to remove before the one that begins at `start` is written.
    fn dropped_for(&self, start: u64) -> Option<u64> {
        let oldest = start.checked_sub(TAIL_SEGMENTS * self.segment_bytes)?;
        (oldest >= self.head_bytes).then_some(oldest)
    }

    /// Stream offset of the first byte of the file that holds `offset`.
    fn file_start(&self, offset: u64) -> u64 {
        match offset.checked_sub(self.head_bytes) {
            None => 0,
            Some(behind) => offset - behind % self.segment_bytes,
        }
    }

    /// Stream offset just behind the last byte of the file that holds `offset`.
    fn file_end(&self, offset: u64) -> u64 {
        if offset < self.head_bytes {
            self.head_bytes
        } else {
            self.file_start(offset) + self.segment_bytes
        }
    }

    fn file_of(&self, offset: u64) -> PathBuf {
        if offset < self.head_bytes {
            return self.path.clone();
        }
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".from-{}", self.file_start(offset)));
        name.into()
    }
}

/// A write to the log that failed. Bytes are lost; the console is drained on.
#[derive(Debug, thiserror::Error)]
#[error("the console's log {} lost bytes from stream offset {offset} on: {source}; free space or move the run directory", .file.display())]
pub struct LogError {
    /// The file that could not be written.
    pub file: PathBuf,
    /// Offset in the stream of the first byte that was lost.
    pub offset: u64,
    /// What the system said.
    pub source: io::Error,
}

/// Makes some room on a full disk; false if it has none left to give.
pub type MakeRoom = Box<dyn Fn() -> bool + Send>;

/// The log of one stream: one VM's console.
pub struct RawLog {
    layout: LogLayout,
    /// The file that is being written and the stream offset of its first byte.
    file: Option<(u64, File)>,
    total: u64,
    lost: u64,
    first_lost: Option<u64>,
    make_room: MakeRoom,
}

impl std::fmt::Debug for RawLog {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RawLog")
            .field("layout", &self.layout)
            .field("total", &self.total)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

impl RawLog {
    /// Creates the log's first file, which must not exist yet, readable by its owner only.
    pub fn create(layout: LogLayout) -> Result<Self, LogError> {
        Self::create_with_room(layout, Box::new(|| false))
    }

    /// As [`RawLog::create`], with somebody to ask for room when the disk is full.
    pub fn create_with_room(layout: LogLayout, make_room: MakeRoom) -> Result<Self, LogError> {
        let mut log = Self {
            layout,
            file: None,
            total: 0,
            lost: 0,
            first_lost: None,
            make_room,
        };
        match log.open(0) {
            Ok(()) => Ok(log),
            Err(source) => Err(log.failed(0, source)),
        }
    }

    /// Writes the stream's next bytes. What can't be written is counted as lost and the next call tries again; only the
    /// first failure is returned. Where bytes were lost the file has zeros, so that those behind them keep their place.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), LogError> {
        let mut result = Ok(());
        while !bytes.is_empty() {
            let room = usize::try_from(self.layout.file_end(self.total) - self.total).unwrap_or(usize::MAX);
            let (part, rest) = bytes.split_at(bytes.len().min(room));
            let (written, error) = self.write_in_one_file(part);
            self.lost += (part.len() - written) as u64;
            if let (Some(source), None) = (error, self.first_lost) {
                let offset = self.total + written as u64;
                self.first_lost = Some(offset);
                result = Err(self.failed(offset, source));
            }
            self.total += part.len() as u64;
            bytes = rest;
        }
        result
    }

    /// Bytes of the stream so far.
    pub fn bytes_total(&self) -> u64 {
        self.total
    }

    /// Bytes of the stream that are on disk. After a failure this may count a few too few: those lost in a segment that was
    /// dropped later count twice.
    pub fn bytes_kept(&self) -> u64 {
        self.total - self.bytes_dropped()
    }

    /// Bytes of the stream that are not on disk: dropped to stay within the budget, or lost to a failing disk.
    pub fn bytes_dropped(&self) -> u64 {
        (self.layout.dropped(self.total) + self.lost).min(self.total)
    }

    /// Bytes that a failing disk lost.
    pub fn bytes_lost(&self) -> u64 {
        self.lost
    }

    /// Stream offset of the first byte that a failing disk lost.
    pub fn first_lost(&self) -> Option<u64> {
        self.first_lost
    }

    /// Where the log's bytes are.
    pub fn layout(&self) -> &LogLayout {
        &self.layout
    }

    /// Writes as much of `bytes`, which belong in one file, as it can.
    fn write_in_one_file(&mut self, bytes: &[u8]) -> (usize, Option<io::Error>) {
        let start = self.layout.file_start(self.total);
        let position = self.total - start;
        if let Err(error) = self.open(start) {
            return (0, Some(error));
        }
        let Some((_, file)) = &self.file else {
            return (0, Some(io::ErrorKind::NotFound.into()));
        };
        let mut written = 0;
        while written < bytes.len() {
            match file.write_at(&bytes[written..], position + written as u64) {
                Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull && (self.make_room)() => {}
                Err(error) => return (written, Some(error)),
            }
        }
        (written, None)
    }

    /// The file whose first byte has stream offset `start`, made if it is new; then what exceeds the budget is removed.
    fn open(&mut self, start: u64) -> io::Result<()> {
        if self.file.as_ref().is_none_or(|(open, _)| *open != start) {
            if let Some(oldest) = self.layout.dropped_for(start) {
                match std::fs::remove_file(self.layout.file_of(oldest)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(self.layout.file_of(start))?;
            self.file = Some((start, file));
        }
        Ok(())
    }

    fn failed(&self, offset: u64, source: io::Error) -> LogError {
        let file = self.layout.file_of(offset);
        LogError { file, offset, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn log(dir: &tempfile::TempDir, head: u64, tail: u64) -> RawLog {
        RawLog::create(LogLayout::new(dir.path().join("serial.log"), head, tail)).unwrap()
    }

    #[test]
    fn the_budget_holds_and_names_explain_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(&dir, 100, 40);
        log.write(&[7; 1234]).unwrap();
        let mut files: Vec<_> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                (
                    entry.file_name().into_string().unwrap(),
                    entry.metadata().unwrap().len(),
                )
            })
            .collect();
        files.sort();
        let expected = [
            ("serial.log", 100),
            ("serial.log.from-1200", 10),
            ("serial.log.from-1210", 10),
            ("serial.log.from-1220", 10),
            ("serial.log.from-1230", 4),
        ];
        assert_eq!(files, expected.map(|(name, size)| (name.to_owned(), size)));
        assert_eq!(
            (log.bytes_total(), log.bytes_kept(), log.bytes_dropped()),
            (1234, 134, 1100)
        );
    }

    #[test]
    fn a_log_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("serial.log"), "of another machine").unwrap();
        let error = RawLog::create(LogLayout::new(dir.path().join("serial.log"), 10, 10)).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_failing_disk_is_told_once_and_what_it_lost_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(&dir, 10, 40);
        let obstacle = dir.path().join("serial.log.from-10");
        std::fs::create_dir(&obstacle).unwrap();
        let error = log.write(b"0123456789abc").unwrap_err();
        assert_eq!((error.offset, error.file.as_path()), (10, obstacle.as_path()));
        log.write(b"defg").unwrap();
        assert_eq!((log.bytes_lost(), log.bytes_kept()), (7, 10));
        std::fs::remove_dir(&obstacle).unwrap();
        log.write(b"HIJ").unwrap();
        assert_eq!(std::fs::read(&obstacle).unwrap(), b"\0\0\0\0\0\0\0HIJ");
        assert_eq!((log.bytes_lost(), log.first_lost()), (7, Some(10)));
    }

    #[test]
    fn a_full_device_loses_bytes_and_nothing_else() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(&dir, 100, 40);
        log.file = Some((0, full));
        let error = log.write(b"abc").unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("lost bytes from stream offset 0 on"));
        log.write(b"def").unwrap();
        assert_eq!((log.bytes_total(), log.bytes_lost(), log.bytes_kept()), (6, 6, 0));
    }

    proptest! {
        #[test]
        fn every_located_byte_is_where_it_should_be(
            head in 1u64..50, tail in 4u64..60, sizes in prop::collection::vec(0usize..40, 0..12)
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut log = log(&dir, head, tail);
            let stream: Vec<u8> = (0..sizes.iter().sum::<usize>()).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let mut rest = stream.as_slice();
            for size in sizes {
                let (part, after) = rest.split_at(size);
                log.write(part).unwrap();
                rest = after;
            }
            let total = stream.len() as u64;
            let mut kept = 0;
            for (offset, byte) in (0..total).zip(&stream) {
                if let Some((file, at)) = log.layout().locate(offset, total) {
                    kept += 1;
                    prop_assert_eq!(std::fs::read(file).unwrap()[usize::try_from(at).unwrap()], *byte);
                }
            }
            prop_assert_eq!(kept, log.bytes_kept());
            prop_assert_eq!(log.layout().locate(total, total), None);
            let on_disk: u64 = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
            prop_assert_eq!(on_disk, kept);
        }
    }
}
