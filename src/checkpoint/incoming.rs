//! Memory and devices on their way from a checkpoint to a QEMU that waits for them.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::json;
use tokio::sync::watch;

use crate::qmp::{Qmp, QmpError, RunState};

use super::cancel::Cancel;
use super::job::COMMAND_WITHIN;
use super::migration::{self, MigrationEnd};
use super::open::{Checkpoint, blocking};
use super::progress::{Phase, Progress};
use super::restore_error::RestoreError;
use super::socket::PrivatePlace;
use super::stored::StoredFile;

/// Logarithm of the largest window that a stream may ask for: 128 MiB of our memory.
pub(crate) const WINDOW_LOG_MAX: u32 = 27;
const CHUNK_BYTES: usize = 1024 * 1024;

impl Checkpoint {
    /// Gives memory and devices to a QEMU that was started for them and has been greeted. The guest is then paused where
    /// it was saved, in the state that is returned, and `cont` lets it go on.
    ///
    /// `directory` is where the socket is made. The memory is compared with its digest first, since a damaged one would
    /// end QEMU with words about devices. If this fails, QEMU is of no use any more and must be ended.
    pub async fn feed(
        &self,
        qmp: &Qmp,
        directory: &Path,
        progress: watch::Sender<Progress>,
        cancel: &Cancel,
    ) -> Result<RunState, RestoreError> {
        let (cancel, _stop_when_dropped) = cancel.part();
        let memory = self.record().memory.clone().ok_or(RestoreError::PoweredDown)?;
        let root = self.root().to_owned();
        self.check_memory(memory.file.clone(), progress.clone(), cancel.clone())
            .await?;
        let place = PrivatePlace::near(directory).map_err(RestoreError::host("make a socket in", directory))?;
        let path = place.socket();
        let mut events = qmp.subscribe();
        migration::enable_events(qmp).await?;
        let uri = format!("unix:{}", path.display());
        qmp.execute_raw("migrate-incoming", json!({ "uri": uri }), COMMAND_WITHIN)
            .await?;
        // QEMU listens before it answers.
        let stream = UnixStream::connect(&path).map_err(RestoreError::host("connect to", &path))?;
        let feeding = blocking(move || {
            let source = root.join(&memory.file.path);
            let fed = pour(&source, stream, memory.stream_bytes, &progress, &cancel);
            fed.map_err(RestoreError::host("pass on", &source))
        });
        let (fed, ended) = tokio::join!(feeding, migration::ended(qmp, &mut events));
        match ended {
            Ok(MigrationEnd::Completed) => {}
            // What QEMU says of a stream that we ended early is not why.
            _ if matches!(fed, Err(RestoreError::Cancelled)) => return Err(RestoreError::Cancelled),
            Ok(MigrationEnd::Failed | MigrationEnd::Cancelled) => {
                let complaint = migration::complaint(qmp).await;
                return Err(RestoreError::Incoming { complaint });
            }
            Err(QmpError::Lost(_)) => {
                let complaint = "QEMU ended while it read them".to_owned();
                return Err(RestoreError::Incoming { complaint });
            }
            Err(error) => return Err(error.into()),
        }
        fed?;
        match qmp.query_status(COMMAND_WITHIN).await? {
            RunState::running | RunState::inmigrate => Err(RestoreError::Incoming {
                complaint: "the guest is not paused afterwards".to_owned(),
            }),
            state => Ok(state),
        }
    }

    async fn check_memory(
        &self,
        file: StoredFile,
        progress: watch::Sender<Progress>,
        cancel: Cancel,
    ) -> Result<(), RestoreError> {
        let root = self.root().to_owned();
        blocking(move || super::open::verify_all(&root, &[file], &progress, &cancel)).await
    }
}

/// Decompresses into the socket. QEMU closes its end once it has all, which is no error; whether it has, its event says.
fn pour(
    source: &Path,
    mut stream: UnixStream,
    stream_bytes: u64,
    progress: &watch::Sender<Progress>,
    cancel: &Cancel,
) -> io::Result<()> {
    let mut decoder = zstd::Decoder::new(File::open(source)?)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    let mut decoder = decoder.take(stream_bytes);
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut now = Progress::of(Phase::Memory, stream_bytes);
    loop {
        if cancel.is_cancelled() {
            return Err(super::stored::interrupted());
        }
        let count = match decoder.read(&mut chunk)? {
            0 => return Ok(()),
            count => count,
        };
        match stream.write_all(&chunk[..count]) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
        now.done_bytes += count as u64;
        progress.send_replace(now);
    }
}
