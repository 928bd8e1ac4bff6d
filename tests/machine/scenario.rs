//! A scenario as data: what happens when, and what must come of it.

use bootgate::machine::{Event, State};
use bootgate::plan::Plan;

use crate::world::{Habits, World};

/// What happens, and what must come of it.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) plan: Plan,
    pub(crate) habits: Habits,
    /// What happens from outside, at milliseconds since the start.
    pub(crate) events: Vec<(u64, Event)>,
    /// Lines that the trace must have, in this order; others may stand between them.
    pub(crate) trace: &'static str,
    /// `class cause stage state` of the verdict.
    pub(crate) verdict: &'static str,
}

impl Scenario {
    pub(crate) fn new(name: &'static str, plan: Plan, events: Vec<(u64, Event)>) -> Self {
        Self {
            name,
            plan,
            habits: Habits::default(),
            events,
            trace: "",
            verdict: "",
        }
    }

    pub(crate) fn habits(mut self, change: impl FnOnce(&mut Habits)) -> Self {
        change(&mut self.habits);
        self
    }

    pub(crate) fn comes_to(mut self, verdict: &'static str) -> Self {
        self.verdict = verdict;
        self
    }

    pub(crate) fn by(mut self, trace: &'static str) -> Self {
        self.trace = trace;
        self
    }

    /// Plays it and checks what came of it; gives the world for more questions.
    #[track_caller]
    pub(crate) fn check(self) -> World {
        let stages: Vec<_> = self.plan.stages.iter().map(|stage| stage.name.clone()).collect();
        let mut world = World::new(self.plan, self.habits);
        for (at_ms, event) in self.events {
            world.plan(at_ms, event);
        }
        world.run();
        let (name, trace) = (self.name, world.trace());
        assert_eq!(world.machine.state(), State::Finished, "{name}\n{trace}");
        let verdict = world.verdict();
        let (class, state) = (verdict.class.as_str(), verdict.state.name());
        let told = format!("{class} {} {} {state}", verdict.cause, stages[verdict.stage]);
        assert_eq!(told, self.verdict, "{name}\n{trace}");
        let mut lines = trace.lines();
        for wanted in self.trace.lines().map(str::trim).filter(|line| !line.is_empty()) {
            assert!(
                lines.any(|line| line == wanted),
                "{name} lacks, or has too early:\n{wanted}\n\nin\n{trace}"
            );
        }
        world
    }
}
