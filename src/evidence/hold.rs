//! `hold.json`: that a machine of this run is kept for a person, by whom, and until when.

use super::error::EvidenceError;
use super::record::{RunRecord, read_json};
use super::rundir::RunDir;
use crate::procfs::ProcessIdentity;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const HOLD: &str = "hold.json";

/// A hold, as its holder wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRecord {
    /// The process that holds the machine.
    pub holder: ProcessIdentity,
    /// QEMU's process.
    pub qemu: ProcessIdentity,
    /// What is held.
    pub what: Held,
    /// Since when.
    pub since: Timestamp,
    /// When it is ended if nobody asks for more.
    pub expires: Timestamp,
}

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Held {
    /// The machine on which a run failed.
    Failure,
    /// A machine that was opened again from a bundle.
    Reopened,
}

impl HoldRecord {
    /// True if the holder is there.
    pub fn is_live(&self) -> bool {
        self.holder.is_alive()
    }
}

impl RunDir {
    /// Writes down that a machine of this run is held.
    pub fn record_hold(&self, hold: &HoldRecord) -> Result<(), EvidenceError> {
        self.write_json(HOLD, hold).map(drop)
    }

    /// Takes the record away: nothing is held any more. Left over, it names a process that is gone.
    pub fn discard_hold(&self) {
        let _ = std::fs::remove_file(self.path().join(HOLD));
    }
}

impl RunRecord {
    /// The hold on this run, if its holder is there.
    pub fn hold(&self) -> Option<HoldRecord> {
        let hold: HoldRecord = read_json(&self.path.join(HOLD)).ok()?;
        hold.is_live().then_some(hold)
    }
}
