//! How a child is ended: it is asked, then told, then killed.

use super::exit::ExitReport;
use super::running::Running;
use rustix::process::Signal;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long each rung of the ladder may take before the next one is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rungs {
    /// For QMP `quit`, from sending it to the end of the process.
    pub quit: Duration,
    /// For SIGTERM.
    pub terminate: Duration,
    /// For SIGKILL. It can't be refused, but a process that waits in the kernel for a disk dies when that wait is over.
    pub kill: Duration,
}

impl Rungs {
    /// For a run that was cancelled: what cannot be asked is killed within a second.
    pub const QUICK: Self = Self {
        quit: Duration::from_millis(500),
        terminate: Duration::from_millis(500),
        kill: Duration::from_secs(1),
    };
}

impl Default for Rungs {
    fn default() -> Self {
        Self {
            quit: Duration::from_secs(2),
            terminate: Duration::from_secs(2),
            kill: Duration::from_secs(1),
        }
    }
}

/// A rung of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// It had ended before anything was done.
    AlreadyGone,
    /// It ended on QMP `quit`.
    Quit,
    /// It ended on SIGTERM.
    Terminate,
    /// It ended on SIGKILL.
    Kill,
    /// It was killed and had not ended when the last rung's time was over.
    StillThere,
}

/// How the ladder went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndReport {
    /// The rung that worked.
    pub rung: Rung,
    /// The time from the first rung to the end.
    pub took: Duration,
    /// How the process ended; `None` for [`Rung::StillThere`].
    pub exit: Option<Arc<ExitReport>>,
}

/// Ends a child with as little force as it takes. `quit` sends QMP `quit` and gives true if it was accepted; if it gives
/// false, SIGTERM follows at once. A child that is stopped gets past the first two rungs only by their deadlines:
/// SIGTERM stays pending until SIGCONT, SIGKILL does not.
pub async fn end(running: &Running, quit: impl Future<Output = bool>, rungs: Rungs) -> EndReport {
    let ladder = Ladder::start(running);
    if running.exited().borrow().is_some() {
        return ladder.done(Rung::AlreadyGone).await;
    }
    let asked = async {
        tokio::select! {
            biased;
            _ = running.wait() => true,
            accepted = quit => accepted && { running.wait().await; true },
        }
    };
    if timeout(rungs.quit, asked).await == Ok(true) {
        return ladder.done(Rung::Quit).await;
    }
    let sent = running.signal_group(Signal::TERM).is_ok();
    if sent && timeout(rungs.terminate, running.wait()).await.is_ok() {
        return ladder.done(Rung::Terminate).await;
    }
    ladder.kill(rungs.kill).await
}

/// Ends a child by SIGKILL at once, for a person who has asked twice.
pub async fn end_now(running: &Running, rungs: Rungs) -> EndReport {
    let ladder = Ladder::start(running);
    if running.exited().borrow().is_some() {
        return ladder.done(Rung::AlreadyGone).await;
    }
    ladder.kill(rungs.kill).await
}

struct Ladder<'a> {
    running: &'a Running,
    started: Instant,
}

impl<'a> Ladder<'a> {
    fn start(running: &'a Running) -> Self {
        let started = Instant::now();
        Self { running, started }
    }

    async fn done(self, rung: Rung) -> EndReport {
        EndReport {
            rung,
            exit: Some(self.running.wait().await),
            took: self.started.elapsed(),
        }
    }

    async fn kill(self, limit: Duration) -> EndReport {
        // A failure shows as a child that is still there when the time is over.
        let _ = self.running.signal_group(Signal::KILL);
        if timeout(limit, self.running.wait()).await.is_ok() {
            return self.done(Rung::Kill).await;
        }
        EndReport {
            rung: Rung::StillThere,
            took: self.started.elapsed(),
            exit: None,
        }
    }
}
