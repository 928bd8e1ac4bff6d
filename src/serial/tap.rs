//! The task that drains a console.
//!
//! A console that is not read stops the guest (QEMU holds back its output), so nothing here waits for anybody: notices go
//! through a channel that has room for all of them, because each target has a limit, and input is written only when the
//! guest takes it, while reading goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant as TokioInstant, sleep_until};

use super::console::{CONSOLE_INPUTS_MAX, Console, Input, Shared};
use super::marker::{Match, Watch};
use super::raw_log::{LogError, RawLog};

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// How many matches of one target are told; more are counted. A guest that prints one of them for ever can't hide another.
pub const MATCHES_PER_TARGET_MAX: usize = 32;

/// What a tap tells.
#[derive(Debug)]
pub enum SerialNotice {
    /// The guest has written its first byte.
    FirstByte {
        /// When it came.
        at: Instant,
    },
    /// A target was found.
    Match(Match),
    /// The log lost bytes. Told once.
    LogFailed {
        /// What happened.
        error: LogError,
    },
    /// The console is closed: QEMU has ended or is about to. The last notice.
    Closed(TapSummary),
}

/// What a tap did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TapSummary {
    /// Bytes that the guest wrote.
    pub bytes_total: u64,
    /// Those of them that are on disk.
    pub bytes_kept: u64,
    /// Those that are not: over the budget, or lost.
    pub bytes_dropped: u64,
    /// Those that a failing disk lost.
    pub bytes_lost: u64,
    /// How many matches were found but not told, by target.
    pub matches_dropped: BTreeMap<String, u64>,
    /// Why reading ended, if not by the end of the stream.
    pub read_error: Option<std::io::ErrorKind>,
}

/// Who hears of every byte when it comes, before it is searched. Called by the task that drains: it must not wait for long.
pub trait Listener: Send {
    /// These bytes came, the first of them at `offset` in the stream.
    fn bytes(&mut self, offset: u64, bytes: &[u8], at: Instant);
    /// The stream has ended.
    fn closed(&mut self, at: Instant);
}

impl Listener for () {
    fn bytes(&mut self, _offset: u64, _bytes: &[u8], _at: Instant) {}
    fn closed(&mut self, _at: Instant) {}
}

/// Begins to drain `stream`, in a task that lives until the stream ends. Must be called in a tokio runtime.
pub fn attach<S>(stream: S, watch: Watch, log: RawLog) -> (Console, mpsc::Receiver<SerialNotice>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    attach_heard(stream, watch, log, ())
}

/// As [`attach`], and `listener` hears when which bytes came.
pub fn attach_heard<S, L>(stream: S, watch: Watch, log: RawLog, listener: L) -> (Console, mpsc::Receiver<SerialNotice>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
    L: Listener + 'static,
{
    let shared = Arc::new(Shared::new(log.layout().clone()));
    let (inputs, pending) = mpsc::channel(CONSOLE_INPUTS_MAX);
    // Every match that may be told, the first byte, the failed log and the end: sending can't fail for want of room.
    let (notices, receiver) = mpsc::channel(watch.ids().count() * MATCHES_PER_TARGET_MAX + 3);
    let (reader, writer) = tokio::io::split(stream);
    let drain = Drain {
        watch,
        log,
        listener,
        shared: Arc::clone(&shared),
        notices: Notices {
            sender: notices,
            told: Told::default(),
            first_byte_told: false,
        },
    };
    tokio::spawn(drain.run(reader, Writer::new(writer, pending)));
    (Console { inputs, shared }, receiver)
}

struct Drain<L> {
    watch: Watch,
    log: RawLog,
    listener: L,
    shared: Arc<Shared>,
    notices: Notices,
}

impl<L: Listener> Drain<L> {
    async fn run<S: AsyncRead + AsyncWrite>(mut self, mut reader: ReadHalf<S>, mut writer: Writer<S>) {
        let mut buffer = vec![0; READ_BYTES];
        let read_error = loop {
            let quiet_at = self.watch.next_quiet_at();
            tokio::select! {
                read = reader.read(&mut buffer) => match read {
                    Ok(0) => break None,
                    Ok(count) => self.take(&buffer[..count]),
                    Err(error) => break Some(error.kind()),
                },
                () = at(quiet_at) => {}
                () = writer.step() => {}
            }
            let notices = &mut self.notices;
            self.watch.quiet(now(), |found| notices.found(found));
        };
        self.close(read_error);
    }

    fn take(&mut self, bytes: &[u8]) {
        let now = now();
        self.listener.bytes(self.log.bytes_total(), bytes, now);
        self.notices.bytes_came(now);
        let logged = self.log.write(bytes);
        self.shared.saw(bytes, now, self.log.first_lost());
        if let Err(error) = logged {
            self.notices.tell(SerialNotice::LogFailed { error });
        }
        let notices = &mut self.notices;
        // A silence that ends with these bytes was one, also if a busy host wakes this task late: a replay sees it, too.
        self.watch.quiet(now, |found| notices.found(found));
        self.watch.feed(bytes, now, |found| notices.found(found));
    }

    fn close(mut self, read_error: Option<std::io::ErrorKind>) {
        self.listener.closed(now());
        let notices = &mut self.notices;
        self.watch.finish(|found| notices.found(found));
        let summary = TapSummary {
            bytes_total: self.log.bytes_total(),
            bytes_kept: self.log.bytes_kept(),
            bytes_dropped: self.log.bytes_dropped(),
            bytes_lost: self.log.bytes_lost(),
            matches_dropped: self.notices.told.dropped(),
            read_error,
        };
        self.notices.tell(SerialNotice::Closed(summary));
    }
}

/// The clock that tokio's timers follow.
fn now() -> Instant {
    TokioInstant::now().into_std()
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// How many matches were found, by target.
#[derive(Debug, Default)]
pub struct Told(BTreeMap<String, u64>);

impl Told {
    /// Counts a match of a target; true if it is to be told.
    pub fn admits(&mut self, id: &str) -> bool {
        let count = match self.0.get_mut(id) {
            Some(count) => count,
            None => self.0.entry(id.to_owned()).or_default(),
        };
        *count += 1;
        *count <= MATCHES_PER_TARGET_MAX as u64
    }

    fn dropped(&self) -> BTreeMap<String, u64> {
        let over = |count: &u64| count.saturating_sub(MATCHES_PER_TARGET_MAX as u64);
        let dropped = self.0.iter().map(|(id, count)| (id.clone(), over(count)));
        dropped.filter(|(_, count)| *count > 0).collect()
    }
}

/// The way to the consumer.
struct Notices {
    sender: mpsc::Sender<SerialNotice>,
    told: Told,
    first_byte_told: bool,
}

impl Notices {
    fn tell(&self, notice: SerialNotice) {
        // There is room (see `attach`); a consumer that is gone does not stop the draining.
        let _ = self.sender.try_send(notice);
    }

    fn bytes_came(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.first_byte_told, true) {
            self.tell(SerialNotice::FirstByte { at: now });
        }
    }

    fn found(&mut self, found: Match) {
        if self.told.admits(&found.id) {
            self.tell(SerialNotice::Match(found));
        }
    }
}

/// The way to the guest.
struct Writer<S> {
    stream: WriteHalf<S>,
    inputs: mpsc::Receiver<Input>,
    /// The input that is being written, and how much of it the guest has taken.
    current: Option<(Input, usize)>,
}

impl<S: AsyncRead + AsyncWrite> Writer<S> {
    fn new(stream: WriteHalf<S>, inputs: mpsc::Receiver<Input>) -> Self {
        Self {
            stream,
            inputs,
            current: None,
        }
    }

    /// Takes the next input or writes some of the current one. Safe to drop at any time: then nothing was done.
    async fn step(&mut self) {
        let Some((input, written)) = &mut self.current else {
            match self.inputs.recv().await {
                Some(input) => self.current = Some((input, 0)),
                None => std::future::pending().await,
            }
            return;
        };
        let bytes = input.as_bytes();
        if *written == bytes.len() {
            self.current = None;
            return;
        }
        match self.stream.write(&bytes[*written..]).await {
            Ok(count) if count > 0 => *written += count,
            _ => {
                // The guest's end is gone. Reading will find the end of the stream; senders hear that it is closed.
                self.inputs.close();
                while self.inputs.try_recv().is_ok() {}
                self.current = None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
