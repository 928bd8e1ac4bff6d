//! What a run's transcripts hold for rules, with times: QMP events, login attempts, marks.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::ssh::ProbeClass;
use crate::triage::{Correlator, Finding, LogScan, Source, probe_line, qmp_line};
use crate::units::MIB;

/// How much of a transcript is read, in bytes.
const TRANSCRIPT_BYTES_MAX: u64 = 64 * MIB;

/// A line for rules, and where it was made from.
pub(super) struct Timed {
    pub(super) t_us: u64,
    source: Source,
    file: &'static str,
    /// Offset in the file of the record; of the trace none is known.
    offset_bytes: u64,
    line: String,
}

/// QMP's events. What can't be read is passed over: a run may have been cut off.
pub(super) fn qmp_events(run: &Path) -> Vec<Timed> {
    const FILE: &str = "qmp.jsonl";
    let Ok(file) = File::open(run.join(FILE)) else {
        return Vec::new();
    };
    let mut events = Vec::new();
    let mut offset_bytes = 0;
    let mut reader = BufReader::new(file.take(TRANSCRIPT_BYTES_MAX));
    let mut raw = Vec::new();
    while reader.read_until(b'\n', &mut raw).is_ok_and(|count| count > 0) {
        events.extend(qmp_event(&raw).map(|(t_us, line)| Timed {
            t_us,
            source: Source::Qmp,
            file: FILE,
            offset_bytes,
            line,
        }));
        offset_bytes += raw.len() as u64;
        raw.clear();
    }
    events
}

fn qmp_event(record: &[u8]) -> Option<(u64, String)> {
    let record: Value = serde_json::from_slice(record).ok()?;
    let message: Value = serde_json::from_str(record["line"].as_str()?).ok()?;
    let line = qmp_line(message["event"].as_str()?, &message["data"]);
    Some((record["t_us"].as_u64()?, line))
}

/// Login attempts and marks, as the trace notes them.
pub(super) fn notes(trace: &[Value]) -> Vec<Timed> {
    let timed = |record: &Value| {
        let detail = record["detail"].as_str().unwrap_or_default();
        let (source, line) = match record["what"].as_str()? {
            "ssh-probe" => {
                let class = ProbeClass::ALL.into_iter().find(|class| class.as_str() == detail)?;
                (Source::Ssh, probe_line(class.as_str(), class.meaning()))
            }
            "marker-seen" => {
                let name = detail.strip_prefix("marker `")?.strip_suffix('`')?;
                (Source::Mark, format!("marker {name}\n"))
            }
            "kernel-seen" => (Source::Mark, "kernel\n".to_owned()),
            _ => return None,
        };
        Some(Timed {
            t_us: record["t_us"].as_u64()?,
            source,
            file: "trace.jsonl",
            offset_bytes: 0,
            line,
        })
    };
    trace.iter().filter_map(timed).collect()
}

/// The lines of one source, as the stream that rules see.
struct Made {
    source: Source,
    file: &'static str,
    scan: LogScan,
    length_bytes: u64,
    /// Where each line stands in the stream, and the record that it was made from in the file.
    places: Vec<(u64, u64)>,
}

impl Made {
    /// What findings call the stream: what one file tells of are streams of their own.
    fn name(source: Source) -> &'static str {
        match source {
            Source::Ssh => "trace.jsonl (ssh)",
            Source::Mark => "trace.jsonl (marks)",
            _ => "qmp.jsonl",
        }
    }
}

/// Shows lines to the rules, in the order of their times.
pub(super) fn take(mut lines: Vec<&Timed>, correlator: &mut Correlator, findings: &mut Vec<Finding>) {
    lines.sort_by_key(|line| line.t_us);
    let (rules, now, begun) = (correlator.rules().clone(), Instant::now(), findings.len());
    let mut streams: Vec<Made> = Vec::new();
    for line in lines {
        if !streams.iter().any(|made| made.source == line.source) {
            let Ok(scan) = LogScan::new(&rules, &[line.source], Made::name(line.source)) else {
                continue;
            };
            streams.push(Made {
                source: line.source,
                file: line.file,
                scan,
                length_bytes: 0,
                places: Vec::new(),
            });
        }
        for made in streams.iter_mut().filter(|made| made.source == line.source) {
            made.places.push((made.length_bytes, line.offset_bytes));
            made.length_bytes += line.line.len() as u64;
            made.scan.feed(line.line.as_bytes(), now, correlator, findings);
        }
    }
    for place in findings[begun..].iter_mut().flat_map(|finding| &mut finding.places) {
        let made = streams.iter().find(|made| Made::name(made.source) == place.file);
        let Some(made) = made else { continue };
        if let Some((_, record)) = made.places.iter().find(|(seen, _)| *seen == place.line_offset) {
            (place.line_offset, place.quote_offset) = (*record, *record);
        }
        made.file.clone_into(&mut place.file);
    }
}
