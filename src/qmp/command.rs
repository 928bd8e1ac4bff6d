//! The commands that a gate gives, by name.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::{Qmp, QmpError};

pub use qapi_qmp::RunState;

impl Qmp {
    /// Lets the guest run. Success says that QEMU has heard it, not that the guest goes on: a guest whose disk is full
    /// stops again at once.
    pub async fn cont(&self, deadline: Duration) -> Result<(), QmpError> {
        self.execute(qapi_qmp::cont {}, deadline).await.map(drop)
    }

    /// Stops the guest where it is. Stopping a stopped guest succeeds.
    pub async fn stop(&self, deadline: Duration) -> Result<(), QmpError> {
        self.execute(qapi_qmp::stop {}, deadline).await.map(drop)
    }

    /// Presses the power button. Success says nothing about the guest.
    pub async fn system_powerdown(&self, deadline: Duration) -> Result<(), QmpError> {
        self.execute(qapi_qmp::system_powerdown {}, deadline).await.map(drop)
    }

    /// Ends QEMU. True if QEMU took it: the reply may be lost because the process is gone already.
    pub async fn quit(&self, deadline: Duration) -> bool {
        let quit = self.execute(qapi_qmp::quit {}, deadline).await;
        matches!(quit, Ok(_) | Err(QmpError::Lost(_)))
    }

    /// What the guest does.
    pub async fn query_status(&self, deadline: Duration) -> Result<RunState, QmpError> {
        let status = self.execute(qapi_qmp::query_status {}, deadline).await?;
        Ok(status.status)
    }

    /// How many operations all block devices have ended: reads, writes, flushes and discards.
    pub async fn block_operations(&self, deadline: Duration) -> Result<u64, QmpError> {
        let stats = self.execute_raw("query-blockstats", Value::Null, deadline).await?;
        let devices = stats.as_array().into_iter().flatten();
        let kinds = ["rd_operations", "wr_operations", "flush_operations", "unmap_operations"];
        let counts = devices.flat_map(|device| kinds.map(|kind| device["stats"][kind].as_u64().unwrap_or(0)));
        Ok(counts.fold(0, u64::saturating_add))
    }

    /// The threads of the host that run the virtual CPUs, each once.
    pub async fn cpu_threads(&self, deadline: Duration) -> Result<BTreeSet<u32>, QmpError> {
        let cpus = self.execute_raw("query-cpus-fast", Value::Null, deadline).await?;
        let cpus = cpus.as_array().into_iter().flatten();
        Ok(cpus
            .filter_map(|cpu| u32::try_from(cpu["thread-id"].as_u64()?).ok())
            .collect())
    }

    /// A page of the human monitor, for what has no QMP command.
    pub async fn human(&self, command_line: &str, deadline: Duration) -> Result<String, QmpError> {
        let command = qapi_qmp::human_monitor_command {
            command_line: command_line.to_owned(),
            cpu_index: None,
        };
        self.execute(command, deadline).await
    }

    /// Saves the screen as PPM.
    pub async fn screendump_ppm(&self, path: &std::path::Path, deadline: Duration) -> Result<(), QmpError> {
        let arguments = serde_json::json!({"filename": path, "format": "ppm"});
        self.execute_raw("screendump", arguments, deadline).await.map(drop)
    }
}
