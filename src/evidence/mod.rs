//! The files that a run leaves, written so that a `kill -9` at any moment leaves a readable run.

mod atomic;
mod error;
mod hold;
mod journal;
mod manifest;
mod reap;
mod record;
mod recording;
mod reserve;
mod rundir;
mod screenshot;
mod step;
mod transcript;

pub use atomic::{DRAFT_PREFIX, write_atomically};
pub use error::EvidenceError;
pub use hold::{Held, HoldRecord};
pub use journal::{Durability, Journal, JournalRead, Position, RECORD_BYTES_MAX, TornTail, read_journal};
pub use manifest::{
    Declared, Difference, HASH_BYTES_MAX, MANIFEST, Manifest, ManifestEntry, verify_manifest, write_manifest,
};
pub use reap::{Orphan, Reaped, find_orphans, reap};
pub use record::{RunRecord, RunState, list, open};
pub use recording::{RECORDING, RECORDING_BYTES_MAX, Recording};
pub use reserve::{RESERVE_BYTES, Reserve};
pub use rundir::{KEPT_GATE, RunDir, RunInfo, SOCKET_PATH_BYTES_MAX, kept_rules};
pub use screenshot::{ScreenshotError, ppm_to_png};
pub use step::{HandedOn, STEP, STEP_FORMAT, StepRecord, newest_step};
pub use transcript::{TranscriptBudget, TranscriptLog};
