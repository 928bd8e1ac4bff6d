//! What becomes of a machine that failed: its journal, its checkpoint, the hold.

use std::time::Duration;

use bootgate::machine::{Class, Effect, Event, GuestStatus, Mark, State};
use bootgate::plan::{FailurePolicy, Plan};

use crate::plans;
use crate::words::{cancel, ended, marker, rule, seen, stable};
use crate::world::{Habits, World};

fn with(policy: FailurePolicy, mut plan: Plan) -> Plan {
    plan.on_failure = Some(policy);
    plan
}

fn world(policy: FailurePolicy, habits: Habits, events: Vec<(u64, Event)>) -> World {
    let mut world = World::new(with(policy, plans::gate()), habits);
    for (at, event) in events {
        world.plan(at, event);
    }
    world
}

fn command_fails() -> Vec<(u64, Event)> {
    vec![(5_000, marker()), (6_000, stable()), (8_000, ended(1))]
}

#[test]
fn a_failed_machine_is_saved_after_its_evidence_and_before_its_end() {
    let mut world = world(FailurePolicy::Bundle, Habits::default(), command_fails());
    world.run();
    let order = [
        Effect::CollectJournal,
        Effect::StopGuest,
        Effect::Capture,
        Effect::SaveCheckpoint,
    ];
    let times: Vec<_> = order.iter().map(|effect| world.asked(effect)[0]).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(
        world.trace().contains("Saving → Discarding: checkpoint-saved ✓"),
        "{}",
        world.trace()
    );
    assert_eq!(world.verdict().cause, "command-failed");
}

#[test]
fn a_machine_that_can_not_be_saved_changes_nothing_of_the_verdict() {
    let mut saved = world(FailurePolicy::Bundle, Habits::default(), command_fails());
    let mut not_saved = world(
        FailurePolicy::Bundle,
        Habits {
            saves: Some(Err("the disk is full".to_owned())),
            ..Habits::default()
        },
        command_fails(),
    );
    let mut never = world(
        FailurePolicy::Bundle,
        Habits {
            saves: None,
            ..Habits::default()
        },
        command_fails(),
    );
    for world in [&mut saved, &mut not_saved, &mut never] {
        world.run();
    }
    assert_eq!(saved.verdict(), not_saved.verdict());
    assert_eq!(saved.verdict(), never.verdict());
    let remarks = |world: &World| world.machine.reports()[1].remarks.join("; ");
    assert!(
        remarks(&not_saved).contains("the disk is full"),
        "{}",
        remarks(&not_saved)
    );
    assert!(remarks(&never).contains("standstill"), "{}", remarks(&never));
    assert!(never.asked(&Effect::AbandonCheckpoint).len() == 1);
}

#[test]
fn progress_keeps_the_saving_alive() {
    let mut events = command_fails();
    events.extend((1..6).map(|step| {
        let progressed = Event::CheckpointProgressed {
            done_bytes: step,
            total_bytes: 6,
        };
        (8_000 + step * 8_000, progressed)
    }));
    events.push((56_000, Event::CheckpointSaved { size_bytes: 6 }));
    let habits = Habits {
        saves: None,
        ..Habits::default()
    };
    let mut world = world(FailurePolicy::Bundle, habits, events);
    world.run();
    assert!(world.trace().contains("56000 Saving → Discarding"), "{}", world.trace());
}

#[test]
fn a_guest_that_stands_still_is_not_asked_for_its_journal() {
    for event in [
        Event::GuestPanicked,
        Event::BlockIoFailed {
            node: "disk-target".to_owned(),
            no_space: true,
        },
    ] {
        let mut world = world(
            FailurePolicy::Discard,
            Habits::default(),
            vec![(5_000, marker()), (6_000, stable()), (7_000, event)],
        );
        world.run();
        assert_eq!(world.asked(&Effect::CollectJournal), Vec::<u64>::new());
        assert_eq!(world.asked(&Effect::StopGuest), [7_000]);
    }
}

#[test]
fn a_guest_that_does_not_let_us_in_is_stopped_at_once() {
    let mut world = world(FailurePolicy::Discard, Habits::default(), vec![(1_000, marker())]);
    world.run();
    assert_eq!(world.asked(&Effect::CollectJournal), Vec::<u64>::new());
}

#[test]
fn the_console_is_asked_for_the_journal_after_the_last_words() {
    let fatal = seen(Mark::Rule(rule(Class::Failed, true), Vec::new()));
    let mut world = world(FailurePolicy::Discard, Habits::default(), vec![(2_000, fatal)]);
    world.run();
    assert_eq!(world.asked(&Effect::CollectJournal), [3_000]);
}

#[test]
fn a_hold_ends_when_it_is_released_or_expires_and_can_be_extended() {
    let held_until = |events: Vec<(u64, Event)>| {
        let mut all = vec![(1_000, Event::GuestPanicked)];
        all.extend(events);
        let mut world = world(FailurePolicy::Hold, Habits::default(), all);
        world.run_into(State::Discarding);
        assert_eq!(world.asked(&Effect::OpenHold).len(), 1);
        (world.now_ms, world.verdict().exit_code())
    };
    let (expires, code) = held_until(vec![]);
    assert!((1_801_000..1_802_000).contains(&expires), "{expires}");
    assert_eq!(code, 1);
    assert_eq!(held_until(vec![(60_000, Event::HoldReleased)]), (60_000, 1));
    let limit = Duration::from_secs(10);
    assert_eq!(held_until(vec![(60_000, Event::HoldExtended { limit })]), (70_000, 1));
    let interrupt = cancel(bootgate::machine::StopSignal::Interrupt);
    assert_eq!(
        held_until(vec![(60_000, interrupt)]),
        (60_000, 1),
        "the verdict's exit code stays"
    );
}

#[test]
fn what_a_person_does_to_a_held_machine_decides_nothing() {
    let mut world = world(
        FailurePolicy::Hold,
        Habits::default(),
        vec![
            (1_000, Event::GuestPanicked),
            (10_000, Event::StatusObserved(GuestStatus::Running)),
            (11_000, Event::GuestReset { by_guest: true }),
            (12_000, crate::words::shut_down(true, "guest-shutdown")),
            (13_000, marker()),
        ],
    );
    world.run_to(20_000);
    assert_eq!(world.machine.state(), State::Held);
    assert_eq!(world.verdict().cause, "kernel-panic");
}
