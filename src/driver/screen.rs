//! Looks at the screen while a passphrase may be asked for on it.
//!
//! What is read goes the way that a console's bytes go, so it is logged, searched, recorded and replayed as they are.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::sync::{mpsc, oneshot};

use crate::plan::{Plan, PromptChannel, SCREEN_LOOK_EVERY, StageKind};
use crate::qmp::{Qmp, QmpError};
use crate::screen::{self, Follower, PPM_BYTES_MAX, Page, Picture};
use crate::serial::marker::Watch;
use crate::serial::tap::SerialNotice;

use super::launch::{Launcher, log_name};
use super::prepare::PrepareError;

/// How the logs of what the screen says are named.
pub(super) const SCREEN_LOG: &str = "screen-text";
/// How long QEMU may take for a picture. Without one there was no look.
const PICTURE_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);
/// Bytes of text that may be on their way.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// True if a passphrase may be asked for on the screen of a stage's machine.
pub(super) fn is_watched(plan: &Plan, stage: usize) -> bool {
    let StageKind::InstalledBoot {
        unlock: Some(unlock), ..
    } = &plan.stages[stage].kind
    else {
        return false;
    };
    unlock.channel != PromptChannel::Serial
}

/// The screen of a machine as a console.
pub(super) struct Screen {
    /// Its log in the run directory.
    pub(super) file: String,
    /// What was found on it.
    pub(super) sightings: mpsc::Receiver<SerialNotice>,
    /// Where what is read goes.
    pub(super) text: DuplexStream,
    /// Where QEMU leaves each picture.
    pub(super) picture: PathBuf,
}

impl Screen {
    pub(super) fn open(launcher: &Launcher<'_>, number: u64, watch: Watch) -> Result<Self, PrepareError> {
        let file = log_name(SCREEN_LOG, number);
        let (text, stream) = tokio::io::duplex(TEXT_BYTES_MAX);
        let (_, sightings) = launcher.tap(stream, watch, &file)?;
        let picture = launcher.run.path().join(format!("{file}.ppm"));
        Ok(Self {
            file,
            sightings,
            text,
            picture,
        })
    }
}

/// Looks at the screen until there is none any more or nobody wants to know.
pub(super) async fn look(qmp: Qmp, picture: PathBuf, mut text: DuplexStream, mut stopped: oneshot::Receiver<()>) {
    let mut follower = Follower::default();
    let (mut seen, mut page) = (Vec::new(), Page::default());
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            () = tokio::time::sleep(SCREEN_LOOK_EVERY) => {}
        }
        match qmp.screendump_ppm(&picture, PICTURE_WITHIN).await {
            Ok(()) => {}
            Err(QmpError::Lost(_)) => break,
            // A screen that is changing its mode, a full disk: the next look tells more.
            Err(_) => continue,
        }
        let Some(pixels) = read(&picture).await else { continue };
        if pixels != seen {
            seen = pixels;
            (page, seen) = page_of(seen).await;
        }
        let news = follower.look(&page);
        if text.write_all(news.as_bytes()).await.is_err() {
            break;
        }
    }
    let _ = tokio::fs::remove_file(&picture).await;
}

async fn read(picture: &Path) -> Option<Vec<u8>> {
    let size_bytes = tokio::fs::metadata(picture).await.ok()?.len();
    if size_bytes > PPM_BYTES_MAX as u64 {
        return None;
    }
    tokio::fs::read(picture).await.ok()
}

/// Reads a picture aside, because it takes milliseconds; gives the picture back.
async fn page_of(ppm: Vec<u8>) -> (Page, Vec<u8>) {
    let reading = tokio::task::spawn_blocking(move || {
        let page = Picture::from_ppm(&ppm).ok().and_then(|picture| screen::read(&picture));
        (page.unwrap_or_default(), ppm)
    });
    reading.await.unwrap_or_default()
}
