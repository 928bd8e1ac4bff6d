//! The one task that owns a QMP connection: it alone reads and writes it, so no reply waits for a caller.
//!
//! Notices go through a bounded queue. A driver that doesn't drain it can't hold up replies: when the queue is full,
//! new notices are dropped and counted, and as soon as there is room a [`ProtocolNote::NoticesDropped`] says how many.
//! Only [`QmpNotice::Lost`], the last one, waits for room. Replies and notices have no order between them: the event
//! that belongs to a command may be seen before or after its result.
//!
//! `tokio_util`'s `FramedRead` is not used: its buffer doubles as it grows, so it would hold up to 16 MiB (and 24 while
//! it moves) for a line of 10; [`LineBuffer`] stops at the limit.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc, watch};

use super::codec::{LineBuffer, excerpt};
use super::error::QmpLoss;
use super::event::QmpEvent;
use super::handle::{Call, Caller, LinkState, Qmp};
use super::notice::{ProtocolNote, QmpNotice};
use super::session::{Output, Session};
use super::transcript::{Direction, Transcript};

/// How many notices wait for a driver before new ones are dropped.
pub const NOTICES_MAX: usize = 1024;
/// How many commands wait for the owner to take them from the handles; the owner takes them at once.
const CALLS_MAX: usize = 64;
/// How many events a listener may be behind before it misses some.
const EVENTS_BEHIND_MAX: usize = 256;
/// How much is read at a time, in bytes.
const READ_BYTES_MAX: usize = 64 * 1024;

/// Takes over a connection to a QMP server and negotiates on it. Call it within a tokio runtime.
///
/// The connection is closed when all handles and the receiver are gone, and when the session is lost.
pub fn attach<S, T>(stream: S, transcript: T) -> (Qmp, mpsc::Receiver<QmpNotice>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    T: Transcript + 'static,
{
    let (calls, incoming) = mpsc::channel(CALLS_MAX);
    let (notices, driver) = mpsc::channel(NOTICES_MAX);
    let (published, state) = watch::channel(LinkState::Negotiating);
    let events = broadcast::Sender::new(EVENTS_BEHIND_MAX);
    let listeners = events.downgrade();
    let (reader, writer) = tokio::io::split(stream);
    let owner = Owner {
        reader,
        writer: Some(writer),
        session: Session::default(),
        transcript,
        calls: incoming,
        outgoing: Vec::new(),
        outlet: Outlet { notices, dropped: 0 },
        published,
        events,
    };
    tokio::spawn(owner.run());
    let qmp = Qmp {
        calls,
        state,
        events: listeners,
    };
    (qmp, driver)
}

struct Owner<S, T> {
    reader: ReadHalf<S>,
    /// `None` after writing failed. What QEMU said before it ended is still to be read then.
    writer: Option<WriteHalf<S>>,
    session: Session<Caller>,
    transcript: T,
    calls: mpsc::Receiver<Call>,
    outgoing: Vec<u8>,
    outlet: Outlet,
    published: watch::Sender<LinkState>,
    events: broadcast::Sender<Arc<QmpEvent>>,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin, T: Transcript> Owner<S, T> {
    async fn run(mut self) {
        let Err(loss) = self.pump().await else { return };
        self.session.end(loss.clone());
        self.perform();
        self.published.send_replace(LinkState::Lost(loss.clone()));
        // Calls that were on their way when the session ended are answered, too.
        self.calls.close();
        while let Some((request, caller)) = self.calls.recv().await {
            self.session.request(request, caller);
            self.perform();
        }
        self.outlet.last(loss).await;
    }

    /// Works until the session is lost, or (`Ok`) until nobody is interested in it any more.
    async fn pump(&mut self) -> Result<(), QmpLoss> {
        let mut lines = LineBuffer::default();
        let mut chunk = vec![0; READ_BYTES_MAX];
        let mut has_handles = true;
        let notices = self.outlet.notices.clone();
        loop {
            tokio::select! {
                read = self.reader.read(&mut chunk) => match read? {
                    0 => return Err(self.closed(&lines)),
                    length => self.receive(&mut lines, &chunk[..length])?,
                },
                written = write_some(&mut self.writer, &self.outgoing), if !self.outgoing.is_empty() => {
                    self.outgoing.drain(..written);
                }
                call = self.calls.recv(), if has_handles => match call {
                    Some((request, caller)) => self.session.request(request, caller),
                    None => has_handles = false,
                },
                room = notices.reserve(), if self.outlet.dropped > 0 => {
                    let note = ProtocolNote::NoticesDropped { count: std::mem::take(&mut self.outlet.dropped) };
                    if let Ok(room) = room {
                        room.send(QmpNotice::Note(note));
                    }
                }
                () = notices.closed(), if !has_handles => return Ok(()),
            }
            self.perform();
            if let Some(loss) = self.session.loss() {
                return Err(loss.clone());
            }
        }
    }

    fn receive(&mut self, lines: &mut LineBuffer, mut chunk: &[u8]) -> Result<(), QmpLoss> {
        loop {
            match lines.take_line(&mut chunk) {
                Ok(Some(line)) => {
                    let recorded = self.session.receive(line);
                    self.transcript
                        .record(Direction::Received, recorded.as_deref().unwrap_or(line));
                    self.perform();
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    let shown = excerpt(lines.unfinished());
                    self.record_unfinished(shown.as_bytes());
                    return Err(error.into());
                }
            }
        }
    }

    fn closed(&mut self, lines: &LineBuffer) -> QmpLoss {
        self.record_unfinished(lines.unfinished());
        QmpLoss::Closed {
            unfinished_bytes: lines.unfinished().len(),
        }
    }

    fn record_unfinished(&mut self, line: &[u8]) {
        if !line.is_empty() {
            let shown = if self.session.holds_secret() { b"***" } else { line };
            self.transcript.record(Direction::Received, shown);
        }
    }

    /// Does what the session put out.
    fn perform(&mut self) {
        while let Some(output) = self.session.next_output() {
            match output {
                Output::Send { mut line, recorded } => {
                    self.transcript
                        .record(Direction::Sent, recorded.as_ref().unwrap_or(&line));
                    if self.writer.is_some() {
                        self.outgoing.append(&mut line);
                        self.outgoing.push(b'\n');
                    }
                }
                Output::Finish { waiter, outcome } => waiter.finish(outcome),
                // Told last of all, when every caller has been answered.
                Output::Notice(QmpNotice::Lost(_)) => {}
                Output::Notice(notice) => {
                    if matches!(notice, QmpNotice::Ready { .. }) {
                        self.published.send_replace(LinkState::Ready);
                    }
                    if let QmpNotice::Event(event) = &notice
                        && self.events.receiver_count() > 0
                    {
                        // Without a listener there is nobody to tell.
                        let _ = self.events.send(Arc::new(event.clone()));
                    }
                    self.outlet.put(notice);
                }
            }
        }
    }
}

/// Writes what can be written, and gives its length. After a failure there is no writer any more, and everything counts
/// as written: QEMU has closed its end, and reading tells how it ended.
async fn write_some<W: AsyncWrite + Unpin>(writer: &mut Option<W>, bytes: &[u8]) -> usize {
    let Some(open) = writer else { return bytes.len() };
    match open.write(bytes).await {
        Ok(written) if written > 0 => written,
        _ => {
            *writer = None;
            bytes.len()
        }
    }
}

/// The way to the driver, which may be slow or gone.
struct Outlet {
    notices: mpsc::Sender<QmpNotice>,
    dropped: u64,
}

impl Outlet {
    fn put(&mut self, notice: QmpNotice) {
        if self.dropped > 0 {
            let note = ProtocolNote::NoticesDropped { count: self.dropped };
            if self.notices.try_send(QmpNotice::Note(note)).is_err() {
                self.dropped += 1;
                return;
            }
            self.dropped = 0;
        }
        if let Err(TrySendError::Full(_)) = self.notices.try_send(notice) {
            self.dropped += 1;
        }
    }

    async fn last(self, loss: QmpLoss) {
        let dropped = (self.dropped > 0).then_some(ProtocolNote::NoticesDropped { count: self.dropped });
        let notices = dropped.map(QmpNotice::Note).into_iter().chain([QmpNotice::Lost(loss)]);
        for notice in notices {
            // Without a driver there is nobody to tell.
            let _ = self.notices.send(notice).await;
        }
    }
}
