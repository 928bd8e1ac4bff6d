//! A sign of life in a log that nothing is written to.

use std::time::{Duration, Instant};

/// How long nothing may be printed: a person who follows a CI log should not have to guess whether it goes on.
pub const BEAT_EVERY: Duration = Duration::from_secs(60);

/// When the next sign of life is due.
#[derive(Debug, Clone, Copy)]
pub struct Beat {
    due: Instant,
}

impl Beat {
    /// Something was printed just now.
    pub fn new(now: Instant) -> Self {
        Self { due: now + BEAT_EVERY }
    }

    /// When it is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Something was printed.
    pub fn printed(&mut self, now: Instant) {
        *self = Self::new(now);
    }
}
