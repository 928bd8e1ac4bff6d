//! Looks at the screen while a passphrase may be asked for on it.
//!
//! What is read goes the way that a console's bytes go, so it is logged, searched, recorded and replayed as they are.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::sync::{mpsc, oneshot};

use crate::plan::{Plan, PromptChannel, SCREEN_LOOK_EVERY, StageKind};
use crate::qmp::{Qmp, QmpError};
use crate::screen::{self, Follower, PPM_BYTES_MAX, Page, Picture};
use crate::serial::console::Console;
use crate::serial::marker::Watch;
use crate::serial::tap::SerialNotice;

use super::input::{Input, VmInput};
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
    pub(super) console: Console,
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
        let (console, sightings) = launcher.tap(stream, watch, &file, None)?;
        let picture = launcher.run.path().join(format!("{file}.ppm"));
        Ok(Self {
            file,
            console,
            sightings,
            text,
            picture,
        })
    }
}

/// Looks at the screen of a machine.
pub(super) struct Look {
    /// The machine's number.
    pub(super) number: u64,
    pub(super) qmp: Qmp,
    pub(super) picture: PathBuf,
    pub(super) text: DuplexStream,
    pub(super) inputs: mpsc::Sender<Input>,
}

impl Look {
    /// Looks until there is no screen any more or nobody wants to know.
    pub(super) async fn watch(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut follower = Follower::default();
        let (mut seen, mut page) = (Vec::new(), Some(Page::default()));
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                () = tokio::time::sleep(SCREEN_LOOK_EVERY) => {}
            }
            match self.qmp.screendump_ppm(&self.picture, PICTURE_WITHIN).await {
                Ok(()) => {}
                Err(QmpError::Lost(_)) => break,
                // A screen that is changing its mode, a full disk: the next look tells more.
                Err(_) => continue,
            }
            let Some(pixels) = read(&self.picture).await else {
                continue;
            };
            if pixels != seen {
                let before = page.is_some();
                (page, seen) = page_of(pixels).await;
                if page.is_some() != before && !self.tell(page.is_some()).await {
                    break;
                }
            }
            let news = page.as_ref().map(|page| follower.look(page)).unwrap_or_default();
            if self.text.write_all(news.as_bytes()).await.is_err() {
                break;
            }
        }
        let _ = tokio::fs::remove_file(&self.picture).await;
    }

    /// Tells whether there is text on the screen; false if nobody hears it.
    async fn tell(&self, text: bool) -> bool {
        let shows = Input::Vm(self.number, VmInput::ScreenShows { text });
        self.inputs.send(shows).await.is_ok()
    }
}

async fn read(picture: &Path) -> Option<Vec<u8>> {
    let size_bytes = tokio::fs::metadata(picture).await.ok()?.len();
    if size_bytes > PPM_BYTES_MAX as u64 {
        return None;
    }
    tokio::fs::read(picture).await.ok()
}

/// Reads a picture aside, because it takes milliseconds; gives the picture back. `None`: it is a picture without text. A
/// screen of one colour shows nothing.
async fn page_of(ppm: Vec<u8>) -> (Option<Page>, Vec<u8>) {
    let reading = tokio::task::spawn_blocking(move || {
        let page = match Picture::from_ppm(&ppm) {
            Ok(picture) if !picture.is_blank() => screen::read(&picture),
            _ => Some(Page::default()),
        };
        (page, ppm)
    });
    reading.await.unwrap_or_default()
}
