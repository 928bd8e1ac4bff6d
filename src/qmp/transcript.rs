//! The record of a session.

use std::sync::{Arc, Mutex, PoisonError};

/// Which way a line went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From QEMU to us.
    Received,
    /// From us to QEMU.
    Sent,
}

/// Keeps the lines of a session, both ways and in order. Secrets are already replaced by `***`.
///
/// It is called by the task that owns the connection, so it must not wait for long.
pub trait Transcript: Send {
    /// Keeps one line. It has no line ending; a line that can't be read is recorded too (of one that was too long,
    /// or cut off, as much as is known), so it need not be UTF-8.
    fn record(&mut self, direction: Direction, line: &[u8]);
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTranscript;

impl Transcript for NoTranscript {
    fn record(&mut self, _direction: Direction, _line: &[u8]) {}
}

type Lines = Vec<(Direction, Vec<u8>)>;

/// Keeps everything in memory, without a limit: for tests and short sessions. Clones share the lines.
#[derive(Debug, Clone, Default)]
pub struct SharedTranscript(Arc<Mutex<Lines>>);

impl SharedTranscript {
    /// The lines so far.
    pub fn lines(&self) -> Vec<(Direction, Vec<u8>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Transcript for SharedTranscript {
    fn record(&mut self, direction: Direction, line: &[u8]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((direction, line.to_vec()));
    }
}
