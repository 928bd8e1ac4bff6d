//! A part of a disk image, read within bounds.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::units::{GIB, MIB};

/// How long one command may read a disk.
pub const READ_DEADLINE: Duration = Duration::from_secs(120);
/// What one command may read beyond what it gives out, such as directories and maps, in bytes.
const OVERHEAD_BYTES_MAX: u64 = 4 * GIB;

/// What is left to one command. The readers of file systems don't bound themselves: a chain of clusters that ends in itself
/// is read for ever. Each of their steps reads, so that is where they are ended.
#[derive(Debug)]
pub(super) struct Budget {
    deadline: Instant,
    bytes_left: AtomicU64,
    reads_left: AtomicU64,
}

impl Budget {
    /// A budget for reading `bytes` and what it takes to find them.
    pub(super) fn new(deadline: Duration, bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            deadline: Instant::now() + deadline,
            bytes_left: AtomicU64::new(bytes.saturating_add(OVERHEAD_BYTES_MAX)),
            reads_left: AtomicU64::new(bytes.saturating_add(OVERHEAD_BYTES_MAX) / 16),
        })
    }

    /// Takes the cost of one read.
    pub(super) fn take(&self, bytes: usize) -> io::Result<()> {
        let has = |left: &AtomicU64, cost: u64| {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost))
                .is_ok()
        };
        if has(&self.reads_left, 1) && has(&self.bytes_left, bytes as u64) && Instant::now() < self.deadline {
            Ok(())
        } else {
            self.bytes_left.store(0, Ordering::Relaxed);
            Err(io::Error::new(io::ErrorKind::QuotaExceeded, SPENT))
        }
    }

    /// True if nothing more may be read.
    pub(super) fn is_spent(&self) -> bool {
        let spent = |left: &AtomicU64| left.load(Ordering::Relaxed) == 0;
        Instant::now() >= self.deadline || spent(&self.reads_left) || spent(&self.bytes_left)
    }
}

/// What a spent budget is called.
pub(super) const SPENT: &str = "two minutes, or of 4 GiB of reading beyond what is given out, for one command";

/// A part of a raw disk image. It is opened for reading only and takes no lock, so a QEMU that has it open is not disturbed.
#[derive(Debug, Clone)]
pub(super) struct Source {
    file: Arc<File>,
    start: u64,
    size_bytes: u64,
    budget: Arc<Budget>,
}

impl Source {
    pub(super) fn new(file: Arc<File>, size_bytes: u64, budget: Arc<Budget>) -> Self {
        Self {
            file,
            start: 0,
            size_bytes,
            budget,
        }
    }

    /// A part of it; what would reach behind its end is cut off.
    pub(super) fn part(&self, start: u64, size_bytes: u64) -> Self {
        let start = start.min(self.size_bytes);
        Self {
            start: self.start + start,
            size_bytes: size_bytes.min(self.size_bytes - start),
            ..self.clone()
        }
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Fills `into` from `start`.
    pub(super) fn read(&self, start: u64, into: &mut [u8]) -> io::Result<()> {
        self.budget.take(into.len())?;
        let end = start.checked_add(into.len() as u64);
        if end.is_none_or(|end| end > self.size_bytes) {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it reaches behind the end of its volume",
            ));
        }
        self.file.read_exact_at(into, self.start + start)
    }

    /// `count` bytes from `start`.
    pub(super) fn bytes<const COUNT: usize>(&self, start: u64) -> io::Result<[u8; COUNT]> {
        let mut bytes = [0; COUNT];
        self.read(start, &mut bytes)?;
        Ok(bytes)
    }

    /// `count` bytes from `start`, at most a MiB.
    pub(super) fn exact(&self, start: u64, count: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(count.min(MIB)).unwrap_or(0)];
        self.read(start, &mut bytes)?;
        Ok(bytes)
    }

    /// As many bytes as there are from `start`, at most `count_max`, which is at most a MiB.
    pub(super) fn head(&self, start: u64, count_max: u64) -> io::Result<Vec<u8>> {
        let count = count_max.min(MIB).min(self.size_bytes.saturating_sub(start));
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(0)];
        self.read(start, &mut bytes)?;
        Ok(bytes)
    }
}

/// A little-endian number; zero behind the end.
pub(super) fn le<const SIZE: usize>(bytes: &[u8], at: usize) -> u64 {
    let field = at
        .checked_add(SIZE)
        .and_then(|end| bytes.get(at..end))
        .unwrap_or_default();
    field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A big-endian number; zero behind the end.
pub(super) fn be<const SIZE: usize>(bytes: &[u8], at: usize) -> u64 {
    let field = at
        .checked_add(SIZE)
        .and_then(|end| bytes.get(at..end))
        .unwrap_or_default();
    field.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}
