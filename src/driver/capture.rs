//! What is saved of a guest that was stopped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::qmp::Qmp;

/// How long each piece may take.
const PIECE_WITHIN: Duration = Duration::from_secs(4);

/// Saves screen, registers and block devices into the run directory; gives what could not be saved, with the reason.
/// Each piece has its own deadline, and none can lose the ones before it.
pub(super) async fn capture(qmp: &Qmp, run: &Path, number: u64) -> Vec<String> {
    let mut missing = Vec::new();
    let screen = run.join(format!("screen-{number}.png"));
    if let Err(why) = screendump(qmp, &screen).await {
        missing.push(format!("screen ({why})"));
    }
    let pages = [
        ("registers", "info registers -a"),
        ("block", "info block -v"),
        ("status", "info status"),
        ("network", "info network"),
    ];
    for (name, page) in pages {
        let path = run.join(format!("{name}-{number}.txt"));
        if let Err(why) = info(qmp, page, path).await {
            missing.push(format!("{name} ({why})"));
        }
    }
    missing
}

async fn screendump(qmp: &Qmp, path: &Path) -> Result<(), String> {
    // QEMU 7.1 and later write PNG by themselves.
    let arguments = serde_json::json!({"filename": path, "format": "png"});
    let done = qmp.execute_raw("screendump", arguments, PIECE_WITHIN).await;
    done.map(drop).map_err(|error| error.to_string())
}

async fn info(qmp: &Qmp, page: &str, path: PathBuf) -> Result<(), String> {
    let command = qapi_qmp::human_monitor_command {
        command_line: page.to_owned(),
        cpu_index: None,
    };
    let text = qmp
        .execute(command, PIECE_WITHIN)
        .await
        .map_err(|error| error.to_string())?;
    write_private(&path, text.as_bytes())
        .await
        .map_err(|error| error.to_string())
}

async fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = tokio::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).await?;
    file.write_all(bytes).await?;
    file.flush().await
}
