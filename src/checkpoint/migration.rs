//! QEMU's side of saving and restoring: `migrate` and `migrate-incoming`, followed by their events.

use serde_json::{Value, json};

use crate::qmp::{EventGap, Qmp, QmpError, QmpEvents};

use super::job::COMMAND_WITHIN;

/// Bytes in a second that QEMU may send: more than any host does. QEMU's own limit is 128 MiB in a second.
const BANDWIDTH_BYTES_PER_S: u64 = 1 << 40;

/// How a migration ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MigrationEnd {
    Completed,
    Cancelled,
    Failed,
}

impl MigrationEnd {
    fn of(status: &Value) -> Option<Self> {
        match status.as_str()? {
            "completed" => Some(Self::Completed),
            "cancelled" => Some(Self::Cancelled),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// Lets QEMU tell of its migrations by events.
pub(super) async fn enable_events(qmp: &Qmp) -> Result<(), QmpError> {
    let capabilities = json!([{ "capability": "events", "state": true }]);
    let arguments = json!({ "capabilities": capabilities });
    qmp.execute_raw("migrate-set-capabilities", arguments, COMMAND_WITHIN)
        .await?;
    Ok(())
}

/// Begins to send the machine to a socket.
pub(super) async fn send_to(qmp: &Qmp, socket: &str) -> Result<(), QmpError> {
    enable_events(qmp).await?;
    let arguments = json!({ "max-bandwidth": BANDWIDTH_BYTES_PER_S });
    qmp.execute_raw("migrate-set-parameters", arguments, COMMAND_WITHIN)
        .await?;
    let arguments = json!({ "uri": format!("unix:{socket}") });
    qmp.execute_raw("migrate", arguments, COMMAND_WITHIN).await?;
    Ok(())
}

/// Waits for the end of a migration. May be dropped and called again with the same events.
pub(super) async fn ended(qmp: &Qmp, events: &mut QmpEvents) -> Result<MigrationEnd, QmpError> {
    loop {
        let status = match events.next().await {
            Ok(event) if event.name == "MIGRATION" => event.data()["status"].clone(),
            Ok(_) => continue,
            Err(EventGap::Missed { .. }) => query(qmp).await?["status"].clone(),
            Err(EventGap::Lost(loss)) => return Err(loss.into()),
        };
        if let Some(end) = MigrationEnd::of(&status) {
            return Ok(end);
        }
    }
}

/// What QEMU says about its migration.
pub(super) async fn query(qmp: &Qmp) -> Result<Value, QmpError> {
    qmp.execute_raw("query-migrate", Value::Null, COMMAND_WITHIN).await
}

/// Why a migration failed, in QEMU's words.
pub(super) async fn complaint(qmp: &Qmp) -> String {
    let said = query(qmp).await.unwrap_or_default();
    match said["error-desc"].as_str() {
        Some(words) if !words.is_empty() => words.to_owned(),
        _ => "QEMU does not say why".to_owned(),
    }
}

/// Ends a migration.
pub(super) async fn cancel(qmp: &Qmp) {
    // If QEMU does not take it, the closed socket ends the migration.
    let _ = qmp.execute_raw("migrate_cancel", Value::Null, COMMAND_WITHIN).await;
}
