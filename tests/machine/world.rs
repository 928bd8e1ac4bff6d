//! What surrounds the machine: answers to its effects come back as events, a little later, in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bootgate::machine::{Effect, EndMode, Event, GuestStatus, Machine, Part, ProcessEnd, Record, State, Verdict};
use bootgate::plan::Plan;

/// How long any answer takes, in milliseconds, unless a habit says otherwise.
pub(crate) const ANSWER_MS: u64 = 5;
/// How long a failed machine is held where the plan asks for it.
pub(crate) const HOLD: Duration = Duration::from_secs(1800);
/// No scenario lasts longer, in milliseconds: a day.
const HORIZON_MS: u64 = 24 * 3600 * 1000;

/// What QEMU, the guest and the host do when the machine asks them. `None`: nothing, so that a deadline must act.
#[derive(Debug, Clone)]
pub(crate) struct Habits {
    /// Scale of the deadlines, in percent, with which a machine comes up.
    pub(crate) prepares: Option<u32>,
    pub(crate) status: Option<GuestStatus>,
    pub(crate) stops: Option<GuestStatus>,
    pub(crate) captures: bool,
    /// The guest hands out its journal.
    pub(crate) tells: bool,
    /// The machine is saved, or why not; `None`: saving it never ends.
    pub(crate) saves: Option<Result<u64, String>>,
    /// After how many milliseconds the guest shuts down when asked.
    pub(crate) powers_down: Option<u64>,
    pub(crate) ends: bool,
    pub(crate) releases: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            prepares: Some(100),
            status: Some(GuestStatus::Running),
            stops: Some(GuestStatus::Paused),
            captures: true,
            tells: true,
            saves: Some(Ok(100)),
            powers_down: Some(100),
            ends: true,
            releases: true,
        }
    }
}

/// A machine, its surroundings, and what came out.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) machine: Machine,
    pub(crate) origin: Instant,
    pub(crate) now_ms: u64,
    pub(crate) habits: Habits,
    pub(crate) records: Vec<(u64, Record)>,
    pub(crate) effects: Vec<(u64, Effect)>,
    agenda: BTreeMap<(u64, u64), Event>,
    planned: u64,
    alive: bool,
    /// QMP answers.
    linked: bool,
}

impl World {
    /// When an effect was asked for.
    pub(crate) fn asked(&self, effect: &Effect) -> Vec<u64> {
        let matching = self.effects.iter().filter(|(_, asked)| asked == effect);
        matching.map(|(at, _)| *at).collect()
    }

    /// Starts a machine.
    pub(crate) fn new(plan: Plan, habits: Habits) -> Self {
        Self::of_part(plan, Part::Whole, habits)
    }

    /// Starts a machine for a part of a plan.
    pub(crate) fn of_part(plan: Plan, part: Part, habits: Habits) -> Self {
        let mut world = Self {
            machine: Machine::of_part(Arc::new(plan), HOLD, part),
            origin: Instant::now(),
            now_ms: 0,
            habits,
            records: Vec::new(),
            effects: Vec::new(),
            agenda: BTreeMap::new(),
            planned: 0,
            alive: false,
            linked: false,
        };
        let effects = world.machine.start(world.origin);
        world.perform(effects);
        world
    }

    pub(crate) fn at(&self, ms: u64) -> Instant {
        self.origin + Duration::from_millis(ms)
    }

    /// Plans an event.
    pub(crate) fn plan(&mut self, at_ms: u64, event: Event) {
        self.planned += 1;
        self.agenda.insert((at_ms, self.planned), event);
    }

    /// Forgets what was to happen: answers that are under way are lost.
    pub(crate) fn forget_plans(&mut self) {
        self.agenda.clear();
    }

    /// Lets time pass until nothing is left to happen.
    pub(crate) fn run(&mut self) {
        while self.step(HORIZON_MS) {}
    }

    /// Lets everything happen up to and including a time.
    pub(crate) fn run_to(&mut self, until_ms: u64) {
        while self.step(until_ms) {}
        self.now_ms = until_ms;
    }

    /// Lets time pass until the machine is in a state.
    pub(crate) fn run_into(&mut self, state: State) {
        while self.machine.state() != state {
            assert!(self.step(HORIZON_MS), "{state:?} is not reached\n{}", self.trace());
        }
    }

    /// The next thing that happens, an event before a deadline of the same time; false if there is none until then.
    fn step(&mut self, until_ms: u64) -> bool {
        let deadline_ms = self.machine.next_deadline().map(|at| self.ms(at));
        let event_at = self.agenda.keys().next().copied();
        let event_first = event_at.is_some_and(|(at, _)| deadline_ms.is_none_or(|deadline| at <= deadline));
        let next_ms = if event_first {
            event_at.map(|(at, _)| at)
        } else {
            deadline_ms
        };
        let Some(next_ms) = next_ms.filter(|at| *at <= until_ms) else {
            return false;
        };
        self.now_ms = self.now_ms.max(next_ms);
        let now = self.at(self.now_ms);
        let effects = if event_first {
            let (_, event) = self.agenda.pop_first().expect("seen above");
            match event {
                Event::QemuEnded(_) => (self.alive, self.linked) = (false, false),
                Event::QmpLost { .. } => self.linked = false,
                _ => {}
            }
            self.machine.handle(now, &event)
        } else {
            self.machine.expire(now)
        };
        self.perform(effects);
        true
    }

    /// An instant as milliseconds since the origin, rounded up: never before the instant.
    pub(crate) fn ms(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.origin).as_nanos().div_ceil(1_000_000)).expect("fits")
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Record(record) = effect {
                self.records.push((self.now_ms, record));
                continue;
            }
            let answer = self.answer(&effect);
            self.effects.push((self.now_ms, effect));
            if let Some((after_ms, event)) = answer {
                self.plan(self.now_ms + after_ms, event);
            }
        }
    }

    fn answer(&mut self, effect: &Effect) -> Option<(u64, Event)> {
        let event = match effect {
            Effect::Prepare { .. } => {
                let scale_percent = self.habits.prepares?;
                (self.alive, self.linked) = (true, true);
                let accelerator = "tcg".to_owned();
                Event::Prepared {
                    accelerator,
                    scale_percent,
                }
            }
            Effect::QueryStatus if self.linked => Event::StatusObserved(self.habits.status?),
            Effect::StopGuest if self.linked => Event::StatusObserved(self.habits.stops?),
            Effect::Capture if self.linked && self.habits.captures => Event::Captured { missing: Vec::new() },
            Effect::CollectJournal if self.habits.tells => Event::JournalCollected { missing: None },
            Effect::SaveCheckpoint if self.linked => match self.habits.saves.clone()? {
                Ok(size_bytes) => Event::CheckpointSaved { size_bytes },
                Err(detail) => Event::CheckpointFailed { detail },
            },
            Effect::SaveDisks => match self.habits.saves.clone()? {
                Ok(size_bytes) => Event::CheckpointSaved { size_bytes },
                Err(detail) => Event::CheckpointFailed { detail },
            },
            Effect::PowerDown => {
                let (by_guest, reason) = (true, "guest-shutdown".to_owned());
                return Some((self.habits.powers_down?, Event::GuestShutDown { by_guest, reason }));
            }
            Effect::EndQemu(mode) if self.habits.ends => Event::QemuEnded(match (self.alive, mode) {
                (false, _) => ProcessEnd::NeverStarted,
                (true, EndMode::Ladder | EndMode::Quick) => ProcessEnd::Exited { code: 0 },
                (true, EndMode::Kill) => crate::words::killed(),
            }),
            Effect::CheckRelease if self.habits.releases => Event::ImagesReleased,
            _ => return None,
        };
        Some((ANSWER_MS, event))
    }

    /// The verdict; there must be one.
    pub(crate) fn verdict(&self) -> &Verdict {
        self.machine.verdict().expect("a run that has ended has a verdict")
    }

    /// The transitions, notes and warnings, one line each.
    pub(crate) fn trace(&self) -> String {
        let lines = self.records.iter().map(|(at, record)| line(*at, record));
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn line(at: u64, record: &Record) -> String {
    match record {
        Record::Transition {
            from,
            to,
            event,
            confirmed_by,
            ..
        } => {
            let by = confirmed_by.as_ref().map(|by| format!(" ✓ {by}")).unwrap_or_default();
            format!("{at} {} → {}: {event}{by}", from.name(), to.name())
        }
        Record::Note { what, detail, .. } if detail.is_empty() => format!("{at} · {what}"),
        Record::Note { what, detail, .. } => format!("{at} · {what}: {detail}"),
        Record::DeadlineNear { kind, left, .. } => format!("{at} ! {} in {} ms", kind.name(), left.as_millis()),
        Record::StageBegan { stage } => format!("{at} stage {stage} began"),
        Record::StageEnded {
            stage,
            outcome,
            reached,
        } => {
            let reached = reached.map_or("nothing", bootgate::plan::Evidence::as_str);
            format!("{at} stage {stage} {}, reached {reached}", outcome.as_str())
        }
        Record::Decided(verdict) => format!("{at} = {} {}", verdict.class.as_str(), verdict.cause),
    }
}
