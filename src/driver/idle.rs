//! Looks at the guest while a question stands on its console.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::procfs;
use crate::qemu::process::Running;
use crate::qmp::{Qmp, QmpError};
use crate::serial::console::Console;
use crate::serial::prompt::{OpenLine, STANDS_MIN, Sample};

use super::input::{Input, VmInput};

/// Pause between two looks at the console: there is no event that says that nothing comes any more.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Pause between two looks at the guest while a question stands.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
/// A question that stands for long is looked at less often: after this part of the time that it has stood.
const SAMPLE_EVERY_PART: u32 = 8;
/// The longest pause between two looks at the guest.
const SAMPLE_EVERY_MAX: Duration = Duration::from_secs(10);
/// How long QEMU may take for an answer. Without one there is no sample, and without samples no question is told.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A look at the guest.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// The log of what it stands on, if that is not the serial console.
    pub(super) file: Option<String>,
    pub(super) line: OpenLine,
    pub(super) sample: Sample,
}

/// Sends samples of the guest while its console ends in what looks like a question, until QMP is gone.
pub(super) async fn watch(
    number: u64,
    (console, file): (Console, Option<String>),
    qmp: Qmp,
    running: Arc<Running>,
    inputs: mpsc::Sender<Input>,
) {
    let mut threads = BTreeSet::new();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let standing = console.open_line(Instant::now());
        let Some(standing) = standing.filter(|found| found.silent >= STANDS_MIN && found.line.asks()) else {
            continue;
        };
        let sample = match look(&qmp, running.pid(), &mut threads).await {
            Ok(sample) => sample,
            Err(QmpError::Lost(_)) => return,
            Err(_) => None,
        };
        // The same line before and after: what was counted in between is what the guest did under the question.
        let now = Instant::now();
        let still = console
            .open_line(now)
            .filter(|still| still.console_bytes == standing.console_bytes);
        if let (Some((block_operations, busy)), Some(still)) = (sample, still) {
            let sample = Sample {
                at: now,
                silent: still.silent,
                console_bytes: still.console_bytes,
                block_operations,
                busy,
            };
            let look = VmInput::Looked(Look {
                file: file.clone(),
                line: still.line,
                sample,
            });
            if inputs.send(Input::Vm(number, look)).await.is_err() {
                return;
            }
        }
        let pause = (standing.silent / SAMPLE_EVERY_PART).clamp(SAMPLE_EVERY, SAMPLE_EVERY_MAX);
        tokio::time::sleep(pause.saturating_sub(LOOK_EVERY)).await;
    }
}

/// Block operations and CPU time so far. `None`: the host does not tell.
async fn look(qmp: &Qmp, pid: u32, threads: &mut BTreeSet<u32>) -> Result<Option<(u64, Duration)>, QmpError> {
    if threads.is_empty() {
        *threads = qmp.cpu_threads(ANSWER_WITHIN).await?;
    }
    let block_operations = qmp.block_operations(ANSWER_WITHIN).await?;
    let busy: Option<Duration> = threads.iter().map(|tid| procfs::thread_busy(pid, *tid).ok()).sum();
    Ok(busy
        .filter(|_| !threads.is_empty())
        .map(|busy| (block_operations, busy)))
}
