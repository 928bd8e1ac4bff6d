//! Thousands of random runs: whatever happens in whatever order, the promises hold.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bootgate::machine::{
    Class, DeadlineKind, Effect, Event, GuestStatus, Machine, Mark, Part, ProbeClass, ProcessEnd, Record, StageOutcome,
    State, Step, Verdict, representative_events, representative_parts, representative_plan,
};
use bootgate::plan::{Evidence, Plan};
use proptest::prelude::*;

use crate::words::{ended, marker, pass_line, probed, seen, shut_down, stable, status, until_line};
use crate::world::HOLD;

/// At most one of a kind, and few at a time: the driver looks at all of them for each input.
const ARMED_MAX: usize = 6;
/// Deadlines that time alone passes before the end, from anywhere.
const LAST_STEPS_MAX: usize = 40;

/// The events that do not depend on the machine's deadlines.
static EVENTS: LazyLock<Vec<Event>> = LazyLock::new(|| {
    let machine = Machine::new(Arc::new(representative_plan(true)), HOLD);
    let mut events: Vec<_> = representative_events(&machine).map(Cow::into_owned).collect();
    events.retain(|event| !matches!(event, Event::DeadlineNear(_) | Event::DeadlinePassed(_)));
    events.push(Event::StatusObserved(GuestStatus::Other));
    events
});

/// One step of a walk.
#[derive(Debug, Clone)]
enum Move {
    /// What a good image and a good host do next.
    Helpful,
    /// Any event.
    Any(prop::sample::Index),
    /// A deadline, at its time or not.
    Deadline(DeadlineKind),
    /// Time passes, and what has run out is looked at.
    Time,
}

fn moves() -> impl Strategy<Value = Vec<(Move, u64)>> {
    let step_ms = prop_oneof![Just(0), 1_u64..50, 50_u64..2_000, 2_000_u64..700_000];
    let one = prop_oneof![
        8 => Just(Move::Helpful),
        2 => any::<prop::sample::Index>().prop_map(Move::Any),
        1 => prop::sample::select(DeadlineKind::ALL.to_vec()).prop_map(Move::Deadline),
        1 => Just(Move::Time),
    ];
    prop::collection::vec((one, step_ms), 0..80)
}

fn helpful(machine: &Machine, ms: u64, line_seen: bool) -> Event {
    let pick = |events: Vec<Event>| {
        let index = usize::try_from(ms).unwrap_or(0) % events.len();
        events.into_iter().nth(index).expect("the index is in range")
    };
    match machine.state() {
        State::Preparing => Event::Prepared {
            accelerator: "kvm".to_owned(),
            scale_percent: 100,
        },
        State::Resuming => pick(vec![probed(ProbeClass::LoggedIn), status(GuestStatus::Running)]),
        State::Booting => pick(vec![
            marker(),
            status(GuestStatus::Running),
            stable(),
            seen(Mark::Kernel),
        ]),
        State::MarkerSeen => stable(),
        State::SshStable | State::Triaged => status(GuestStatus::Running),
        State::Installing if line_seen => pick(vec![until_line(77), ended(0)]),
        State::Installing => pick(vec![Event::CommandProgressed, pass_line()]),
        State::PoweringDown => shut_down(true, "guest-shutdown"),
        State::Exiting | State::Discarding => Event::QemuEnded(ProcessEnd::Exited { code: 0 }),
        State::Releasing => Event::ImagesReleased,
        State::BootingDisk => pick(vec![
            seen(Mark::UnlockPrompt),
            seen(Mark::Kernel),
            status(GuestStatus::Running),
        ]),
        State::Unlocking => seen(Mark::Userspace),
        State::Verifying => pick(vec![seen(Mark::Target), status(GuestStatus::Running), stable()]),
        State::Stopping | State::Pausing => status(GuestStatus::Paused),
        State::Capturing => Event::Captured { missing: Vec::new() },
        State::Saving | State::Checkpointing => pick(vec![
            Event::CheckpointProgressed {
                done_bytes: 1,
                total_bytes: 2,
            },
            Event::CheckpointSaved { size_bytes: 1 },
        ]),
        State::Held | State::Finished => Event::DeadlinePassed(DeadlineKind::Hold),
    }
}

/// A machine that is watched at every step.
struct Watched {
    machine: Machine,
    plan: Arc<Plan>,
    now: Instant,
    place: State,
    decided: Option<Verdict>,
    decisions: usize,
    began: Vec<usize>,
    ended: Vec<usize>,
    /// The command has printed what the stage waits for.
    line_seen: bool,
}

impl Watched {
    fn start(plan: Plan, part: Part) -> Self {
        let plan = Arc::new(plan);
        let now = Instant::now();
        let mut watched = Self {
            machine: Machine::of_part(plan.clone(), HOLD, part),
            now,
            place: State::Preparing,
            decided: None,
            decisions: 0,
            began: vec![0; plan.stages.len()],
            ended: vec![0; plan.stages.len()],
            line_seen: false,
            plan,
        };
        let effects = watched.machine.start(now);
        watched.look(&effects);
        watched
    }

    fn step(&mut self, step: &Move, ms: u64) {
        self.now += Duration::from_millis(ms);
        let finished = self.machine.state() == State::Finished;
        let effects = match step {
            Move::Helpful => self
                .machine
                .handle(self.now, &helpful(&self.machine, ms, self.line_seen)),
            Move::Any(index) => self.machine.handle(self.now, index.get(&EVENTS)),
            // A deadline that is not armed can't pass.
            Move::Deadline(kind) if !self.machine.deadlines().is_armed(*kind) => Vec::new(),
            Move::Deadline(kind) => self.machine.handle(self.now, &Event::DeadlinePassed(*kind)),
            Move::Time => self.machine.expire(self.now),
        };
        assert!(
            !finished || effects.is_empty(),
            "a run that has ended asks for {effects:?}"
        );
        self.look(&effects);
    }

    fn look(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Record(record) = effect {
                self.read(record);
            }
        }
        self.the_verdict_stands();
        let kinds: BTreeSet<_> = self.machine.deadlines().iter().map(|armed| armed.kind).collect();
        let armed = self.machine.deadlines().iter().count();
        assert!(
            armed == kinds.len() && armed <= ARMED_MAX,
            "{:?}",
            self.machine.deadlines()
        );
        assert_eq!(
            self.machine.state() == State::Finished,
            armed == 0,
            "{:?}",
            self.machine.state()
        );
    }

    fn read(&mut self, record: &Record) {
        match record {
            Record::Transition { from, to, event, .. } => {
                assert_eq!(*from, self.place, "the trace has a gap");
                assert!(
                    from != to || *event == "stage-completed",
                    "{from:?} is entered again by {event}"
                );
                assert!(!event.is_empty(), "{from:?} → {to:?} without a reason");
                self.place = *to;
                self.line_seen &= *to != State::Installing;
            }
            Record::StageBegan { stage } => self.began[*stage] += 1,
            Record::StageEnded {
                stage,
                outcome,
                reached,
            } => {
                self.ended[*stage] += 1;
                let report = &self.machine.reports()[*stage];
                assert_eq!((report.outcome, report.reached), (*outcome, *reached));
                let claims = self.plan.stages[*stage].claims;
                assert!(
                    *outcome != StageOutcome::Passed || *reached >= Some(claims),
                    "passed below its claim"
                );
            }
            Record::Decided(_) => self.decisions += 1,
            Record::Note { what, .. } => self.line_seen |= *what == "pass-line-seen",
            Record::DeadlineNear { .. } => {}
        }
    }

    fn the_verdict_stands(&mut self) {
        let now = self.machine.verdict();
        assert_eq!(self.decisions, usize::from(now.is_some()), "one record a verdict");
        let (Some(before), Some(now)) = (&self.decided, now) else {
            self.decided = now.cloned();
            return;
        };
        assert!(now.confirmed_by.starts_with(&before.confirmed_by), "{now:?}");
        let mut unconfirmed = now.clone();
        unconfirmed.confirmed_by.clone_from(&before.confirmed_by);
        assert_eq!(&unconfirmed, before, "a verdict has changed");
        self.decided = Some(now.clone());
    }

    fn time_ends_it(&mut self) {
        let mut steps = 0;
        while let Some(at) = self.machine.next_deadline() {
            self.now = self.now.max(at);
            let effects = self.machine.expire(self.now);
            self.look(&effects);
            steps += 1;
            assert!(steps < LAST_STEPS_MAX, "no end in {:?}", self.machine.state());
        }
        assert_eq!((self.machine.state(), self.decisions), (State::Finished, 1));
    }

    fn the_end_is_consistent(&self) {
        let verdict = self.machine.verdict().expect("decided");
        let outcomes: Vec<_> = self.machine.reports().iter().map(|report| report.outcome).collect();
        let is_good = |outcome: &StageOutcome| matches!(outcome, StageOutcome::Passed | StageOutcome::NotTested);
        let all_passed = outcomes[self.machine.part().stages(&self.plan)].iter().all(is_good);
        assert!(verdict.class != Class::Passed || all_passed, "{outcomes:?}");
        for (stage, report) in self.machine.reports().iter().enumerate() {
            let begun = usize::from(report.began.is_some());
            let ended = usize::from(report.ended.is_some());
            assert_eq!((self.began[stage], self.ended[stage]), (begun, ended), "stage {stage}");
            assert_eq!(
                report.outcome == StageOutcome::NotReached,
                ended == 0,
                "stage {stage}: {report:?}"
            );
            assert!(ended <= begun, "stage {stage}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_promises_hold_in_any_run(moves in moves(), encrypted in any::<bool>(), part in any::<prop::sample::Index>()) {
        let plan = representative_plan(encrypted);
        let parts = representative_parts(&plan, encrypted);
        let mut watched = Watched::start(plan, part.get(&parts).clone());
        for (step, ms) in &moves {
            watched.step(step, *ms);
        }
        watched.time_ends_it();
        watched.the_end_is_consistent();
    }
}

/// What each stage comes to, and how far it reaches, when nothing goes wrong.
fn helped(plan: &Plan, part: Part) -> (Machine, Vec<(StageOutcome, Option<Evidence>)>) {
    let mut watched = Watched::start(plan.clone(), part);
    for ms in 0..200 {
        watched.step(&Move::Helpful, ms);
    }
    let (machine, stages) = (watched.machine, watched.ended.len());
    assert_eq!(machine.state(), State::Finished, "{:?}", machine.part());
    let class = machine.verdict().map(|verdict| verdict.class);
    assert_eq!(class, Some(Class::Passed), "{:?}", machine.part());
    let of_stage = |stage: usize| (machine.reports()[stage].outcome, machine.reports()[stage].reached);
    let reports = (0..stages).map(of_stage).collect();
    (machine, reports)
}

#[test]
fn help_alone_leads_to_a_pass_and_one_run_or_one_a_stage_come_to_the_same() {
    // Else the walks above would only ever see failures.
    for encrypted in [false, true] {
        let plan = representative_plan(encrypted);
        let (_, whole) = helped(&plan, Part::Whole);
        let mut left = None;
        for stage in 0..plan.stages.len() {
            let (machine, reports) = helped(&plan, Part::Stage(Box::new(Step { stage, left })));
            assert_eq!(reports[stage], whole[stage], "encrypted: {encrypted}, stage {stage}");
            left = Some(machine.left());
        }
    }
}
