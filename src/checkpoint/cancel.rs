//! One word to async and blocking work alike: stop.

use tokio_util::sync::{CancellationToken, DropGuard};

/// Tells work to stop. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cancel(CancellationToken);

impl Cancel {
    /// Tells the work to stop.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// True once it was told to stop; for blocking work, which asks between two pieces.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is told to stop. May be dropped and called again.
    pub async fn cancelled(&self) {
        self.0.cancelled().await;
    }

    /// A part of the work that also stops when the guard is dropped: blocking work does not outlive the future that
    /// started it.
    pub(crate) fn part(&self) -> (Self, DropGuard) {
        let child = self.0.child_token();
        (Self(child.clone()), child.drop_guard())
    }
}
