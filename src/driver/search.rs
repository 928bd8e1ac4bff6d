//! Searches the output of a stage's command, live and in a replay alike.

use std::time::Instant;

use crate::machine::Event;
use crate::plan::Plan;
use crate::serial::marker::{Match, Watch, WatchError};
use crate::text::Redactor;
use crate::triage::Rules;

use super::watch;

/// Something that was found.
#[derive(Debug, Clone)]
pub(super) enum Hit {
    /// A line that the stage waits for or forbids.
    Line(Event),
    /// A target of a rule.
    Rule(Match),
}

/// Searches output line by line.
pub(super) struct Search {
    watch: Watch,
    file: String,
    redactor: Redactor,
}

impl Search {
    /// Looks for the lines that the stage names and for what the rules know. `file` is where the output is kept.
    pub(super) fn of_stage(
        plan: &Plan,
        stage: usize,
        rules: &Rules,
        file: String,
        redactor: Redactor,
    ) -> Result<Self, WatchError> {
        Ok(Self {
            watch: watch::of_command(&plan.stages[stage].kind, rules)?,
            file,
            redactor,
        })
    }

    /// What was found in the lines that these bytes end.
    pub(super) fn take(&mut self, bytes: &[u8], now: Instant) -> Vec<Hit> {
        let mut all = Vec::new();
        self.watch.feed(bytes, now, |found| all.push(found));
        all.into_iter().map(|found| self.hit(found)).collect()
    }

    /// What was found in the last line, which never ends.
    pub(super) fn finish(&mut self) -> Vec<Hit> {
        let mut all = Vec::new();
        self.watch.finish(|found| all.push(found));
        all.into_iter().map(|found| self.hit(found)).collect()
    }

    fn hit(&self, found: Match) -> Hit {
        let evidence = || watch::evidence(&found, &self.file, &self.redactor);
        let index = |prefix: &str| found.id.strip_prefix(prefix)?.parse().ok();
        if let Some(pattern) = index("pass:") {
            let evidence = evidence();
            return Hit::Line(Event::PassLineSeen { pattern, evidence });
        }
        if let Some(pattern) = index("fail:") {
            let evidence = evidence();
            return Hit::Line(Event::FailLineSeen { pattern, evidence });
        }
        if let Some(pattern) = index("until:") {
            let evidence = evidence();
            return Hit::Line(Event::UntilLineSeen { pattern, evidence });
        }
        Hit::Rule(found)
    }
}
