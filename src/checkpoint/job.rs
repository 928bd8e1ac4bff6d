//! A QEMU job: begun, waited for by its events, dismissed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::qmp::{EventGap, Qmp, QmpError};

/// How long one short command may take.
pub(super) const COMMAND_WITHIN: Duration = Duration::from_secs(10);

/// Why a job did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// QEMU refused a command.
    #[error(transparent)]
    Qmp(#[from] QmpError),
    /// The job ended with an error.
    #[error("QEMU's job `{id}` failed: {reason}")]
    Failed {
        /// Its id.
        id: String,
        /// QEMU's own words.
        reason: String,
    },
}

/// Begins a job by a command that takes a `job-id`, and waits until it is concluded. Its end comes as an event; only if
/// events were missed is QEMU asked.
pub(super) async fn run_job(qmp: &Qmp, command: &str, id: &str, mut arguments: Value) -> Result<(), JobError> {
    arguments["job-id"] = id.into();
    let mut events = qmp.subscribe();
    qmp.execute_raw(command, arguments, COMMAND_WITHIN).await?;
    loop {
        match events.next().await {
            Ok(event) if event.name == "JOB_STATUS_CHANGE" && event.data()["id"] == id => {
                if event.data()["status"] == "concluded" {
                    break;
                }
            }
            Ok(_) => {}
            Err(EventGap::Missed { .. }) => {
                if job(qmp, id).await?["status"] == "concluded" {
                    break;
                }
            }
            Err(EventGap::Lost(loss)) => return Err(QmpError::Lost(loss).into()),
        }
    }
    let ended = job(qmp, id).await?;
    qmp.execute_raw("job-dismiss", json!({ "id": id }), COMMAND_WITHIN)
        .await?;
    match ended["error"].as_str() {
        None => Ok(()),
        Some(reason) => Err(JobError::Failed {
            id: id.to_owned(),
            reason: reason.to_owned(),
        }),
    }
}

async fn job(qmp: &Qmp, id: &str) -> Result<Value, QmpError> {
    let jobs = qmp.execute_raw("query-jobs", Value::Null, COMMAND_WITHIN).await?;
    let found = jobs.as_array().into_iter().flatten().find(|job| job["id"] == id);
    Ok(found.cloned().unwrap_or_default())
}
