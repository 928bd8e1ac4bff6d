//! The machine as its driver sees it: events and the time go in, effects come out.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use statig::blocking::{IntoStateMachineExt as _, StateMachine};

use crate::machine::gate::{Gate, Outbox};
use crate::machine::{Class, Deadlines, Effect, Event, Left, Part, StageReport, State, Verdict};
use crate::plan::{Evidence, Plan};

/// The gate's state machine. It performs nothing: whoever holds it hands in what happened and does what it asks.
#[derive(Clone)]
pub struct Machine {
    inner: StateMachine<Gate>,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("state", &self.state())
            .field("gate", self.gate())
            .finish()
    }
}

impl Machine {
    /// A machine for a plan. `hold` is how long a failed machine is kept for a person when the plan asks for it.
    pub fn new(plan: Arc<Plan>, hold: Duration) -> Self {
        Self::of_part(plan, hold, Part::Whole)
    }

    /// A machine for a part of a plan. Its stage must be one of the plan's.
    pub fn of_part(plan: Arc<Plan>, hold: Duration, part: Part) -> Self {
        Self {
            inner: Gate::new(plan, hold, part).state_machine(),
        }
    }

    /// Which part of the plan it runs.
    pub fn part(&self) -> &Part {
        &self.gate().part
    }

    /// What is known of the guest of the current stage, as far as the machine knows it.
    pub fn left(&self) -> Left {
        let gate = self.gate();
        Left {
            reached: gate.reports[gate.stage].reached,
            marker_seen: gate.boot.marker_seen,
            ssh_stable: gate.boot.ssh.stable,
            ..Left::default()
        }
    }

    /// Enters the first state. To be called once, before any event.
    pub fn start(&mut self, now: Instant) -> Vec<Effect> {
        let mut out = Outbox::new(now);
        self.inner.init_with_context(&mut out);
        Self::effects(out)
    }

    /// Handles an event that happened at `now`.
    pub fn handle(&mut self, now: Instant, event: &Event) -> Vec<Effect> {
        let mut out = Outbox::new(now);
        self.inner.handle_with_context(event, &mut out);
        Self::effects(out)
    }

    /// Handles every warning that is due and every deadline that has passed at `now`, the earliest first.
    pub fn expire(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(kind) = self.deadlines().warning(now) {
            effects.extend(self.handle(now, &Event::DeadlineNear(kind)));
        }
        while let Some(kind) = self.deadlines().passed(now) {
            effects.extend(self.handle(now, &Event::DeadlinePassed(kind)));
        }
        effects
    }

    /// When [`Machine::expire`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines().next_at()
    }

    /// The state.
    pub fn state(&self) -> State {
        *self.inner.state()
    }

    /// The number of the current stage.
    pub fn stage(&self) -> usize {
        self.inner.inner().stage
    }

    /// The verdict, once it is decided.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.inner.inner().verdict.as_ref()
    }

    /// What is known of each stage, in the plan's order.
    pub fn reports(&self) -> &[StageReport] {
        &self.inner.inner().reports
    }

    /// True if a signal ended what was being done about a verdict that was decided already.
    pub fn was_cut_short(&self) -> bool {
        self.inner.inner().kill && self.verdict().is_some_and(|verdict| verdict.class != Class::Cancelled)
    }

    /// How long a failed machine is kept for a person.
    pub fn hold(&self) -> Duration {
        self.inner.inner().hold
    }

    /// True if a question on the console would hold up the run.
    pub fn awaits_guest(&self) -> bool {
        self.gate().awaits_guest()
    }

    /// True if the kernel, or what runs on it, was heard of in this stage.
    pub fn kernel_spoke(&self) -> bool {
        self.reports()[self.stage()].reached >= Some(Evidence::Kernel)
    }

    /// The armed deadlines.
    pub fn deadlines(&self) -> &Deadlines {
        &self.inner.inner().deadlines
    }

    pub(super) fn gate(&self) -> &Gate {
        self.inner.inner()
    }

    fn effects(out: Outbox) -> Vec<Effect> {
        let records = out.records.into_iter().map(Effect::Record);
        records.chain(out.effects).collect()
    }
}
