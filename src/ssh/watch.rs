//! Trying to log in again and again, until told to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

use super::client::Session;
use super::greeting::greet;
use super::hostkey::HostKeyPin;
use super::login::{Login, PhaseTimes};
use super::outcome::ProbeOutcome;
use super::probe::Probe;

/// Logs in again and again, one attempt at a time, and tells each outcome. Dropping it stops it at once.
///
/// There is no event that says that a server came up behind the forward; so this tries. A hint that it may have come
/// up, such as the marker, goes in through [`LoginWatch::poke`].
#[derive(Debug)]
pub struct LoginWatch {
    task: JoinHandle<()>,
    poke: Arc<Notify>,
}

impl LoginWatch {
    /// Starts: the first attempt at once, each later one `retry_every` after the one before has ended. The first host
    /// key that a full login shows is pinned if `pin` holds none. Ends by itself when `notices` has no receiver.
    pub fn start(
        login: Login,
        pin: HostKeyPin,
        expected: Option<Uuid>,
        retry_every: Duration,
        notices: mpsc::Sender<Probe>,
    ) -> Self {
        let poke = Arc::new(Notify::new());
        let task = tokio::spawn(watch(login, pin, expected, retry_every, notices, poke.clone()));
        Self { task, poke }
    }

    /// Tries again now. An attempt whose server has not answered yet is given up for the new one without a notice;
    /// one whose server has answered is left to end, and the next follows without a pause.
    pub fn poke(&self) {
        self.poke.notify_one();
    }
}

impl Drop for LoginWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(
    login: Login,
    mut pin: HostKeyPin,
    expected: Option<Uuid>,
    retry_every: Duration,
    notices: mpsc::Sender<Probe>,
    poke: Arc<Notify>,
) {
    loop {
        let started_at = std::time::Instant::now();
        let mut phase_times = PhaseTimes::default();
        let greeted = tokio::select! {
            greeted = greet(&login, &mut phase_times) => greeted,
            () = poke.notified() => continue,
        };
        let entered = match greeted {
            Ok(greeted) => Session::enter(greeted, &login, &pin, expected, &mut phase_times).await,
            Err(outcome) => Err(outcome),
        };
        let outcome = match entered {
            Ok((session, facts)) => {
                session.close().await;
                pin.pin_first(&facts.host_key);
                ProbeOutcome::LoggedIn(facts)
            }
            Err(outcome) => outcome,
        };
        let probe = Probe {
            outcome,
            phase_times,
            started_at,
        };
        if notices.send(probe).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep(retry_every) => {}
            () = poke.notified() => {}
            () = notices.closed() => return,
        }
    }
}
