//! Reading a log from its beginning to its end, in pieces.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::serial::log_end::log_files;
use crate::triage::{Correlator, Finding, LogScan, Rules, Source};

use super::found::{Gap, Log};

/// How much of a log is in memory at once, in bytes. Beside it there is one line.
const CHUNK_BYTES: usize = 64 * 1024;

/// What rules read of a log: what they found, and what was not there to be read.
pub(super) struct Reading {
    pub(super) correlator: Correlator,
    pub(super) findings: Vec<Finding>,
    pub(super) gaps: Vec<Gap>,
}

impl Reading {
    pub(super) fn new(rules: &Arc<Rules>) -> Self {
        Self {
            correlator: Correlator::new(rules.clone()),
            findings: Vec::new(),
            gaps: Vec::new(),
        }
    }
}

/// Reads a log whose lines may be of any source, or of one.
pub(super) fn log(rules: &Arc<Rules>, source: Option<Source>, path: &Path) -> Result<Log, String> {
    let all = Source::ALL;
    let sources = source.as_ref().map_or(&all[..], std::slice::from_ref);
    let name = path.display().to_string();
    let mut reading = Reading::new(rules);
    let read = if name == "-" {
        LogScan::new(rules, sources, "-")
            .map_err(io::Error::other)
            .and_then(|mut scan| {
                feed(io::stdin().lock(), &mut scan, &mut reading)?;
                scan.finish(&mut reading.correlator, &mut reading.findings);
                Ok(())
            })
    } else {
        file(path, sources, &name, &mut reading)
    };
    read.map_err(|error| format!("the log `{name}` can't be read: {error}"))?;
    let Reading {
        correlator,
        mut findings,
        gaps,
    } = reading;
    findings.extend(correlator.end(None));
    Ok(Log { name, findings, gaps })
}

/// Reads a file as part of a stage, and the files that a run has continued it in, each at its place in the stream.
pub(super) fn file(path: &Path, sources: &[Source], name: &str, reading: &mut Reading) -> io::Result<()> {
    let rules = reading.correlator.rules().clone();
    let scan_from = |begin_bytes| {
        let scan = LogScan::new(&rules, sources, name).map_err(io::Error::other)?;
        Ok::<_, io::Error>(scan.beginning_at(begin_bytes))
    };
    let (mut scan, mut end_bytes) = (scan_from(0)?, 0);
    for (start_bytes, path) in log_files(path) {
        let mut from = match File::open(path) {
            Ok(from) => from,
            // The run goes on, and has dropped it.
            Err(error) if start_bytes > 0 && error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if start_bytes < end_bytes {
            continue;
        }
        let mut begin_bytes = start_bytes;
        if start_bytes > end_bytes {
            reading.gaps.push(Gap {
                file: name.to_owned(),
                bytes: end_bytes..start_bytes,
            });
            scan.finish(&mut reading.correlator, &mut reading.findings);
            begin_bytes += cut_line(&mut from)?;
            scan = scan_from(begin_bytes)?;
        }
        end_bytes = begin_bytes + feed(from, &mut scan, reading)?;
    }
    scan.finish(&mut reading.correlator, &mut reading.findings);
    Ok(())
}

/// Steps over the rest of a line whose beginning is not there, which rules would take for a line; gives its length in bytes.
fn cut_line(file: &mut File) -> io::Result<u64> {
    let mut beginning = Vec::new();
    file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut beginning)?;
    let end = beginning.iter().position(|byte| *byte == b'\n');
    let length = end.map_or(0, |at| at as u64 + 1);
    file.seek(SeekFrom::Start(length))
}

/// Reads all of it; gives its length in bytes.
fn feed(mut from: impl Read, scan: &mut LogScan, reading: &mut Reading) -> io::Result<u64> {
    let now = Instant::now();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut length = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(count) => {
                scan.feed(&buffer[..count], now, &mut reading.correlator, &mut reading.findings);
                length += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
