//! What others may do with a console while its tap drains it.

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc};

use super::prompt::OpenLine;
use super::raw_log::LogLayout;
use crate::plan::Secret;
use crate::text;

/// Raw bytes of the stream's end that are kept in memory for people to look at.
pub const SERIAL_TAIL_BYTES: usize = 64 * 1024;
/// Inputs that may wait for the guest to read them.
pub const CONSOLE_INPUTS_MAX: usize = 16;
/// Chunks of output that may wait for who watches the console live. Who is slower misses some, which is told.
pub const LIVE_CHUNKS_MAX: usize = 256;
/// Raw bytes of the stream's end in which [`Console::last_line`] looks for it.
const LAST_LINE_BYTES: usize = 4 * 1024;
/// Length of a line that [`Console::tail`] returns.
pub const TAIL_LINE_CHARS_MAX: usize = 512;

/// Bytes for the guest.
#[derive(Clone, PartialEq, Eq)]
pub enum Input {
    /// Any bytes.
    Plain(Vec<u8>),
    /// A passphrase or password.
    Secret(Secret),
}

impl Input {
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Secret(secret) => secret.expose().as_bytes(),
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Self::Secret(secret) => write!(f, "{secret:?}"),
        }
    }
}

impl From<Secret> for Input {
    fn from(secret: Secret) -> Self {
        Self::Secret(secret)
    }
}

impl From<&[u8]> for Input {
    fn from(bytes: &[u8]) -> Self {
        Self::Plain(bytes.to_vec())
    }
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        Self::Plain(text.as_bytes().to_vec())
    }
}

/// Why input did not reach the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The guest does not read: [`CONSOLE_INPUTS_MAX`] inputs wait already.
    #[error("the guest does not read its serial console: {CONSOLE_INPUTS_MAX} inputs wait already")]
    Full,
    /// The console is closed.
    #[error("the serial console is closed; QEMU has ended or is about to")]
    Closed,
}

/// A handle to a console whose tap drains it. Cheap to clone; no method waits.
#[derive(Clone)]
pub struct Console {
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) shared: Arc<Shared>,
}

impl Console {
    /// Sends bytes to the guest. They are written in the order in which they are sent.
    pub fn send(&self, input: impl Into<Input>) -> Result<(), SendError> {
        self.send_all([input.into()])
    }

    /// Sends bytes and the Enter key: a carriage return, which is what terminals send for it. Both or neither are sent.
    pub fn send_line(&self, input: impl Into<Input>) -> Result<(), SendError> {
        self.send_all([input.into(), "\r".into()])
    }

    fn send_all<const COUNT: usize>(&self, inputs: [Input; COUNT]) -> Result<(), SendError> {
        let room = self.inputs.try_reserve_many(COUNT).map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => SendError::Full,
            mpsc::error::TrySendError::Closed(()) => SendError::Closed,
        })?;
        room.zip(inputs).for_each(|(place, input)| place.send(input));
        Ok(())
    }

    /// How many bytes the guest has written. While it grows, the guest makes progress.
    pub fn bytes_seen(&self) -> u64 {
        self.shared.bytes_seen.load(Ordering::Acquire)
    }

    /// When the last byte came.
    pub fn last_byte_at(&self) -> Option<Instant> {
        self.shared.recent().last_byte_at
    }

    /// The line that has not ended, with how long it has stood at `now` and how many bytes had come then. `None`: the
    /// console's last line has ended.
    pub fn open_line(&self, now: Instant) -> Option<Standing> {
        let (bytes, end, last_byte_at) = {
            let recent = self.shared.recent();
            (
                recent.bytes.iter().copied().collect::<Vec<u8>>(),
                recent.end,
                recent.last_byte_at?,
            )
        };
        Some(Standing {
            line: OpenLine::of(&bytes, end - bytes.len() as u64)?,
            console_bytes: end,
            silent: now.saturating_duration_since(last_byte_at),
        })
    }

    /// The last lines, at most `lines` of them, fit for a terminal. They are taken from the last [`SERIAL_TAIL_BYTES`].
    pub fn tail(&self, lines: usize) -> Vec<String> {
        let recent: Vec<u8> = self.shared.recent().bytes.iter().copied().collect();
        let all = text::lines(recent);
        let from = all.len().saturating_sub(lines);
        all[from..]
            .iter()
            .map(|line| text::terminal_line(line, TAIL_LINE_CHARS_MAX))
            .collect()
    }

    /// The last line that shows something, ended or not: printable text of the guest's, from the last few KiB.
    pub fn last_line(&self) -> Option<String> {
        let end: Vec<u8> = {
            let recent = self.shared.recent();
            let from = recent.bytes.len().saturating_sub(LAST_LINE_BYTES);
            recent.bytes.range(from..).copied().collect()
        };
        text::lines(end).into_iter().rfind(|line| !line.trim().is_empty())
    }

    /// The raw bytes of the console's end that are in memory, and all that come after them.
    pub fn attach(&self) -> (Vec<u8>, broadcast::Receiver<Arc<[u8]>>) {
        let (_, recent, live) = self.attach_at();
        (recent, live)
    }

    /// As [`Self::attach`], with the offset in the stream of the first byte.
    pub fn attach_at(&self) -> (u64, Vec<u8>, broadcast::Receiver<Arc<[u8]>>) {
        // Under the lock that bytes are noted under, so that none is missed and none comes twice.
        let recent = self.shared.recent();
        let live = self.shared.live.subscribe();
        let bytes: Vec<u8> = recent.bytes.iter().copied().collect();
        (recent.end - bytes.len() as u64, bytes, live)
    }

    /// File and offset in it of a byte of the stream, if it is on disk. `None` for every byte from the first on that a
    /// failing disk lost.
    pub fn locate(&self, offset: u64) -> Option<(PathBuf, u64)> {
        if offset >= self.shared.first_lost.load(Ordering::Acquire) {
            return None;
        }
        self.shared.layout.locate(offset, self.bytes_seen())
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("bytes_seen", &self.bytes_seen())
            .finish_non_exhaustive()
    }
}

/// A line that has not ended, and how long it has stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The line.
    pub line: OpenLine,
    /// How many bytes the guest had written.
    pub console_bytes: u64,
    /// How long nothing had come since.
    pub silent: Duration,
}

/// What the tap tells its handles.
pub(super) struct Shared {
    layout: LogLayout,
    bytes_seen: AtomicU64,
    first_lost: AtomicU64,
    recent: Mutex<Recent>,
    live: broadcast::Sender<Arc<[u8]>>,
}

#[derive(Default)]
struct Recent {
    bytes: VecDeque<u8>,
    /// Offset in the stream behind the last of them.
    end: u64,
    last_byte_at: Option<Instant>,
}

impl Shared {
    pub(super) fn new(layout: LogLayout) -> Self {
        Self {
            layout,
            bytes_seen: AtomicU64::new(0),
            first_lost: AtomicU64::new(u64::MAX),
            recent: Mutex::default(),
            live: broadcast::Sender::new(LIVE_CHUNKS_MAX),
        }
    }

    /// Takes note of bytes that came and were handed to the log.
    pub(super) fn saw(&self, bytes: &[u8], now: Instant, first_lost: Option<u64>) {
        let mut recent = self.recent();
        let fresh = &bytes[bytes.len().saturating_sub(SERIAL_TAIL_BYTES)..];
        let excess = (recent.bytes.len() + fresh.len()).saturating_sub(SERIAL_TAIL_BYTES);
        recent.bytes.drain(..excess);
        recent.bytes.extend(fresh);
        recent.end += bytes.len() as u64;
        recent.last_byte_at = Some(now);
        if self.live.receiver_count() > 0 {
            // Refused only if the last watcher has just left.
            let _ = self.live.send(bytes.into());
        }
        self.first_lost.store(first_lost.unwrap_or(u64::MAX), Ordering::Release);
        self.bytes_seen.fetch_add(bytes.len() as u64, Ordering::Release);
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
