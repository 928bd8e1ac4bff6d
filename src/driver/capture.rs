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
    if let Err(error) = qmp.screendump_png(&screen, PIECE_WITHIN).await {
        missing.push(format!("screen ({error})"));
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

async fn info(qmp: &Qmp, page: &str, path: PathBuf) -> Result<(), String> {
    let text = qmp.human(page, PIECE_WITHIN).await.map_err(|error| error.to_string())?;
    write_private(&path, &text).await.map_err(|error| error.to_string())
}

async fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = tokio::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .await?;
    file.write_all(text.as_bytes()).await?;
    file.flush().await
}
