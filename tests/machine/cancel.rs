//! A person or a CI runner stops the run.

use bootgate::machine::{Class, Effect, EndMode, Event, Machine, Mark, Part, State, StopSignal};
use bootgate::plan::{FailurePolicy, Plan};

use crate::plans;
use crate::words::{cancel, ended, marker, pass_line, seen, stable};
use crate::world::{HOLD, Habits, World};

/// A world in each state of a run, reached by what a run does.
fn worlds() -> Vec<World> {
    let mut worlds = Vec::new();
    let mut keep_part = |plan: Plan, part: Part, habits: Habits, events: Vec<(u64, Event)>, states: &[State]| {
        let mut world = World::of_part(plan, part, habits);
        for (at, event) in events {
            world.plan(at, event);
        }
        for state in states {
            world.run_into(*state);
            worlds.push(world.clone());
        }
    };
    let step = vec![(10_000, marker()), (14_000, stable())];
    let saved = [State::Pausing, State::Checkpointing];
    keep_part(plans::gate(), plans::step(0), Habits::default(), step, &saved);
    keep_part(
        plans::gate(),
        plans::step(1),
        Habits::default(),
        Vec::new(),
        &[State::Resuming],
    );
    let mut keep = |plan, habits, events, states: &[State]| keep_part(plan, Part::Whole, habits, events, states);
    let gate = vec![
        (10_000, marker()),
        (14_000, stable()),
        (20_000, pass_line()),
        (21_000, ended(0)),
    ];
    let live = [
        State::Preparing,
        State::Booting,
        State::MarkerSeen,
        State::SshStable,
        State::Installing,
        State::Triaged,
    ];
    keep(plans::gate(), Habits::default(), gate.clone(), &live);
    let handover = [
        State::PoweringDown,
        State::Exiting,
        State::Releasing,
        State::BootingDisk,
    ];
    keep(plans::gate(), Habits::default(), gate, &handover);
    let installed = vec![(5_000, seen(Mark::UnlockPrompt)), (9_000, seen(Mark::Userspace))];
    keep(
        plans::installed(true, false),
        Habits::default(),
        installed,
        &[State::Unlocking, State::Verifying],
    );
    let mut held = plans::boot_only();
    held.on_failure = Some(FailurePolicy::Hold);
    keep(
        held,
        Habits::default(),
        vec![(1_000, Event::GuestPanicked)],
        &[State::Stopping, State::Capturing, State::Held],
    );
    let mut saved = plans::boot_only();
    saved.on_failure = Some(FailurePolicy::Bundle);
    let last = [State::Saving, State::Discarding];
    keep(saved, Habits::default(), vec![(1_000, Event::GuestPanicked)], &last);
    worlds
}

fn ends_asked(world: &World) -> Vec<&EndMode> {
    let ends = world.effects.iter().filter_map(|(_, effect)| match effect {
        Effect::EndQemu(mode) => Some(mode),
        _ => None,
    });
    ends.collect()
}

#[test]
fn a_cancelled_run_is_gone_within_five_seconds_in_every_state() {
    let worlds = worlds();
    assert_eq!(worlds.len(), State::ALL.len() - 1, "one of each but the last");
    for habits in [
        Habits::default(),
        Habits {
            stops: None,
            captures: false,
            ..Habits::default()
        },
    ] {
        for mut world in worlds.clone() {
            let state = world.machine.state();
            let before = world.machine.verdict().cloned();
            world.habits = habits.clone();
            let asked_ms = world.now_ms;
            world.plan(asked_ms, cancel(StopSignal::Interrupt));
            world.run();
            let took = world.records.last().expect("a record").0 - asked_ms;
            assert!(took <= 5_000, "{state:?} took {took} ms\n{}", world.trace());
            match before {
                Some(before) => assert_eq!(world.verdict().cause, before.cause, "{state:?}"),
                None => assert_eq!(world.verdict().exit_code(), 130, "{state:?}\n{}", world.trace()),
            }
        }
    }
}

#[test]
fn the_exit_code_follows_the_signal() {
    let rows = [
        (StopSignal::Interrupt, 130),
        (StopSignal::Terminate, 143),
        (StopSignal::HangUp, 129),
    ];
    for (signal, code) in rows {
        let mut world = World::new(plans::gate(), Habits::default());
        world.plan(1_000, cancel(signal));
        world.run();
        let verdict = world.verdict();
        assert_eq!((verdict.exit_code(), verdict.detail.as_str()), (code, signal.name()));
        assert_eq!(verdict.class, Class::Cancelled);
    }
}

#[test]
fn a_cancelled_run_is_not_held() {
    let mut plan = plans::boot_only();
    plan.on_failure = Some(FailurePolicy::Hold);
    let mut world = World::new(plan, Habits::default());
    world.plan(1_000, cancel(StopSignal::Interrupt));
    world.run();
    assert!(!world.trace().contains("Held"), "{}", world.trace());
    assert!(!HOLD.is_zero());
}

#[test]
fn a_second_signal_kills_at_once_and_changes_nothing_else() {
    for mut world in worlds() {
        let state = world.machine.state();
        world.habits = Habits {
            stops: None,
            captures: false,
            ends: false,
            ..Habits::default()
        };
        world.forget_plans();
        let (first_ms, second_ms) = (world.now_ms, world.now_ms + 300);
        world.plan(first_ms, cancel(StopSignal::Interrupt));
        world.plan(second_ms, cancel(StopSignal::Terminate));
        world.run_to(second_ms);
        assert_eq!(
            ends_asked(&world).last(),
            Some(&&EndMode::Kill),
            "{state:?}\n{}",
            world.trace()
        );
        assert_ne!(world.verdict().exit_code(), 143, "the first signal decides");
    }
}

#[test]
fn a_machine_without_an_end_is_left_behind_with_a_word_about_it() {
    let mut world = World::new(
        plans::boot_only(),
        Habits {
            ends: false,
            ..Habits::default()
        },
    );
    world.plan(1_000, Event::GuestPanicked);
    world.run();
    let remarks = |machine: &Machine| machine.reports()[0].remarks.join("\n");
    assert!(remarks(&world.machine).contains("bootgate reap"), "{}", world.trace());
    assert_eq!(world.verdict().cause, "kernel-panic");
}

#[test]
fn qemu_is_asked_to_end_once() {
    // The loss of QMP is known when the machine is being ended: that its own deadline passes then says nothing new.
    let mut world = World::new(
        plans::boot_only(),
        Habits {
            ends: false,
            ..Habits::default()
        },
    );
    world.plan(1_000, crate::words::qmp_lost());
    world.plan(1_100, Event::GuestPanicked);
    world.plan(1_200, cancel(StopSignal::Interrupt));
    world.run();
    assert_eq!(ends_asked(&world), [&EndMode::Kill], "{}", world.trace());
}
