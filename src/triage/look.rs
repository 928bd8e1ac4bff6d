//! From the looks of rules to the targets of a matcher, and back.

use std::time::Instant;

use super::correlate::{Correlator, Finding, Place, Sighting};
use super::rules::Rules;
use crate::plan::{Look, LookNumber, Source};
use crate::serial::marker::{Match, Target, Watch, WatchError};

/// How the names of targets begin that are a rule's.
const PREFIX: &str = "rule:";

/// What to look for in a stream that holds lines of these sources. Earlier rules come first, and within a rule what comes
/// first in [`crate::plan::Rule::looks`].
pub fn targets(rules: &Rules, of: &[Source]) -> Vec<Target> {
    let mut targets = Vec::new();
    for (number, rule) in rules.as_slice().iter().enumerate() {
        for (look_number, look) in rule.looks() {
            let Look::Line {
                sources,
                pattern,
                prompt,
            } = look
            else {
                continue;
            };
            if sources
                .iter()
                .any(|source| *source != Source::Cause && of.contains(source))
            {
                targets.push(Target {
                    id: target_id(number, look_number),
                    pattern: pattern.clone(),
                    prompt: *prompt,
                });
            }
        }
    }
    targets
}

fn target_id(rule: usize, look: LookNumber) -> String {
    match look {
        LookNumber::Without => format!("{PREFIX}{rule}:without"),
        LookNumber::Step(step) => format!("{PREFIX}{rule}:{step}"),
    }
}

/// The rule and the look that a target is of, if it is of a rule.
pub fn look_of(target: &str) -> Option<(usize, LookNumber)> {
    let (rule, look) = target.strip_prefix(PREFIX)?.split_once(':')?;
    let look = match look {
        "without" => LookNumber::Without,
        step => LookNumber::Step(step.parse().ok()?),
    };
    Some((rule.parse().ok()?, look))
}

/// A stream that is read from its beginning to its end, without a clock.
#[derive(Debug)]
pub struct LogScan {
    watch: Watch,
    file: String,
    /// Offset in the stream of the first byte that is read.
    begin_bytes: u64,
}

impl LogScan {
    /// Begins to read a stream that holds lines of these sources and is called `file`.
    pub fn new(rules: &Rules, of: &[Source], file: &str) -> Result<Self, WatchError> {
        Ok(Self {
            watch: Watch::new(targets(rules, of))?,
            file: file.to_owned(),
            begin_bytes: 0,
        })
    }

    /// Begins at this offset in the stream, because what is before it is not there.
    #[must_use]
    pub fn beginning_at(self, begin_bytes: u64) -> Self {
        Self { begin_bytes, ..self }
    }

    /// Reads bytes; `now` only tells silence, of which a file has none.
    pub fn feed(&mut self, bytes: &[u8], now: Instant, correlator: &mut Correlator, found: &mut Vec<Finding>) {
        let (file, begin) = (&self.file, self.begin_bytes);
        self.watch.feed(bytes, now, |matched| {
            found.extend(
                sighting(&matched, file, begin)
                    .into_iter()
                    .flat_map(|seen| correlator.see(&seen)),
            );
        });
    }

    /// The stream has ended.
    pub fn finish(&mut self, correlator: &mut Correlator, found: &mut Vec<Finding>) {
        let (file, begin) = (&self.file, self.begin_bytes);
        self.watch.finish(|matched| {
            found.extend(
                sighting(&matched, file, begin)
                    .into_iter()
                    .flat_map(|seen| correlator.see(&seen)),
            );
        });
    }
}

/// What a match in the stream called `file`, of which all from this offset on was read, is, if its target is a rule's.
fn sighting(matched: &Match, file: &str, begin_bytes: u64) -> Option<Sighting> {
    let (rule, look) = look_of(&matched.id)?;
    let place = Place {
        file: file.to_owned(),
        line_offset: begin_bytes + matched.line_offset,
        quote_offset: begin_bytes + matched.quote_offset,
        quote: matched.line.clone(),
    };
    Some(Sighting { rule, look, place })
}
