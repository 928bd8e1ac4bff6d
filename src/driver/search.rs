//! Searches the output of a stage's command, live and in a replay alike.

use std::time::Instant;

use crate::machine::Event;
use crate::plan::{Plan, StageKind};
use crate::serial::marker::{Match, Watch, WatchError};
use crate::text::Redactor;
use crate::triage::Rules;

use super::watch;

/// Searches output line by line.
pub(super) struct Search {
    watch: Watch,
    rules: Rules,
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
        let (pass, fail) = match &plan.stages[stage].kind {
            StageKind::Command { pass, fail, .. } => (&pass[..], &fail[..]),
            StageKind::Boot | StageKind::InstalledBoot { .. } => (&[][..], &[][..]),
        };
        Ok(Self {
            watch: watch::of_command(pass, fail, rules)?,
            rules: rules.clone(),
            file,
            redactor,
        })
    }

    /// What the lines mean that these bytes end.
    pub(super) fn take(&mut self, bytes: &[u8], now: Instant) -> Vec<Event> {
        let mut all = Vec::new();
        self.watch.feed(bytes, now, |found| all.push(found));
        all.iter().filter_map(|found| self.event(found)).collect()
    }

    /// What the last line means, which never ends.
    pub(super) fn finish(&mut self) -> Vec<Event> {
        let mut all = Vec::new();
        self.watch.finish(|found| all.push(found));
        all.iter().filter_map(|found| self.event(found)).collect()
    }

    fn event(&self, found: &Match) -> Option<Event> {
        let evidence = watch::evidence(found, &self.file, &self.redactor);
        let index = |prefix: &str| found.id.strip_prefix(prefix)?.parse().ok();
        if let Some(pattern) = index("pass:") {
            return Some(Event::PassLineSeen { pattern, evidence });
        }
        if let Some(pattern) = index("fail:") {
            return Some(Event::FailLineSeen { pattern, evidence });
        }
        let rule = watch::rule(&self.rules, &found.id)?;
        Some(Event::OutputRuleMatched { rule, evidence })
    }
}
