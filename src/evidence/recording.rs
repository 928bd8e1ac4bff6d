//! `inputs.jsonl`: everything that reached a run, in order, so that it can be replayed.

use super::error::{Context, EvidenceError};
use super::journal::write_whole;
use super::reserve::Reserve;
use crate::units::MIB;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// The name of the recording.
pub const RECORDING: &str = "inputs.jsonl";
/// The size at which a recording ends, in bytes. A replay needs everything from the beginning on, so what follows is not
/// kept at all.
pub const RECORDING_BYTES_MAX: u64 = 16 * MIB;

/// A file of JSON lines that ends where it is full or where the disk takes no more: a replay needs every line before the
/// one that it reads.
#[derive(Debug)]
pub struct Recording {
    file: File,
    length_bytes: u64,
    length_bytes_max: u64,
    reserve: Option<Arc<Reserve>>,
    /// How many lines are not in the file.
    lost: u64,
}

impl Recording {
    /// Makes the file, mode 0600.
    pub fn create(path: &Path, length_bytes_max: u64, reserve: Option<Arc<Reserve>>) -> Result<Self, EvidenceError> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path);
        Ok(Self {
            file: file.context("create", path)?,
            length_bytes: 0,
            length_bytes_max,
            reserve,
            lost: 0,
        })
    }

    /// Adds a line, unless one before it was lost: a recording never ends a run.
    pub fn append(&mut self, line: &impl Serialize) {
        if self.lost > 0 || self.write(line).is_err() {
            self.lost += 1;
        }
    }

    /// How many lines are not in the file.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        if self.length_bytes + bytes.len() as u64 > self.length_bytes_max {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let write = || write_whole(&self.file, self.length_bytes, &bytes);
        match &self.reserve {
            Some(reserve) => reserve.retry_evidence(write)?,
            None => write()?,
        }
        self.length_bytes += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::read_journal;
    use super::*;
    use serde_json::json;

    #[test]
    fn it_has_no_gaps() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(RECORDING);
        let mut recording = Recording::create(&path, 40, None).unwrap();
        for line in [json!({"t_us": 1}), json!({"t_us": "x".repeat(40)}), json!({"t_us": 3})] {
            recording.append(&line);
        }
        assert_eq!(recording.lost(), 2, "what fits behind a lost line is lost, too");
        let read = read_journal(&path).unwrap();
        assert_eq!((read.records, read.torn), (vec![json!({"t_us": 1})], None));
    }
}
