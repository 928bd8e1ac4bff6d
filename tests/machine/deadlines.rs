//! Every kind of deadline: it warns once, passes exactly at its limit, and is scaled and extended if the guest's speed
//! decides it.

use std::time::{Duration, Instant};

use bootgate::machine::{
    Armed, Class, DeadlineKind, Effect, Event, GuestStatus, Machine, Mark, ProbeClass, Record, StopSignal, opened_plan,
};
use bootgate::plan::{FailurePolicy, Plan};

use crate::plans;
use crate::words::{cancel, ended, marker, pass_line, probed, qmp_lost, seen, stable, stalled, until_line};
use crate::world::{Habits, World};

const MS: Duration = Duration::from_millis(1);

/// A millisecond before a moment.
fn before(at: Instant) -> Instant {
    at.checked_sub(MS)
        .expect("the origin is long after the start of the clock")
}

/// How a kind of deadline comes to be armed, and what must be true of it.
struct Row {
    kind: DeadlineKind,
    plan: Plan,
    habits: Habits,
    events: Vec<(u64, Event)>,
    /// Without scaling.
    limit_ms: u64,
    /// What the transition is called that it makes.
    event: &'static str,
}

fn row(kind: DeadlineKind, limit_ms: u64, event: &'static str, plan: Plan, events: Vec<(u64, Event)>) -> Row {
    Row {
        kind,
        plan,
        habits: Habits::default(),
        events,
        limit_ms,
        event,
    }
}

impl Row {
    fn habits(mut self, change: impl FnOnce(&mut Habits)) -> Self {
        change(&mut self.habits);
        self
    }

    /// The world at the moment at which the deadline has just been armed.
    fn armed(&self, scale_percent: u32) -> (World, Armed) {
        let mut habits = self.habits.clone();
        habits.prepares = habits.prepares.map(|_| scale_percent);
        let mut world = World::new(self.plan.clone(), habits);
        for (at, event) in &self.events {
            world.plan(*at, event.clone());
        }
        let mut ms = 0;
        loop {
            let armed = world.machine.deadlines().iter().find(|armed| armed.kind == self.kind);
            if let Some(armed) = armed.copied() {
                return (world, armed);
            }
            assert!(ms < 60_000, "{:?} is not armed\n{}", self.kind, world.trace());
            ms += 1;
            world.run_to(ms);
        }
    }

    fn limit(&self, scale_percent: u32) -> Duration {
        let scale = if self.kind.faces_guest() {
            u64::from(scale_percent)
        } else {
            100
        };
        Duration::from_millis(self.limit_ms * scale / 100)
    }
}

/// Saving goes on, but never ends.
fn slowly() -> impl Iterator<Item = (u64, Event)> {
    (1..40).map(|step| {
        let event = Event::CheckpointProgressed {
            done_bytes: step,
            total_bytes: 100,
        };
        (step * 5_000, event)
    })
}

#[allow(clippy::too_many_lines, reason = "a table of one row a kind")]
fn rows() -> Vec<Row> {
    use DeadlineKind as Kind;
    let panic = || vec![(1_000, Event::GuestPanicked)];
    let mut held = plans::boot_only();
    held.on_failure = Some(FailurePolicy::Hold);
    let mut saved = plans::boot_only();
    saved.on_failure = Some(FailurePolicy::Bundle);
    let mut command = plans::gate();
    command.stages.truncate(2);
    let answered = vec![(5_000, marker()), (6_000, probed(ProbeClass::Broken))];
    let prompt = vec![(5_000, seen(Mark::Kernel)), (6_000, seen(Mark::LoginPrompt))];
    let up = || vec![(5_000, marker())];
    vec![
        row(Kind::Prepare, 120_000, "deadline-prepare", plans::gate(), vec![]).habits(|h| h.prepares = None),
        row(
            Kind::Stage,
            600_000,
            "deadline-stage",
            plans::boot_only(),
            vec![(1_000, Event::ConsoleSpoke)],
        ),
        row(Kind::Confirm, 10_000, "deadline-confirm", plans::boot_only(), up()).habits(|h| h.status = None),
        row(
            Kind::Access,
            60_000,
            "deadline-access",
            opened_plan(),
            vec![(5_000, seen(Mark::LoginPrompt))],
        ),
        row(Kind::SshAppear, 60_000, "deadline-ssh-appear", plans::boot_only(), up()),
        row(
            Kind::SshStable,
            90_000,
            "deadline-ssh-stable",
            plans::boot_only(),
            answered,
        ),
        row(
            Kind::NoProgress,
            120_000,
            "deadline-no-progress",
            command,
            vec![(5_000, stable())],
        ),
        row(
            Kind::EndCommand,
            30_000,
            "until-line-seen",
            crate::stages::until(),
            vec![(5_000, stable()), (6_000, pass_line()), (7_000, until_line(77))],
        ),
        row(
            Kind::PowerDown,
            30_000,
            "deadline-power-down",
            plans::fresh_machines(),
            vec![(5_000, stable())],
        )
        .habits(|h| h.powers_down = None),
        row(Kind::Exit, 10_000, "deadline-exit", plans::marker_only(), up()).habits(|h| h.ends = false),
        row(Kind::Release, 10_000, "deadline-release", plans::marker_only(), up()).habits(|h| h.releases = false),
        row(
            Kind::Unlock,
            30_000,
            "deadline-unlock",
            plans::installed(true, false),
            vec![(5_000, seen(Mark::UnlockPrompt))],
        ),
        row(
            Kind::LoginSettle,
            20_000,
            "deadline-login-settle",
            plans::installed(false, false),
            prompt,
        ),
        row(
            Kind::QmpGone,
            2_000,
            "qmp-lost",
            plans::boot_only(),
            vec![(5_000, qmp_lost())],
        ),
        row(
            Kind::IoCause,
            2_000,
            "deadline-io-cause",
            plans::boot_only(),
            vec![(5_000, Event::StatusObserved(GuestStatus::IoError))],
        ),
        row(
            Kind::LastWords,
            1_000,
            "collect-journal",
            plans::boot_only(),
            vec![(
                5_000,
                seen(crate::words::by_rule(crate::words::rule(Class::Failed, true))),
            )],
        ),
        row(Kind::Stop, 3_000, "deadline-stop", plans::boot_only(), panic()).habits(|h| h.stops = None),
        row(Kind::Capture, 10_000, "deadline-capture", plans::boot_only(), panic()).habits(|h| h.captures = false),
        row(
            Kind::Save,
            120_000,
            "deadline-save",
            saved.clone(),
            panic().into_iter().chain(slowly()).collect(),
        )
        .habits(|h| h.saves = None),
        row(Kind::SaveProgress, 10_000, "deadline-save-progress", saved, panic()).habits(|h| h.saves = None),
        row(
            Kind::Journal,
            3_000,
            "stop-guest",
            plans::gate(),
            vec![(5_000, marker()), (6_000, stable()), (7_000, ended(1))],
        )
        .habits(|h| h.tells = false),
        row(Kind::Hold, 1_800_000, "deadline-hold", held, panic()),
        row(Kind::Discard, 10_000, "deadline-discard", plans::boot_only(), panic()).habits(|h| h.ends = false),
    ]
}

/// The transition that time alone makes at a moment.
fn transition_at(machine: &Machine, at: Instant) -> Option<&'static str> {
    let effects = machine.clone().expire(at);
    effects.iter().find_map(|effect| match effect {
        Effect::Record(Record::Transition { event, .. }) => Some(*event),
        // The deadlines that change no state: the guest has had its last words, and been asked for its journal.
        Effect::CollectJournal => Some("collect-journal"),
        Effect::StopGuest => Some("stop-guest"),
        _ => None,
    })
}

#[test]
fn there_is_a_row_for_every_kind() {
    let kinds: Vec<_> = rows().iter().map(|row| row.kind).collect();
    assert_eq!(kinds, DeadlineKind::ALL);
}

#[test]
fn every_deadline_passes_exactly_at_its_limit_scaled_where_the_guest_decides() {
    for row in rows() {
        for scale_percent in [50, 100, 400] {
            let (mut world, armed) = row.armed(scale_percent);
            let kind = row.kind;
            assert_eq!(
                armed.at - armed.since,
                row.limit(scale_percent),
                "{kind:?} at {scale_percent} %"
            );
            world.run_to(world.ms(before(armed.at)));
            let at = |moment| transition_at(&world.machine, moment);
            assert_eq!(at(before(armed.at)), None, "{kind:?} too early\n{}", world.trace());
            assert_eq!(at(armed.at), Some(row.event), "{kind:?}\n{}", world.trace());
            assert_eq!(at(armed.at + MS), Some(row.event), "{kind:?}");
        }
    }
}

#[test]
fn every_deadline_warns_once_before_it_passes() {
    for row in rows() {
        let (mut world, armed) = row.armed(100);
        let kind = row.kind;
        if !kind.warns() {
            assert_eq!(armed.warn_at, None, "{kind:?}");
            continue;
        }
        let part = if kind == DeadlineKind::Stage {
            (360, 600)
        } else {
            (3, 4)
        };
        let warn_at = armed.since + row.limit(100) * part.0 / part.1;
        assert_eq!(armed.warn_at, Some(warn_at), "{kind:?}");
        let warnings = |world: &World| {
            let near = world.records.iter().filter_map(|(_, record)| match record {
                Record::DeadlineNear { kind: near, left, .. } if *near == kind => Some(*left),
                _ => None,
            });
            near.collect::<Vec<_>>()
        };
        world.run_to(world.ms(before(warn_at)));
        assert_eq!(warnings(&world), [], "{kind:?} warns too early");
        world.run_to(world.ms(warn_at));
        assert_eq!(warnings(&world), [armed.at - warn_at], "{kind:?}");
        world.run_to(world.ms(armed.at));
        assert_eq!(warnings(&world).len(), 1, "{kind:?}\n{}", world.trace());
    }
}

#[test]
fn a_cancelled_run_gets_less_time() {
    for (kind, limit_ms) in [(DeadlineKind::Stop, 1_000), (DeadlineKind::Capture, 1_500)] {
        let events = vec![(1_000, cancel(StopSignal::Interrupt))];
        let row = row(kind, limit_ms, "", plans::boot_only(), events).habits(|habits| {
            habits.captures = false;
        });
        let (_, armed) = row.armed(400);
        assert_eq!(armed.at - armed.since, Duration::from_millis(limit_ms), "{kind:?}");
    }
}

#[test]
fn a_stall_of_the_host_is_given_back_once_to_what_the_guest_decides() {
    for row in rows() {
        let (mut world, armed) = row.armed(100);
        world.run_to(world.ms(before(armed.at)));
        let late = world.at(world.now_ms + 5_000);
        let stalled_by_5_secs = world.machine.handle(late, &stalled(5));
        let noted = stalled_by_5_secs.iter().any(|effect| {
            matches!(effect, Effect::Record(Record::Note { what: "host-stalled", detail, .. }) if detail == "5.0 s")
        });
        assert!(noted, "{:?}: {stalled_by_5_secs:?}", row.kind);
        let given_back = if row.kind.faces_guest() {
            Duration::from_secs(5)
        } else {
            Duration::ZERO
        };
        let at = armed.at + given_back;
        let transition = |moment| transition_at(&world.machine, moment);
        if row.kind.faces_guest() {
            assert_eq!(transition(before(at)), None, "{:?}", row.kind);
        }
        assert_eq!(transition(at), Some(row.event), "{:?}", row.kind);
    }
}

#[test]
fn a_stall_gives_back_ten_minutes_at_most() {
    let row = &rows()[1];
    assert_eq!(row.kind, DeadlineKind::Stage);
    let (mut world, armed) = row.armed(100);
    world.run_to(2_000);
    world.machine.handle(world.at(3_602_000), &stalled(3_600));
    let left = world.machine.deadlines().left(DeadlineKind::Stage, armed.at);
    assert_eq!(left, Some(Duration::from_secs(600)));
}

#[test]
fn output_puts_the_silence_of_a_command_off() {
    let mut plan = plans::gate();
    plan.stages.truncate(2);
    let mut world = World::new(plan, Habits::default());
    world.plan(5_000, stable());
    // Each just in time; the last one is followed by silence.
    let outputs: Vec<_> = (0..4).map(|n| 5_010 + 119_999 * n).collect();
    for at in &outputs[1..] {
        world.plan(*at, Event::CommandProgressed);
    }
    world.run();
    let silence = outputs[3] + 120_000;
    assert!(
        world
            .trace()
            .contains(&format!("{silence} Installing → Stopping: deadline-no-progress")),
        "{}",
        world.trace()
    );
    assert_eq!(world.verdict().cause, "command-silent");
    // A warning for each silence that came close.
    assert_eq!(world.trace().matches("! no-progress").count(), 4);
}

#[test]
fn the_time_of_a_stage_runs_through_all_its_states() {
    let mut plan = plans::gate();
    plan.stages.truncate(2);
    let plan = plans::within(plan, Duration::from_secs(100), Duration::from_secs(50));
    let mut world = World::new(plan, Habits::default());
    world.plan(60_000, stable());
    for second in 61..300 {
        world.plan(second * 1_000, Event::CommandProgressed);
    }
    world.run();
    // 100 seconds for the first stage began at 5 ms; those of the second when the first was done.
    let trace = world.trace();
    assert!(trace.contains("50005 ! stage in 50000 ms"), "{trace}");
    assert!(
        trace.contains("160005 Installing → Stopping: deadline-stage"),
        "{trace}"
    );
    assert_eq!(world.verdict().cause, "command-timeout");
}

#[test]
fn a_timeout_of_the_boot_says_how_far_it_came() {
    let kernel = vec![(1_000, Event::ConsoleSpoke), (2_000, seen(Mark::Kernel))];
    let answers = vec![(1_000, probed(ProbeClass::Broken))];
    for (events, cause) in [
        (vec![], "no-serial-console"),
        (vec![(1_000, Event::ConsoleSpoke)], "boot-timeout"),
        (kernel, "no-marker"),
        (answers, "boot-timeout"),
    ] {
        let mut world = World::new(plans::boot_only(), Habits::default());
        for (at, event) in events {
            world.plan(at, event);
        }
        world.run();
        assert_eq!(world.verdict().cause, cause, "{}", world.trace());
    }
}
