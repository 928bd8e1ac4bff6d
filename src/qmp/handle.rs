//! The handle through which commands are given.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::error::{QmpError, QmpLoss, printable};
use super::event::QmpEvent;
use super::request::{Band, Request};
use super::session::Waiter;

/// A caller that waits for the JSON text of a result.
#[derive(Debug)]
pub(super) struct Caller(oneshot::Sender<Result<Box<RawValue>, QmpError>>);

impl Caller {
    pub(super) fn finish(self, outcome: Result<Box<RawValue>, QmpError>) {
        // A caller that left between the session's look and this moment needs no result.
        let _ = self.0.send(outcome);
    }
}

impl Waiter for Caller {
    fn is_waiting(&self) -> bool {
        !self.0.is_closed()
    }
}

/// A command on its way to the task that owns the connection.
pub(super) type Call = (Request, Caller);

/// What a handle knows about the session.
#[derive(Debug, Clone)]
pub(super) enum LinkState {
    Negotiating,
    Ready,
    Lost(QmpLoss),
}

/// A handle to a QMP session. Clones are cheap and share it.
///
/// Each call has a deadline, counted from the call, which includes the wait for negotiation and for a turn. Dropping
/// the future of a call at any moment is harmless: a command that was not sent is not sent, one that was sent may
/// still be carried out, and its reply is dropped with a note.
#[derive(Debug, Clone)]
pub struct Qmp {
    pub(super) calls: mpsc::Sender<Call>,
    pub(super) state: watch::Receiver<LinkState>,
    /// Weak, so that listeners learn of the session's end from the one task that owns it.
    pub(super) events: broadcast::WeakSender<Arc<QmpEvent>>,
}

/// Events as they come, for one who waits for some of them beside the driver.
#[derive(Debug)]
pub struct QmpEvents {
    receiver: broadcast::Receiver<Arc<QmpEvent>>,
    state: watch::Receiver<LinkState>,
}

/// Why the next event is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventGap {
    /// The listener was too slow. What is true now must be asked for.
    #[error("{count} events came faster than they were taken")]
    Missed {
        /// How many.
        count: u64,
    },
    /// The session is over.
    #[error(transparent)]
    Lost(#[from] QmpLoss),
}

impl QmpEvents {
    /// The next event. May be dropped and called again.
    pub async fn next(&mut self) -> Result<Arc<QmpEvent>, EventGap> {
        match self.receiver.recv().await {
            Ok(event) => Ok(event),
            Err(RecvError::Lagged(count)) => Err(EventGap::Missed { count }),
            Err(RecvError::Closed) => Err(EventGap::Lost(loss_of(&self.state))),
        }
    }
}

fn loss_of(state: &watch::Receiver<LinkState>) -> QmpLoss {
    match &*state.borrow() {
        LinkState::Lost(loss) => loss.clone(),
        _ => QmpLoss::GivenUp,
    }
}

impl Qmp {
    /// Gives a command by its type.
    pub async fn execute<C: qapi::Command>(&self, command: C, deadline: Duration) -> Result<C::Ok, QmpError> {
        self.decoded(Request::typed(&command)?, deadline).await
    }

    /// Gives a command by its type whose arguments are secret: they are neither recorded nor shown, and neither is what
    /// QEMU says about them.
    pub async fn execute_secret<C: qapi::Command>(&self, command: C, deadline: Duration) -> Result<C::Ok, QmpError> {
        self.decoded(Request::typed(&command)?.secret(), deadline).await
    }

    /// Gives a command by its name; `arguments` is a JSON object, or `Null` for none.
    pub async fn execute_raw(&self, command: &str, arguments: Value, deadline: Duration) -> Result<Value, QmpError> {
        self.send(Request::new(command, arguments), deadline).await
    }

    /// Gives a command by its name that overtakes those that wait; QEMU allows it for few commands only.
    pub async fn execute_oob_raw(
        &self,
        command: &str,
        arguments: Value,
        deadline: Duration,
    ) -> Result<Value, QmpError> {
        self.send(Request::new(command, arguments).in_band(Band::OutOfBand), deadline)
            .await
    }

    /// Gives a command in any form.
    pub async fn send(&self, request: Request, deadline: Duration) -> Result<Value, QmpError> {
        self.decoded(request, deadline).await
    }

    /// How long QEMU takes to answer. Out of band (if QEMU offers it) the answer comes even if the main loop is blocked,
    /// so silence means that the process is dead, stopped, or starved of CPU.
    pub async fn ping(&self, deadline: Duration) -> Result<Duration, QmpError> {
        let started = Instant::now();
        let request = Request::new("query-yank", Value::Null).in_band(Band::OutOfBandIfOffered);
        match self.exchange(request, deadline).await {
            // A refusal is an answer, too: a QEMU before 6.0 doesn't know the command.
            Ok(_) | Err(QmpError::Refused { .. }) => Ok(started.elapsed()),
            Err(error) => Err(error),
        }
    }

    async fn decoded<T: DeserializeOwned>(&self, request: Request, deadline: Duration) -> Result<T, QmpError> {
        let (command, secret) = (request.command().to_owned(), request.is_secret());
        let json = self.exchange(request, deadline).await?;
        serde_json::from_str(json.get()).map_err(|error| {
            let shown = |text: &str| if secret { "***".to_owned() } else { printable(text) };
            QmpError::Decode {
                command,
                error: shown(&error.to_string()),
                raw: shown(json.get()),
            }
        })
    }

    async fn exchange(&self, request: Request, deadline: Duration) -> Result<Box<RawValue>, QmpError> {
        let command = request.command().to_owned();
        let (sender, result) = oneshot::channel();
        let exchange = async {
            let sent = self.calls.send((request, Caller(sender))).await;
            sent.map_err(|_| self.loss())?;
            result.await.map_err(|_| self.loss())?
        };
        tokio::time::timeout(deadline, exchange).await.unwrap_or_else(|_| {
            let negotiated = !matches!(*self.state.borrow(), LinkState::Negotiating);
            Err(QmpError::Deadline {
                command,
                after: deadline,
                negotiated,
            })
        })
    }

    /// Listens to the events from now on, besides the receiver that [`super::attach`] gave. To be called before the
    /// command whose events are wanted: a reply and an event have no order between them.
    pub fn subscribe(&self) -> QmpEvents {
        let receiver = match self.events.upgrade() {
            Some(events) => events.subscribe(),
            // The session is over: a channel that nobody sends on says so.
            None => broadcast::channel(1).1,
        };
        QmpEvents {
            receiver,
            state: self.state.clone(),
        }
    }

    fn loss(&self) -> QmpLoss {
        loss_of(&self.state)
    }
}
