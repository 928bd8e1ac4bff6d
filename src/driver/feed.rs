//! Handing a saved machine's memory to the QEMU that waits for it.

use std::path::Path;

use tokio::sync::watch;

use crate::checkpoint::{Cancel, Checkpoint, Progress, RestoreError};
use crate::qemu::process::{Rungs, end};
use crate::qmp::RunState;
use crate::text::terminal_line;

use super::launch::COMPLAINT_CHARS_MAX;
use super::vm::Vm;

/// Gives how the guest stands then. A QEMU that does not take it is ended.
pub(super) async fn feed(
    vm: &Vm,
    checkpoint: &Checkpoint,
    directory: &Path,
    progress: watch::Sender<Progress>,
    cancel: &Cancel,
) -> Result<RunState, RestoreError> {
    let fed = checkpoint.feed(&vm.qmp, directory, progress, cancel).await;
    let Err(RestoreError::Incoming { complaint }) = fed else {
        return fed;
    };
    // Over QMP it seldom says why. Its last words do, and are whole when it has ended.
    let rungs = Rungs::default();
    let ended = end(&vm.running, vm.qmp.quit(rungs.quit), rungs).await;
    let words = ended
        .exit
        .map(|exit| terminal_line(exit.stderr_tail.as_bytes(), COMPLAINT_CHARS_MAX));
    let complaint = words.filter(|words| !words.is_empty()).unwrap_or(complaint);
    Err(RestoreError::Incoming { complaint })
}
