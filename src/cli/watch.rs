//! Who watches a run from the command line: its records become lines, and what they tell is shown in the view.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::driver::{Observer, Outcome, Sight};
use crate::machine::{Deadlines, Record, State};
use crate::plan::Plan;
use crate::report::{Groups, record_line};
use crate::view::{Ink, wrap};

use super::print::{Printer, Watched};

/// The width of what stands in front of a record: `  123.45s  `.
const CLOCK_COLUMNS: usize = 11;
const BLANK: &str = "           ";

/// Prints the records of a run as lines: on standard error if standard output is for programs.
pub(super) struct Watcher<'a> {
    pub(super) plan: Arc<Plan>,
    /// What is to be done when the failed machine is held.
    pub(super) on_held: &'a mut dyn FnMut(&Outcome, Timestamp),
    pub(super) printer: &'a Printer,
    pub(super) watched: Watched,
    pub(super) groups: Groups,
}

impl Watcher<'_> {
    /// Prints a line, unless nobody wants any.
    pub(super) fn line(&self, line: impl Display) {
        if !self.printer.place.quiet {
            self.printer.line(line);
        }
    }

    /// The line of a record where a view is drawn: what changed no state is shown there, as the last event.
    fn remembered(&self, record: &Record, line: &str) {
        let Some(look) = self.printer.place.screen() else {
            return self.line(line);
        };
        let ink = match record {
            Record::Note { .. } => return,
            Record::StageBegan { .. } | Record::StageEnded { .. } => Ink::Bold,
            Record::DeadlineNear { .. } => Ink::Warn,
            Record::Transition { .. } | Record::Decided(_) => Ink::Plain,
        };
        for row in hanging(line, look.columns) {
            self.line(ink.paint(&row, &look));
        }
    }
}

/// A record's line in rows of whole words, behind its clock.
fn hanging(line: &str, columns: usize) -> Vec<String> {
    let (clock, text) = line.split_at_checked(CLOCK_COLUMNS).unwrap_or(("", line));
    let rows = wrap(text, columns.saturating_sub(clock.len()).max(CLOCK_COLUMNS));
    let lead = |index| if index == 0 { clock } else { &BLANK[..clock.len()] };
    rows.iter()
        .enumerate()
        .map(|(index, row)| format!("{}{row}", lead(index)))
        .collect()
}

impl Observer for Watcher<'_> {
    fn record(&mut self, at: Duration, record: &Record) {
        self.watched.change(|model| model.record(Instant::now(), record));
        let unix_s = Timestamp::now().as_second();
        let before = self.groups.before(&self.plan, record, unix_s);
        let line = record_line(&self.plan, at, record);
        let after = self.groups.after(record, unix_s);
        if self.printer.place.is_live() {
            if let Some(line) = line {
                self.remembered(record, &line);
            }
            return;
        }
        for line in before.into_iter().chain(line).chain(after) {
            self.line(line);
        }
    }

    fn begins(&mut self, sight: &Sight) {
        self.watched.sees(sight.clone());
    }

    fn settled(&mut self, state: State, deadlines: &Deadlines) {
        self.watched.change(|model| model.settled(state, deadlines));
    }

    fn held(&mut self, outcome: &Outcome, expires: Timestamp) {
        (self.on_held)(outcome, expires);
    }
}
