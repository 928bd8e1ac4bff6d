//! The commands that a gate gives, by name.

use std::time::Duration;

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
