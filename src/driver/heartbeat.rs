//! Whether QEMU's monitor still answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::procfs::ProcessState;
use crate::qemu::process::Running;
use crate::qmp::{Qmp, QmpError};

use super::input::{Input, VmInput};

/// Pause between two probes. There is no event that says that a monitor has stopped answering.
const PROBE_EVERY: Duration = Duration::from_millis(1500);
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Probes in a row that must be missed. A hang is told within `2 × (PROBE_EVERY + ANSWER_WITHIN)`.
const MISSES: u32 = 2;

/// Probes the monitor out of band until the link is gone; tells once when it has fallen silent.
pub(super) async fn watch(number: u64, qmp: Qmp, running: Arc<Running>, inputs: mpsc::Sender<Input>) {
    let mut missed = 0;
    loop {
        tokio::time::sleep(PROBE_EVERY).await;
        match qmp.ping(ANSWER_WITHIN).await {
            Ok(_) => missed = 0,
            Err(QmpError::Lost(_)) => return,
            Err(_) => missed += 1,
        }
        // A stopped process is stopped: the next miss would add nothing.
        let stopped_by_signal = missed > 0 && running.process_state() == ProcessState::Stopped;
        if missed >= MISSES || stopped_by_signal {
            let silent = VmInput::Silent { stopped_by_signal };
            let _ = inputs.send(Input::Vm(number, silent)).await;
            return;
        }
    }
}
