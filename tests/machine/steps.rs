//! One stage as a run of its own, in virtual time.

use bootgate::machine::{Event, GuestStatus, IdentityFault, Left, Part, ProbeClass, State, Step};
use bootgate::plan::{Evidence, VmUse};

use crate::plans::{self, gate, step};
use crate::words::{ended, identity, marker, pass_line, probed, stable};
use crate::world::{Habits, World};

/// Plays a stage of the gate by itself, to its end.
fn played(part: Part, habits: Habits, events: Vec<(u64, Event)>) -> World {
    played_of(gate(), part, habits, events)
}

fn played_of(plan: bootgate::plan::Plan, part: Part, habits: Habits, events: Vec<(u64, Event)>) -> World {
    let mut world = World::of_part(plan, part, habits);
    for (at, event) in events {
        world.plan(at, event);
    }
    world.run();
    assert_eq!(world.machine.state(), State::Finished, "{}", world.trace());
    world
}

#[track_caller]
fn comes_to(world: &World, verdict: &str, trace: &str) {
    let told = world.verdict();
    let told = format!("{} {} {}", told.class.as_str(), told.cause, told.state.name());
    assert_eq!(told, verdict, "{}", world.trace());
    let lines = world.trace();
    let mut lines = lines.lines();
    for wanted in trace.lines().map(str::trim).filter(|line| !line.is_empty()) {
        assert!(lines.any(|line| line == wanted), "lacks {wanted}\n{}", world.trace());
    }
}

fn up() -> Vec<(u64, Event)> {
    vec![(10_000, marker()), (14_000, stable())]
}

fn installs(from_ms: u64) -> Vec<(u64, Event)> {
    vec![
        (from_ms, probed(ProbeClass::LoggedIn)),
        (from_ms + 1_000, pass_line()),
        (from_ms + 2_000, ended(0)),
    ]
}

#[test]
fn a_stage_leaves_its_machine_to_the_next_one() {
    let world = played(step(0), Habits::default(), up());
    comes_to(
        &world,
        "passed stage-proved Releasing",
        "14005 stage 0 passed, reached login
        14005 SshStable → Pausing: stage-completed ✓ query-status: running
        14010 Pausing → Checkpointing: guest-stopped ✓ query-status: paused
        14015 Checkpointing → Exiting: checkpoint-saved ✓ QMP MIGRATION: completed
        14025 Releasing → Finished: images-released",
    );
    let left = world.machine.left();
    assert_eq!(
        (left.reached, left.marker_seen, left.ssh_stable),
        (Some(Evidence::Login), true, true)
    );
}

#[test]
fn a_stage_goes_on_in_the_machine_that_was_left() {
    let world = played(step(1), Habits::default(), installs(1_000));
    comes_to(
        &world,
        "passed stage-proved Checkpointing",
        "5 Preparing → Resuming: restored ✓ QMP MIGRATION: completed; query-status: paused
        1005 Resuming → SshStable: resumed ✓ query-status: running; a login by the host key and in the boot of the checkpoint
        1010 SshStable → Installing: ready-for-command ✓ query-status: running
        3005 stage 1 passed, reached installed
        3005 Triaged → PoweringDown: outcome-classified ✓ query-status: running
        3115 Releasing → Checkpointing: images-released
        3120 Checkpointing → Finished: checkpoint-saved ✓ QEMU has ended; its files have digests",
    );
    assert_eq!(world.machine.reports()[0].began, None, "another run has done that");
}

#[test]
fn a_machine_whose_logins_were_not_stable_must_prove_them() {
    let left = Left {
        marker_seen: true,
        ..Left::default()
    };
    let part = Part::Stage(Box::new(Step {
        stage: 1,
        left: Some(left),
    }));
    let mut events = installs(1_000);
    events.push((1_500, stable()));
    let world = played(part, Habits::default(), events);
    comes_to(
        &world,
        "passed stage-proved Checkpointing",
        "1005 Resuming → MarkerSeen: resumed ✓ query-status: running
        1500 MarkerSeen → SshStable: ssh-stable ✓ 3 logins in a row over 2.0 s, one boot id, the machine's own UUID",
    );
}

#[test]
fn the_last_stage_ends_as_it_does_in_a_whole_run() {
    let mut plan = gate();
    plan.stages.truncate(2);
    let world = played_of(plan, step(1), Habits::default(), installs(1_000));
    comes_to(
        &world,
        "passed stage-proved Releasing",
        "3005 Triaged → Exiting: outcome-classified ✓ query-status: running",
    );
    assert!(!world.trace().contains("Checkpointing"), "{}", world.trace());
}

#[test]
fn a_fresh_machine_begins_with_power_on() {
    let mut plan = gate();
    plan.stages[1].vm = VmUse::Fresh;
    let mut events = up();
    events.extend([(20_000, pass_line()), (21_000, ended(0))]);
    let world = played_of(plan, step(1), Habits::default(), events);
    comes_to(
        &world,
        "passed stage-proved Checkpointing",
        "5 Preparing → Booting: prepared ✓ QMP negotiated; query-status: prelaunch",
    );
}

#[test]
fn a_restored_guest_that_is_silent_or_another_proves_nothing() {
    let silent = played(step(1), Habits::default(), vec![(1_000, probed(ProbeClass::NoAnswer))]);
    comes_to(
        &silent,
        "infrastructure restored-silent Resuming",
        "90005 Resuming → Stopping: deadline-ssh-stable",
    );
    // The login that names another boot is a login.
    let events = vec![
        (1_000, probed(ProbeClass::LoggedIn)),
        (1_000, identity(IdentityFault::WrongMachine)),
    ];
    let other = played(step(1), Habits::default(), events);
    comes_to(
        &other,
        "infrastructure wrong-machine Resuming",
        "1000 Resuming → Stopping: ssh-identity-fault",
    );
    let events = vec![(1_000, identity(IdentityFault::HostKeyChanged))];
    let changed = played(step(1), Habits::default(), events);
    comes_to(&changed, "failed host-key-changed Resuming", "");
}

#[test]
fn a_stage_that_has_passed_is_red_if_the_next_one_can_not_go_on() {
    let not_saved = |change: fn(&mut Habits), saved: &str, plan_step: Part, events| {
        let mut habits = Habits::default();
        change(&mut habits);
        let stage = plan_step.only_stage().unwrap();
        let world = played(plan_step, habits, events);
        comes_to(&world, saved, "");
        assert_eq!(
            world.machine.reports()[stage].outcome.as_str(),
            "passed",
            "{}",
            world.trace()
        );
    };
    let failed = "infrastructure checkpoint-failed Checkpointing";
    not_saved(|habits| habits.saves = None, failed, step(0), up());
    not_saved(
        |habits| habits.saves = Some(Err("full".to_owned())),
        failed,
        step(0),
        up(),
    );
    not_saved(
        |habits| habits.saves = Some(Err("full".to_owned())),
        failed,
        step(1),
        installs(1_000),
    );
    let failed = "infrastructure checkpoint-failed Pausing";
    not_saved(|habits| habits.stops = None, failed, step(0), up());
    not_saved(
        |habits| habits.stops = Some(GuestStatus::Panicked),
        failed,
        step(0),
        up(),
    );
}

#[test]
fn deadlines_start_anew_for_each_stage() {
    let plan = plans::within(
        gate(),
        std::time::Duration::from_secs(100),
        std::time::Duration::from_secs(60),
    );
    let events = vec![
        (1_000, probed(ProbeClass::LoggedIn)),
        (90_000, Event::CommandProgressed),
    ];
    let world = played_of(plan, step(1), Habits::default(), events);
    comes_to(
        &world,
        "failed command-timeout Installing",
        "100005 Installing → Stopping: deadline-stage",
    );
}
