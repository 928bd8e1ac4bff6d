//! Reading a log from its beginning to its end, in pieces.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::triage::{Correlator, Finding, LogScan, Rules, Source};

use super::found::Log;

/// How much of a log is in memory at once, in bytes. Beside it there is one line.
const CHUNK_BYTES: usize = 64 * 1024;

/// Reads a log whose lines may be of any source, or of one.
pub(super) fn log(rules: &Arc<Rules>, source: Option<Source>, path: &Path) -> Result<Log, String> {
    let all = Source::ALL;
    let sources = source.as_ref().map_or(&all[..], std::slice::from_ref);
    let name = path.display().to_string();
    let mut correlator = Correlator::new(rules.clone());
    let mut findings = Vec::new();
    let read = if name == "-" {
        stream(io::stdin().lock(), sources, "-", &mut correlator, &mut findings)
    } else {
        file(path, sources, &name, &mut correlator, &mut findings)
    };
    read.map_err(|error| format!("the log `{name}` can't be read: {error}"))?;
    findings.extend(correlator.end(None));
    Ok(Log { name, findings })
}

/// Reads a file as part of a stage.
pub(super) fn file(
    path: &Path,
    sources: &[Source],
    name: &str,
    correlator: &mut Correlator,
    findings: &mut Vec<Finding>,
) -> io::Result<()> {
    stream(File::open(path)?, sources, name, correlator, findings)
}

fn stream(
    mut from: impl Read,
    sources: &[Source],
    name: &str,
    correlator: &mut Correlator,
    findings: &mut Vec<Finding>,
) -> io::Result<()> {
    let rules = correlator.rules().clone();
    let mut scan = LogScan::new(&rules, sources, name).map_err(io::Error::other)?;
    let now = Instant::now();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => scan.feed(&buffer[..count], now, correlator, findings),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    scan.finish(correlator, findings);
    Ok(())
}
