//! Memory and devices on their way from QEMU to a file.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::watch;

use crate::qmp::{Qmp, QmpEvents};
use crate::units::MIB;

use super::bounded::Room;
use super::cancel::Cancel;
use super::error::SaveError;
use super::memory::{Counters, MEMORY_FILE, MEMORY_PARTIAL, StoreError, Stored, store};
use super::migration::{self, MigrationEnd};
use super::progress::{Phase, Progress};
use super::record::MemoryRecord;
use super::socket::PrivatePlace;
use super::stored::StoredFile;

/// How long QEMU may take to connect after it was told to send. It connects before it answers.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long QEMU may take to give up a migration.
const GIVE_UP_WITHIN: Duration = Duration::from_secs(5);
/// How often QEMU is asked how far it is, in bytes of the stream.
const ASK_EVERY_BYTES: u64 = 16 * MIB;

/// The stored memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory(Stored);

impl Memory {
    pub(super) fn record(self, path: String) -> MemoryRecord {
        MemoryRecord {
            file: StoredFile {
                path,
                size_bytes: self.0.file_bytes,
                extents: None,
                sha256: self.0.sha256,
            },
            stream_bytes: self.0.stream_bytes,
        }
    }
}

/// Sends memory and devices of a stopped machine into a file of `directory`.
pub(super) async fn store_memory(
    qmp: &Qmp,
    directory: &Path,
    room: Room,
    progress: &watch::Sender<Progress>,
    cancel: &Cancel,
) -> Result<Memory, SaveError> {
    let place = PrivatePlace::near(directory).map_err(SaveError::host("make a socket in", directory))?;
    let path = place.socket();
    let listener = UnixListener::bind(&path).map_err(SaveError::host("listen on", &path))?;
    let mut events = qmp.subscribe();
    let socket = path
        .to_str()
        .ok_or_else(|| SaveError::Elsewhere { path: path.clone() })?;
    migration::send_to(qmp, socket).await?;
    let stream = match tokio::time::timeout(CONNECT_WITHIN, listener.accept()).await {
        Ok(Ok((stream, _))) => stream.into_std().and_then(|stream| {
            stream.set_nonblocking(false)?;
            Ok(stream)
        }),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            migration::cancel(qmp).await;
            let complaint = migration::complaint(qmp).await;
            return Err(SaveError::Migration { complaint });
        }
    };
    let stream = stream.map_err(SaveError::host("accept on", &path))?;
    let partial = directory.join(MEMORY_PARTIAL);
    let stored = receive(qmp, &mut events, stream, partial.clone(), room, progress, cancel).await;
    let stored = stored.map_err(|failure| failure.into_error(room, &partial))?;
    let whole = directory.join(MEMORY_FILE);
    std::fs::rename(&partial, &whole).map_err(SaveError::host("rename", &partial))?;
    Ok(Memory(stored))
}

/// Why there is no whole stream.
enum Failure {
    Store(StoreError),
    Save(SaveError),
}

impl Failure {
    fn into_error(self, room: Room, partial: &Path) -> SaveError {
        let path = partial.to_owned();
        match self {
            Self::Save(error) => error,
            Self::Store(StoreError::Budget) => SaveError::Budget {
                budget_bytes: room.budget_bytes,
                path,
            },
            Self::Store(StoreError::NoSpace) => SaveError::NoSpace { path },
            Self::Store(StoreError::Cancelled) => SaveError::Cancelled,
            Self::Store(StoreError::Read(source)) => SaveError::Host {
                what: "read QEMU's stream for",
                path,
                source,
            },
            Self::Store(StoreError::Write(source)) => SaveError::Host {
                what: "write",
                path,
                source,
            },
        }
    }
}

/// Receives the stream until QEMU says that it was all, and until all of it is stored.
async fn receive(
    qmp: &Qmp,
    events: &mut QmpEvents,
    stream: UnixStream,
    partial: PathBuf,
    room: Room,
    progress: &watch::Sender<Progress>,
    cancel: &Cancel,
) -> Result<Stored, Failure> {
    let (part, stop) = cancel.part();
    let counters = Arc::new(Counters::default());
    let (moved, movement) = watch::channel(());
    let mut storing = {
        let (counters, part) = (counters.clone(), part.clone());
        // Nobody may listen any more.
        let tell = move || {
            let _ = moved.send(());
        };
        tokio::task::spawn_blocking(move || store(stream, &partial, room, &counters, &part, tell))
    };
    let telling = tokio::spawn(tell_progress(qmp.clone(), counters, movement, progress.clone()));
    let both = async {
        // Without QMP nobody says whether it was all.
        let stored = async { Ok(joined((&mut storing).await)) };
        tokio::try_join!(stored, migration::ended(qmp, &mut *events))
    };
    let both = tokio::select! {
        both = both => Some(both),
        () = cancel.cancelled() => None,
    };
    let outcome = match both {
        // If our end failed, that is why QEMU's did.
        Some(Ok((Err(error), _))) => Err(Failure::Store(error)),
        Some(Ok((Ok(stored), MigrationEnd::Completed))) => Ok(stored),
        Some(Ok((Ok(_), MigrationEnd::Cancelled))) => Err(Failure::Save(SaveError::Cancelled)),
        Some(Ok((Ok(_), MigrationEnd::Failed))) => {
            let complaint = migration::complaint(qmp).await;
            Err(Failure::Save(SaveError::Migration { complaint }))
        }
        Some(Err(error)) => Err(Failure::Save(SaveError::Qmp(error))),
        None => {
            give_up(qmp, events).await;
            Err(Failure::Save(SaveError::Cancelled))
        }
    };
    telling.abort();
    drop(stop);
    outcome
}

fn joined(stored: Result<Result<Stored, StoreError>, tokio::task::JoinError>) -> Result<Stored, StoreError> {
    stored.unwrap_or(Err(StoreError::Cancelled))
}

/// Ends a migration that is of no use any more, so that the machine is as it was before.
async fn give_up(qmp: &Qmp, events: &mut QmpEvents) {
    migration::cancel(qmp).await;
    // A migration that had ended before was told of already: its event is behind us.
    let over = async {
        let status = migration::query(qmp).await.unwrap_or_default();
        let still = matches!(
            status["status"].as_str(),
            Some("setup" | "active" | "device" | "cancelling")
        );
        if still {
            let _ = migration::ended(qmp, events).await;
        }
    };
    let _ = tokio::time::timeout(GIVE_UP_WITHIN, over).await;
}

/// Tells how far it is each time another piece has come. The stream's own length says little: empty memory takes almost
/// none of it, so QEMU is asked.
async fn tell_progress(
    qmp: Qmp,
    counters: Arc<Counters>,
    mut movement: watch::Receiver<()>,
    progress: watch::Sender<Progress>,
) {
    let mut asked_at_bytes = None;
    while movement.changed().await.is_ok() {
        let stream_bytes = counters.stream_bytes.load(Ordering::Relaxed);
        if asked_at_bytes.is_some_and(|asked| stream_bytes - asked < ASK_EVERY_BYTES) {
            continue;
        }
        asked_at_bytes = Some(stream_bytes);
        let Ok(said) = migration::query(&qmp).await else { return };
        let number = |name: &str| said["ram"][name].as_u64().unwrap_or_default();
        let (total, left) = (number("total"), number("remaining"));
        progress.send_replace(Progress {
            phase: Phase::Memory,
            done_bytes: total.saturating_sub(left),
            total_bytes: total,
            stored_bytes: counters.stored_bytes.load(Ordering::Relaxed),
        });
    }
}
