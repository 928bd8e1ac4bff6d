//! `console`: the serial console of a held machine, on this terminal or through pipes.
//!
//! One loop waits for all sides at once and never for one of them: the guest may read nothing, the holder may be stopped
//! and the terminal's output held back, and still the key that detaches and the signals that end a program do their work.

use std::io::{self, IsTerminal as _, Read as _, Write as _, stdin};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::cli::say;
use crate::control::{HoldStatus, Refusal, Request};
use crate::evidence::RunRecord;
use crate::text::terminal_line;

use super::client::{self, ClientError};
use super::terminal::{EndSignals, RawMode, Shown};
use super::typed::Typed;

/// Bytes that are read at once.
const READ_BYTES: usize = 16 * 1024;
const STATUS_CHARS_MAX: usize = 64;

/// Why it was left.
enum End {
    /// By the key, or because the terminal is gone.
    Detached,
    /// The machine or its holder has ended.
    Ended,
    /// Nobody reads what is shown.
    Unread,
    /// By a signal.
    Signal(u32),
}

/// Attaches to the console of a run's machine until the person leaves or the console ends.
pub(super) fn console(record: &RunRecord) -> Result<u8, ClientError> {
    let id = &record.info.id;
    let status = client::ask(&record.path, &Request::Status);
    let (_, reader) = client::open(&record.path, &Request::Console)?;
    if stdin().is_terminal() {
        say::tell(format_args!(
            "the console of {id}: Ctrl-] detaches, every other key is the guest's"
        ));
    }
    let status = status.ok().and_then(|status| serde_json::from_value(status).ok());
    if let Some(HoldStatus { guest, .. }) = status
        && guest != "running"
    {
        say::tell(format_args!(
            "the guest stands still ({}): it reads and prints nothing before `bootgate inspect {id} resume`",
            terminal_line(&guest, STATUS_CHARS_MAX)
        ));
    }
    let seen = reader.buffer().to_vec();
    match join(reader.into_inner(), &seen).map_err(|error| broken(&error))? {
        End::Detached => say::tell(format_args!(
            "detached; next: bootgate inspect {id} console, pause or quit"
        )),
        End::Ended => say::tell(format_args!(
            "the console has ended with its machine or its holder; next: bootgate inspect {id} show"
        )),
        End::Unread => {}
        // As a shell names the death by it.
        End::Signal(number) => return Ok(u8::try_from(128 + number).unwrap_or(u8::MAX)),
    }
    Ok(0)
}

fn broken(error: &io::Error) -> ClientError {
    ClientError::Refused(Refusal {
        problem: format!("the console can't be joined with this terminal or these pipes: {error}"),
        help: "look at where standard input and standard output go; the machine is as it was".to_owned(),
    })
}

/// Joins the two sides. What was changed on this one is as before when it returns.
fn join(socket: UnixStream, seen: &[u8]) -> io::Result<End> {
    let input = stdin();
    let is_terminal = input.is_terminal();
    socket.set_nonblocking(true)?;
    let signals = EndSignals::catch()?;
    let mut shown = Shown::open()?;
    shown.push(seen);
    let _raw = is_terminal.then(|| RawMode::enter(input.as_fd())).transpose()?;
    let joint = Joint {
        signals: &signals,
        input: Some(input.as_fd()),
        is_terminal,
        typed: Typed::default(),
        socket: Some(socket),
        shown,
    };
    joint.run()
}

/// Both sides, and what is on its way between them.
struct Joint<'a> {
    signals: &'a EndSignals,
    /// Standard input until its end.
    input: Option<BorrowedFd<'a>>,
    /// True if a person sits at it.
    is_terminal: bool,
    typed: Typed,
    /// The holder's stream until its end.
    socket: Option<UnixStream>,
    shown: Shown,
}

impl Joint<'_> {
    fn run(mut self) -> io::Result<End> {
        while self.socket.is_some() || !self.shown.is_empty() {
            let [signals, input, socket, output] = self.wait()?;
            if !signals.is_empty()
                && let Some(number) = self.signals.next()?
            {
                return Ok(End::Signal(number));
            }
            if !input.is_empty()
                && let Some(end) = self.read_input()?
            {
                return Ok(end);
            }
            if !socket.is_empty() {
                self.exchange();
            }
            if output.intersects(PollFlags::ERR | PollFlags::HUP) || !output.is_empty() && !self.shown.write()? {
                return Ok(End::Unread);
            }
        }
        Ok(End::Ended)
    }

    /// Waits until something can be done.
    fn wait(&self) -> io::Result<[PollFlags; 4]> {
        let flag = |wanted, flag| if wanted { flag } else { PollFlags::empty() };
        let exchange = flag(self.shown.is_empty(), PollFlags::IN) | flag(self.owes(), PollFlags::OUT);
        // Whoever hung up is told of even if nothing is asked of him, over and over: so he is not there to be asked.
        let nobody = PollFd::from_borrowed_fd(self.signals.fd(), PollFlags::empty());
        let mut sides = [
            PollFd::from_borrowed_fd(self.signals.fd(), PollFlags::IN),
            match self.input {
                Some(input) if self.is_terminal || self.typed.room_bytes() > 0 => {
                    PollFd::from_borrowed_fd(input, PollFlags::IN)
                }
                _ => nobody.clone(),
            },
            match &self.socket {
                Some(socket) if !exchange.is_empty() => PollFd::new(socket, exchange),
                _ => nobody,
            },
            PollFd::from_borrowed_fd(self.shown.fd(), flag(!self.shown.is_empty(), PollFlags::OUT)),
        ];
        match poll(&mut sides, None) {
            Ok(_) => Ok(sides.map(|side| side.revents())),
            Err(Errno::INTR) => Ok([PollFlags::empty(); 4]),
            Err(error) => Err(error.into()),
        }
    }

    /// True if something waits to be sent.
    fn owes(&self) -> bool {
        !self.typed.waiting().is_empty()
    }

    fn read_input(&mut self) -> io::Result<Option<End>> {
        let Some(input) = self.input else { return Ok(None) };
        let mut chunk = [0; READ_BYTES];
        let room = if self.is_terminal {
            READ_BYTES
        } else {
            self.typed.room_bytes().min(READ_BYTES)
        };
        match rustix::io::read(input, &mut chunk[..room]) {
            // A terminal that was hung up.
            Ok(0) | Err(Errno::IO) if self.is_terminal => return Ok(Some(End::Detached)),
            Ok(0) => self.input = None,
            Ok(count) if self.is_terminal => {
                let taken = self.typed.keys(&chunk[..count]);
                if taken.is_short {
                    self.shown.ring();
                }
                if taken.detaches {
                    self.send();
                    return Ok(Some(End::Detached));
                }
            }
            Ok(count) => self.typed.bytes(&chunk[..count]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(None)
    }

    /// Sends and receives what can be sent and received now.
    fn exchange(&mut self) {
        self.send();
        if !self.shown.is_empty() {
            return;
        }
        let Some(mut socket) = self.socket.as_ref() else { return };
        let mut chunk = [0; READ_BYTES];
        match socket.read(&mut chunk) {
            Ok(count) if count > 0 => self.shown.push(&chunk[..count]),
            Err(error) if is_for_later(&error) => {}
            // A holder that dies with something unread resets the connection: the same end.
            _ => self.socket = None,
        }
    }

    fn send(&mut self) {
        let Some(mut socket) = self.socket.as_ref() else { return };
        if !self.owes() {
            return;
        }
        match socket.write(self.typed.waiting()) {
            Ok(count) => self.typed.sent(count),
            Err(error) if is_for_later(&error) => {}
            // What it said before its end is still to be read.
            Err(_) => self.typed.give_up(),
        }
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
