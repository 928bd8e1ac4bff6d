//! What is known of a run that goes on, as far as a person who watches it wants to know it.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::Progress;
use crate::machine::{Armed, Class, DeadlineKind, Deadlines, Record, StageOutcome, State};
use crate::plan::{Evidence, Plan};
use crate::text::{Untrusted, terminal_line};
use crate::units::human_span;

/// How much of a line is kept, in characters: as much as the widest window shows.
const LINE_CHARS_MAX: usize = 400;
/// A deadline within a stage is shown beside the stage's own when this part of its time is gone: most are met long before.
const WORTH_SHOWING: u32 = 4;

/// The last that a guest and its command have said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The last line on the console.
    pub console: Option<Untrusted>,
    /// The last line that the stage's command has printed.
    pub output: Option<Untrusted>,
    /// How far the command is.
    pub progress: Option<Progress>,
}

/// A stage, as it is shown.
#[derive(Debug, Clone)]
pub(super) struct StageView {
    pub(super) name: String,
    pub(super) began: Option<Instant>,
    pub(super) ended: Option<(Instant, StageOutcome, Option<Evidence>)>,
}

/// A run that goes on. Its names of stages are the plan's; all else that is not ours has been made harmless.
#[derive(Debug, Clone)]
pub struct Model {
    pub(super) gate: String,
    pub(super) began: Instant,
    pub(super) stages: Vec<StageView>,
    /// The number of the first stage of the run in its plan.
    first: usize,
    /// The stage that goes on, counted in `stages`.
    pub(super) current: Option<usize>,
    pub(super) state: State,
    deadlines: Vec<Armed>,
    pub(super) event: String,
    pub(super) console: String,
    pub(super) output: String,
    pub(super) progress: Option<Progress>,
    pub(super) verdict: Option<(Class, String)>,
    /// The command that looks into the machine.
    pub(super) inspect: String,
    /// What is done after the verdict, once the machine is gone.
    pub(super) closing: Option<&'static str>,
}

impl Model {
    /// A run of these stages that has just begun. `inspect` is the command that looks into its machine.
    pub fn new(plan: &Plan, stages: Range<usize>, inspect: String, began: Instant) -> Self {
        let first = stages.start;
        let views = plan.stages[stages].iter().map(|stage| StageView {
            name: stage.name.clone(),
            began: None,
            ended: None,
        });
        Self {
            stages: views.collect(),
            first,
            ..Self::of_machine(&plan.gate, inspect, began)
        }
    }

    /// A machine without a run: it is opened again, and held.
    pub fn of_machine(name: &str, inspect: String, began: Instant) -> Self {
        Self {
            gate: line(name),
            began,
            stages: Vec::new(),
            first: 0,
            current: None,
            state: State::Preparing,
            deadlines: Vec::new(),
            event: String::new(),
            console: String::new(),
            output: String::new(),
            progress: None,
            verdict: None,
            inspect,
            closing: None,
        }
    }

    /// A record was added to the trace.
    pub fn record(&mut self, now: Instant, record: &Record) {
        match record {
            Record::Transition { event, detail, .. } => self.event = line(&format!("{event}  {detail}")),
            Record::Note { what, detail, .. } => self.event = line(&format!("{what}  {detail}")),
            Record::DeadlineNear { kind, left, .. } => {
                self.event = format!("the deadline {} ends in {}", kind.name(), human_span(*left));
            }
            Record::StageBegan { stage } => {
                self.current = stage.checked_sub(self.first).filter(|index| *index < self.stages.len());
                (self.output, self.progress) = (String::new(), None);
                if let Some(view) = self.current_mut() {
                    view.began = Some(now);
                }
            }
            Record::StageEnded {
                stage,
                outcome,
                reached,
            } => {
                let index = stage.checked_sub(self.first);
                if let Some(view) = index.and_then(|index| self.stages.get_mut(index)) {
                    view.ended = Some((now, *outcome, *reached));
                }
            }
            Record::Decided(verdict) => self.verdict = Some((verdict.class, line(&verdict.cause))),
        }
    }

    fn current_mut(&mut self) -> Option<&mut StageView> {
        self.stages.get_mut(self.current?)
    }

    /// The machine has dealt with something.
    pub fn settled(&mut self, state: State, deadlines: &Deadlines) {
        self.state = state;
        self.deadlines.clear();
        self.deadlines.extend(deadlines.iter());
    }

    /// The guest may have said something since.
    pub fn look(&mut self, seen: &Seen) {
        let shown = |text: &Option<Untrusted>| text.as_ref().map(|text| terminal_line(text, LINE_CHARS_MAX));
        self.console = shown(&seen.console).unwrap_or_default();
        self.output = shown(&seen.output).unwrap_or_default();
        self.progress = seen.progress.as_ref().map(|progress| Progress {
            percent: progress.percent,
            what: line(&progress.what),
        });
    }

    /// The run is over; this is still to be done.
    pub fn closes(&mut self, what: &'static str) {
        self.closing = Some(what);
    }

    /// The machine is being opened; how far this step is. Without effect once it is held.
    pub fn opens(&mut self, step: &'static str, progress: Option<Progress>) {
        if self.state != State::Held {
            (self.closing, self.progress) = (Some(step), progress);
        }
    }

    /// The machine is held for so long.
    pub fn holds(&mut self, now: Instant, left: Duration) {
        let mut deadlines = Deadlines::default();
        deadlines.arm(DeadlineKind::Hold, now, left, left);
        self.settled(State::Held, &deadlines);
        self.closing = None;
    }

    /// How much of a deadline is left.
    pub(super) fn left(&self, kind: DeadlineKind, now: Instant) -> Option<Duration> {
        let armed = self.deadlines.iter().find(|armed| armed.kind == kind)?;
        Some(armed.at.saturating_duration_since(now))
    }

    /// The deadlines that are worth a look: kind, how much is left, and whether that is little.
    pub(super) fn deadlines(&self, now: Instant) -> Vec<(DeadlineKind, Duration, bool)> {
        let stage = self.deadlines.iter().find(|armed| armed.kind == DeadlineKind::Stage);
        let inner = self.deadlines.iter().filter(|armed| armed.kind != DeadlineKind::Stage);
        let sooner = |armed: &&Armed| {
            let gone = now.saturating_duration_since(armed.since);
            let worth = stage.is_none() || gone * WORTH_SHOWING > armed.at.saturating_duration_since(armed.since);
            armed.kind.warns() && worth && stage.is_none_or(|stage| armed.at < stage.at)
        };
        let inner = inner.filter(sooner).min_by_key(|armed| armed.at);
        let shown = stage.into_iter().chain(inner).map(|armed| {
            let left = armed.at.saturating_duration_since(now);
            let is_little = left * 5 < armed.at.saturating_duration_since(armed.since);
            (armed.kind, left, is_little)
        });
        shown.collect()
    }

    /// The line for a log that nothing was written to for a while.
    pub fn beat(&self, now: Instant) -> String {
        let clock = now.saturating_duration_since(self.began).as_secs_f64();
        let mut text = format!("{clock:>8.2}s  … ");
        let what = self.closing.unwrap_or(self.state.name());
        text.push_str(what);
        if let Some(view) = self.current.and_then(|current| self.stages.get(current))
            && let (Some(began), None) = (view.began, view.ended)
        {
            let elapsed = now.saturating_duration_since(began);
            let _ = write!(text, ", stage {} for {}", view.name, coarse(elapsed));
        }
        for (kind, left, _) in self.deadlines(now) {
            let _ = write!(text, ", deadline {} in {}", kind.name(), coarse(left));
        }
        if let Some(progress) = &self.progress {
            let _ = write!(text, ", {} % {}", progress.percent, progress.what);
        }
        let said = if self.output.is_empty() {
            &self.console
        } else {
            &self.output
        };
        if !said.is_empty() {
            let _ = write!(text, ", last line “{}”", terminal_line(said, 160));
        }
        text
    }
}

fn line(text: &str) -> String {
    terminal_line(text.trim_end(), LINE_CHARS_MAX)
}

/// A duration in whole seconds, so that it changes once a second.
pub(super) fn coarse(span: Duration) -> String {
    match span.as_secs() {
        s @ 0..60 => format!("{s} s"),
        s => human_span(Duration::from_secs(s)),
    }
}
