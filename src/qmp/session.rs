//! The protocol: greeting, negotiation, ids, the pending table and its limits. No clock, no I/O.
//!
//! A [`Session`] is fed with lines and requests and puts out what is to be done. Whoever waits for a reply is a
//! [`Waiter`]; one that has stopped waiting costs nothing but a note when the reply comes.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::codec::{BadFrame, Frame, WireError, parse};
use super::error::{QmpError, QmpLoss, printable};
use super::event::QmpEvent;
use super::notice::{Greeting, ProtocolNote, QmpNotice};
use super::request::{Band, Request};
use crate::text::Untrusted;

/// How many ordinary commands QEMU may have at a time. QEMU stops reading when the eighth is queued, and then an
/// out-of-band command can't overtake either (QEMU `docs/interop/qmp-spec.rst`, `monitor/qmp.c`).
pub const IN_BAND_IN_FLIGHT_MAX: usize = 7;
/// How many out-of-band commands QEMU may have at a time.
pub const OUT_OF_BAND_IN_FLIGHT_MAX: usize = 8;
/// How many commands may wait for their turn; more are refused with [`QmpError::Busy`].
pub const QUEUE_MAX: usize = 256;

/// Somebody who waits for a reply.
pub trait Waiter {
    /// False once the reply is no longer wanted.
    fn is_waiting(&self) -> bool;
}

/// What is to be done next. Its `Debug` form shows neither lines nor results, which may be secret.
pub enum Output<W> {
    /// Write this line (without a line ending) to QEMU; `recorded` is what the transcript may show of it.
    Send {
        /// The line.
        line: Vec<u8>,
        /// Its form for the transcript, if it differs.
        recorded: Option<Vec<u8>>,
    },
    /// Give the waiter its result.
    Finish {
        /// Who waits.
        waiter: W,
        /// What the command gave: the JSON text of its result.
        outcome: Result<Box<RawValue>, QmpError>,
    },
    /// Tell the driver.
    Notice(QmpNotice),
}

impl<W> fmt::Debug for Output<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { .. } => f.write_str("Send"),
            Self::Finish { outcome, .. } => write!(f, "Finish({:?})", outcome.as_ref().map(|_| ())),
            Self::Notice(notice) => write!(f, "Notice({notice:?})"),
        }
    }
}

#[derive(Debug)]
enum Phase {
    Greeting,
    Negotiating { id: u64, greeting: Greeting },
    Ready { oob: bool },
    Ended(QmpLoss),
}

#[derive(Debug)]
struct InFlight<W> {
    command: String,
    secret: bool,
    oob: bool,
    waiter: W,
}

/// One QMP session, from the greeting to its loss.
#[derive(Debug)]
pub struct Session<W> {
    phase: Phase,
    next_id: u64,
    in_flight: BTreeMap<u64, InFlight<W>>,
    queue: VecDeque<(Request, W)>,
    outputs: VecDeque<Output<W>>,
}

impl<W: Waiter> Default for Session<W> {
    fn default() -> Self {
        Self {
            phase: Phase::Greeting,
            next_id: 1,
            in_flight: BTreeMap::new(),
            queue: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }
}

impl<W: Waiter> Session<W> {
    /// What is to be done next; ask until there is nothing left.
    pub fn next_output(&mut self) -> Option<Output<W>> {
        self.outputs.pop_front()
    }

    /// Why the session is over, if it is.
    pub fn loss(&self) -> Option<&QmpLoss> {
        match &self.phase {
            Phase::Ended(loss) => Some(loss),
            _ => None,
        }
    }

    /// Takes a command. It is sent when its turn comes, and its waiter gets exactly one result unless it stops waiting.
    pub fn request(&mut self, request: Request, waiter: W) {
        if let Phase::Ended(loss) = &self.phase {
            return self.outputs.push_back(Output::Finish {
                waiter,
                outcome: Err(loss.clone().into()),
            });
        }
        if self.queue.len() >= QUEUE_MAX {
            self.queue.retain(|(_, waiter)| waiter.is_waiting());
        }
        if self.queue.len() >= QUEUE_MAX {
            let outcome = Err(QmpError::Busy {
                command: request.command,
                waiting: self.queue.len(),
            });
            return self.outputs.push_back(Output::Finish { waiter, outcome });
        }
        self.queue.push_back((request, waiter));
        self.send_queued();
    }

    /// True while QEMU has a command whose arguments are secret: what it says without an id may repeat them.
    pub fn holds_secret(&self) -> bool {
        self.in_flight.values().any(|call| call.secret)
    }

    /// Takes a line from QEMU, and gives the form in which it may be recorded if that is not the line itself.
    pub fn receive(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        if self.loss().is_some() {
            return None;
        }
        match parse(line) {
            Ok(Frame::Greeting(json)) => self.greeted(json),
            Ok(Frame::Event { name, timestamp }) => {
                let event = QmpEvent::read(&name, timestamp, line);
                if !matches!(self.phase, Phase::Ready { .. }) {
                    self.note(ProtocolNote::EarlyEvent {
                        name: event.name.clone(),
                    });
                }
                self.outputs.push_back(Output::Notice(QmpNotice::Event(event)));
            }
            Ok(Frame::Reply { id: Some(id), outcome }) => return self.replied(id, outcome),
            other => return self.stray(other),
        }
        None
    }

    /// A line that belongs to no command that we know. If one with a secret is under way, it may be about that.
    fn stray(&mut self, frame: Result<Frame<'_>, BadFrame>) -> Option<Vec<u8>> {
        let secret = self.holds_secret();
        let note = match frame {
            Ok(Frame::Reply {
                outcome: Err(WireError { class, desc }),
                ..
            }) => ProtocolNote::ErrorWithoutId {
                class: printable(&class),
                desc: if secret { "***".to_owned() } else { printable(&desc) },
            },
            Err(BadFrame::Unreadable { .. } | BadFrame::Unrecognised { .. }) if secret => {
                ProtocolNote::BadFrame(BadFrame::Unreadable {
                    error: "not shown because a secret is being sent".to_owned(),
                    excerpt: Untrusted::new(*b"***"),
                })
            }
            Err(bad) => ProtocolNote::BadFrame(bad),
            Ok(_) => ProtocolNote::ResultWithoutId,
        };
        self.note(note);
        secret.then(|| b"***".to_vec())
    }

    /// Ends the session: every waiter is told why, then the driver. Only the first call counts.
    pub fn end(&mut self, loss: QmpLoss) {
        if self.loss().is_some() {
            return;
        }
        let in_flight = std::mem::take(&mut self.in_flight)
            .into_values()
            .map(|call| call.waiter);
        let queued = std::mem::take(&mut self.queue).into_iter().map(|(_, waiter)| waiter);
        for waiter in in_flight.chain(queued) {
            self.outputs.push_back(Output::Finish {
                waiter,
                outcome: Err(loss.clone().into()),
            });
        }
        self.outputs.push_back(Output::Notice(QmpNotice::Lost(loss.clone())));
        self.phase = Phase::Ended(loss);
    }

    fn note(&mut self, note: ProtocolNote) {
        self.outputs.push_back(Output::Notice(QmpNotice::Note(note)));
    }

    fn take_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    fn greeted(&mut self, json: &RawValue) {
        if !matches!(self.phase, Phase::Greeting) {
            return self.note(ProtocolNote::SecondGreeting);
        }
        let greeting = match Greeting::read(json.get()) {
            Ok(greeting) => greeting,
            Err(error) => {
                return self.end(QmpLoss::BadGreeting {
                    error: printable(&error.to_string()),
                });
            }
        };
        let id = self.take_id();
        let arguments = if greeting.oob {
            json!({"enable": ["oob"]})
        } else {
            Value::Null
        };
        let line = Request::new("qmp_capabilities", Value::Null).line(id, false, &arguments);
        self.outputs.push_back(Output::Send { line, recorded: None });
        self.phase = Phase::Negotiating { id, greeting };
    }

    fn negotiated(&mut self, greeting: Greeting, outcome: Result<&RawValue, WireError>) {
        match outcome {
            Ok(_) => {
                let Greeting { version, oob } = greeting;
                self.phase = Phase::Ready { oob };
                self.outputs
                    .push_back(Output::Notice(QmpNotice::Ready { version, oob }));
                self.send_queued();
            }
            Err(WireError { class, desc }) => {
                self.end(QmpLoss::NotNegotiated {
                    class: printable(&class),
                    desc: printable(&desc),
                });
            }
        }
    }

    fn replied(&mut self, id: &RawValue, outcome: Result<&RawValue, WireError>) -> Option<Vec<u8>> {
        let number = id.get().parse().unwrap_or(0);
        self.phase = match std::mem::replace(&mut self.phase, Phase::Greeting) {
            Phase::Negotiating { id, greeting } if id == number => {
                self.negotiated(greeting, outcome);
                return None;
            }
            phase => phase,
        };
        let Some(InFlight {
            command,
            secret,
            waiter,
            ..
        }) = self.in_flight.remove(&number)
        else {
            self.note(ProtocolNote::UnknownId {
                id: printable(id.get()),
            });
            return self.holds_secret().then(|| b"***".to_vec());
        };
        let recorded = secret.then(|| redacted_reply(number, outcome.as_ref()));
        if waiter.is_waiting() {
            let outcome = outcome
                .map(ToOwned::to_owned)
                .map_err(|error| QmpError::refused(command, &error, secret));
            self.outputs.push_back(Output::Finish { waiter, outcome });
        } else {
            self.note(ProtocolNote::LateReply { id: number, command });
        }
        self.send_queued();
        recorded
    }

    /// Sends what may be sent now, in order; a command out of band passes those that wait for room in the other band.
    fn send_queued(&mut self) {
        let Phase::Ready { oob: offered } = self.phase else {
            return;
        };
        self.queue.retain(|(_, waiter)| waiter.is_waiting());
        let busy_oob = self.in_flight.values().filter(|call| call.oob).count();
        let mut room_oob = OUT_OF_BAND_IN_FLIGHT_MAX.saturating_sub(busy_oob);
        let mut room_in_band = IN_BAND_IN_FLIGHT_MAX.saturating_sub(self.in_flight.len() - busy_oob);
        for (request, waiter) in std::mem::take(&mut self.queue) {
            let oob = offered && request.band != Band::InBand;
            let room = if oob { &mut room_oob } else { &mut room_in_band };
            if request.band == Band::OutOfBand && !offered {
                let outcome = Err(QmpError::NoOutOfBand {
                    command: request.command,
                });
                self.outputs.push_back(Output::Finish { waiter, outcome });
            } else if *room == 0 {
                self.queue.push_back((request, waiter));
            } else {
                *room -= 1;
                self.send(request, waiter, oob);
            }
        }
    }

    fn send(&mut self, request: Request, waiter: W, oob: bool) {
        let id = self.take_id();
        let line = request.line(id, oob, &request.arguments);
        let recorded = request.secret.then(|| request.line(id, oob, &json!("***")));
        self.outputs.push_back(Output::Send { line, recorded });
        let Request { command, secret, .. } = request;
        self.in_flight.insert(
            id,
            InFlight {
                command,
                secret,
                oob,
                waiter,
            },
        );
    }
}

/// The reply to a secret command, as the transcript may show it: QEMU's words may repeat the arguments.
fn redacted_reply(id: u64, outcome: Result<&&RawValue, &WireError>) -> Vec<u8> {
    let reply = match outcome {
        Ok(_) => json!({"return": "***", "id": id}),
        Err(error) => json!({"error": {"class": error.class, "desc": "***"}, "id": id}),
    };
    reply.to_string().into_bytes()
}
