//! Rules tried on fixtures.

use std::sync::Arc;
use std::time::Instant;

use super::correlate::{Correlator, Finding};
use super::look::LogScan;
use super::rules::Rules;
use crate::plan::{Look, Rule, Source};
use crate::serial::marker::WatchError;

/// Tries all rules on one fixture after the other, each a stage of its own.
#[derive(Debug)]
pub struct Bench {
    correlator: Correlator,
    /// For each source its stream.
    scans: Vec<(Source, LogScan)>,
    now: Instant,
}

impl Bench {
    /// A bench for these rules. `now` is any instant: fixtures have no clock.
    pub fn new(rules: &Arc<Rules>, now: Instant) -> Result<Self, WatchError> {
        let sources = Source::ALL.into_iter().filter(|source| *source != Source::Cause);
        let scans = sources.map(|source| Ok((source, LogScan::new(rules, &[source], source.as_str())?)));
        Ok(Self {
            correlator: Correlator::new(rules.clone()),
            scans: scans.collect::<Result<_, WatchError>>()?,
            now,
        })
    }

    /// What the rules find in the lines of one stage, from its beginning to its end. A line may begin with `@SOURCE `; the
    /// others are of the source `default`.
    pub fn try_on(&mut self, lines: &[u8], default: Source) -> Vec<Finding> {
        self.correlator.begin_stage();
        let mut found = Vec::new();
        let mut cause = None;
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let (source, line) = source_of(line).unwrap_or((default, line));
            if source == Source::Cause {
                cause = Some(String::from_utf8_lossy(line).trim_end().to_owned());
            } else if let Some((_, scan)) = self.scans.iter_mut().find(|(of, _)| *of == source) {
                scan.feed(line, self.now, &mut self.correlator, &mut found);
            }
        }
        for (_, scan) in &mut self.scans {
            scan.finish(&mut self.correlator, &mut found);
        }
        found.extend(self.correlator.end(cause.as_deref()));
        for (_, scan) in &mut self.scans {
            // The next fixture begins with a line of its own.
            scan.feed(b"\n", self.now, &mut self.correlator, &mut Vec::new());
        }
        found
    }
}

/// The source that a line of a fixture names, and the rest of the line.
fn source_of(line: &[u8]) -> Option<(Source, &[u8])> {
    let named = line.strip_prefix(b"@")?;
    let space = named.iter().position(|byte| *byte == b' ')?;
    let source = Source::named(std::str::from_utf8(&named[..space]).ok()?)?;
    Some((source, &named[space + 1..]))
}

/// Where a line of a fixture comes from that does not say so: the first source of the rule's first look.
pub(super) fn default_source(rules: &Rules, rule: &Rule) -> Source {
    let first = rule.steps.first().map(|step| &step.look);
    let line = match first {
        Some(Look::Rule(id)) => rules.get(id).and_then(Rule::only_look),
        look => look,
    };
    match line {
        Some(Look::Line { sources, .. }) => sources.first().copied().unwrap_or(Source::Serial),
        _ => Source::Serial,
    }
}
