//! Pictures of the screen as a run goes on, for who reads its page later.
//!
//! They are beside the run, not part of it: no event of the machine waits for one, and one that can't be had is missing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::evidence::{RunDir, ppm_to_png, write_atomically};
use crate::machine::{Class, Record, State};
use crate::qmp::Qmp;
use crate::screen::PPM_BYTES_MAX;
use crate::units::MIB;

use super::run::Driver;

/// Where they lie in a run: `<number of the trace's record>-<state>.png`.
pub const SCREENS: &str = "screens";
/// How long QEMU may take for one.
const PICTURE_WITHIN: Duration = Duration::from_secs(2);
/// The most pictures of a run.
const PICTURES_MAX: u32 = 30;
/// The most bytes of all pictures of a run, as PNG.
const PICTURES_BYTES_MAX: u64 = 12 * MIB;

/// What is left to be spent on pictures, and whether one is being taken.
#[derive(Debug)]
pub(super) struct Pictures {
    left: u32,
    left_bytes: Arc<AtomicU64>,
    /// One permit: QEMU is asked for one picture at a time.
    turn: Arc<Semaphore>,
}

impl Default for Pictures {
    fn default() -> Self {
        Self {
            left: PICTURES_MAX,
            left_bytes: Arc::new(AtomicU64::new(PICTURES_BYTES_MAX)),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Pictures {
    /// The right to take one picture, unless there were enough or one is being taken.
    fn begin(&mut self) -> Option<OwnedSemaphorePermit> {
        if self.left == 0 || self.left_bytes.load(Ordering::Acquire) == 0 {
            return None;
        }
        let permit = self.turn.clone().try_acquire_owned().ok()?;
        self.left -= 1;
        Some(permit)
    }

    /// Waits for one that is being written, and takes away what is left of QEMU's own pictures, once it has ended.
    pub(super) async fn clear_up(&self, run: &RunDir) {
        let _ = tokio::time::timeout(PICTURE_WITHIN, self.turn.acquire()).await;
        let entries = std::fs::read_dir(run.path().join(SCREENS));
        for entry in entries.into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|kind| kind == "ppm") {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// The state that a record makes worth a picture, if it does. What shows nothing yet (a machine that was just started), or
/// is captured anyway (a machine that failed), is not.
fn shown(record: &Record) -> Option<State> {
    match record {
        Record::Transition { from, to, .. } => match (from, to) {
            (State::Verifying, State::Exiting) => Some(State::Verifying),
            (
                _,
                State::MarkerSeen
                | State::SshStable
                | State::Installing
                | State::Triaged
                | State::PoweringDown
                | State::Unlocking
                | State::Verifying,
            ) if from != to => Some(*to),
            _ => None,
        },
        Record::Note { state, what, .. } => (*what == "kernel-seen").then_some(*state),
        _ => None,
    }
}

impl Driver<'_> {
    /// Takes a picture where a record says that the guest has come to a new state. `number`: the record's in the trace.
    pub(super) fn picture(&mut self, number: u64, record: &Record) {
        let Some(state) = shown(record) else { return };
        if self.vm.is_none()
            || self
                .intake
                .machine
                .verdict()
                .is_some_and(|verdict| verdict.class != Class::Passed)
        {
            return;
        }
        let Ok(png) = self.run.file(&format!("{SCREENS}/{number:04}-{}.png", state.name())) else {
            return;
        };
        let Some(turn) = self.pictures.begin() else { return };
        let left_bytes = self.pictures.left_bytes.clone();
        self.with_qmp(|_, qmp| async move {
            if let Err(why) = take(&qmp, &png, left_bytes, turn).await {
                tracing::debug!(%why, "a picture of the screen is missing");
            }
            None
        });
    }
}

async fn take(qmp: &Qmp, png: &Path, left_bytes: Arc<AtomicU64>, turn: OwnedSemaphorePermit) -> Result<(), String> {
    let ppm = png.with_extension("ppm");
    let dumped = qmp.screendump_ppm(&ppm, PICTURE_WITHIN).await;
    dumped.map_err(|error| error.to_string())?;
    let png = png.to_owned();
    // Aside, because a large screen takes a while to compress. The turn ends with it, also if nobody waits for it any more.
    let encoded = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let budget = left_bytes.load(Ordering::Acquire);
        let size_bytes = encode(&ppm, &png, budget)?;
        left_bytes.store(budget - size_bytes, Ordering::Release);
        Ok(())
    });
    encoded.await.map_err(|error| error.to_string())?
}

/// Makes a PNG of QEMU's picture and takes that away; gives the PNG's size in bytes. One that is larger than `budget` is not
/// kept.
fn encode(ppm: &PathBuf, png: &Path, budget: u64) -> Result<u64, String> {
    let encoded = (|| {
        let size_bytes = std::fs::metadata(ppm).map_err(|error| error.to_string())?.len();
        if size_bytes > PPM_BYTES_MAX as u64 {
            return Err(format!("it has {size_bytes} bytes"));
        }
        let pixels = std::fs::read(ppm).map_err(|error| error.to_string())?;
        ppm_to_png(&pixels).map_err(|error| error.to_string())
    })();
    let _ = std::fs::remove_file(ppm);
    let image = encoded?;
    let size_bytes = image.len() as u64;
    if size_bytes > budget {
        return Err(format!(
            "{size_bytes} bytes are more than the {budget} that are left for pictures"
        ));
    }
    write_atomically(png, &image).map_err(|error| error.to_string())?;
    Ok(size_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_not_without_end() {
        let mut pictures = Pictures::default();
        let first = pictures.begin();
        assert!(first.is_some() && pictures.begin().is_none());
        drop(first);
        let taken = (0..1000).filter(|_| pictures.begin().is_some()).count();
        assert_eq!(taken, PICTURES_MAX as usize - 1);
        let mut pictures = Pictures::default();
        pictures.left_bytes.store(0, Ordering::Release);
        assert!(pictures.begin().is_none());
    }

    #[test]
    fn a_picture_is_kept_within_its_budget_and_qemus_own_never() {
        let directory = tempfile::tempdir().unwrap();
        let (ppm, png) = (directory.path().join("a.ppm"), directory.path().join("a.png"));
        let write = |bytes: &[u8]| std::fs::write(&ppm, bytes).unwrap();
        write(b"P6\n2 1\n255\n123456");
        let size_bytes = encode(&ppm, &png, MIB).unwrap();
        assert_eq!(std::fs::metadata(&png).unwrap().len(), size_bytes);
        std::fs::remove_file(&png).unwrap();
        for (bytes, budget) in [(b"P6\n2 1\n255\n123456".as_slice(), size_bytes - 1), (b"noise", MIB)] {
            write(bytes);
            assert!(encode(&ppm, &png, budget).is_err());
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }
}
