//! Resets: which ones are one, which are a loop.

use bootgate::machine::{Event, Mark};

use crate::plans;
use crate::scenario::Scenario;
use crate::words::{marker, reset, seen, stable};

fn notes(trace: &str) -> usize {
    trace.lines().filter(|line| line.contains("· guest-reset")).count()
}

#[test]
fn two_events_of_one_reset_are_one_reset() {
    let events = vec![(1_000, reset()), (1_100, reset()), (9_000, marker())];
    let world = Scenario::new("debounce", plans::marker_only(), events)
        .comes_to("passed every-claim-proved boot-live Releasing")
        .check();
    assert_eq!(notes(&world.trace()), 1, "{}", world.trace());
    assert!(world.machine.reports()[0].remarks[0].contains("reset number 1"));
}

#[test]
fn the_debounce_ends_after_half_a_second() {
    for (gap_ms, resets) in [(499, 1), (500, 2), (501, 2)] {
        let events = vec![(1_000, reset()), (1_000 + gap_ms, reset()), (9_000, marker())];
        let world = Scenario::new("the gap", plans::marker_only(), events)
            .comes_to("passed every-claim-proved boot-live Releasing")
            .check();
        assert_eq!(notes(&world.trace()), resets, "{gap_ms} ms");
    }
}

#[test]
fn resets_from_outside_do_not_count() {
    let mut events: Vec<_> = (1..9)
        .map(|n| (n * 1_000, Event::GuestReset { by_guest: false }))
        .collect();
    events.push((9_500, marker()));
    Scenario::new("QEMU's own", plans::marker_only(), events)
        .comes_to("passed every-claim-proved boot-live Releasing")
        .check();
}

#[test]
fn the_fourth_reset_before_a_kernel_is_a_loop() {
    let resets = |count: u64| (1..=count).map(|n| (n * 10_000, reset())).collect::<Vec<_>>();
    let mut three = resets(3);
    three.push((60_000, marker()));
    Scenario::new("three", plans::marker_only(), three)
        .comes_to("passed every-claim-proved boot-live Releasing")
        .check();
    let world = Scenario::new("four", plans::boot_only(), resets(4))
        .by("40000 Booting → Stopping: guest-reset")
        .comes_to("failed reset-loop boot-live Booting")
        .check();
    assert_eq!(world.verdict().detail, "reset number 4 of this machine");
}

#[test]
fn a_kernel_may_reset_once() {
    let kernel_then_reset = |at| [(at, seen(Mark::Kernel)), (at + 5_000, reset())];
    let mut once: Vec<_> = kernel_then_reset(1_000).into();
    once.push((30_000, marker()));
    Scenario::new("once", plans::marker_only(), once)
        .comes_to("passed every-claim-proved boot-live Releasing")
        .check();
    let twice = [kernel_then_reset(1_000), kernel_then_reset(10_000)].concat();
    Scenario::new("twice", plans::boot_only(), twice)
        .by("6000 · guest-reset: reset number 1 of this machine
            15000 Booting → Stopping: guest-reset")
        .comes_to("failed reset-loop boot-live Booting")
        .check();
}

#[test]
fn a_guest_that_is_up_may_not_reset() {
    let mut plan = plans::gate();
    plan.stages.truncate(2);
    for (way, verdict) in [
        (marker(), "failed unexpected-reset boot-live MarkerSeen"),
        (stable(), "failed unexpected-reset export Installing"),
    ] {
        let events = vec![(5_000, way), (9_000, reset())];
        Scenario::new("up", plan.clone(), events).comes_to(verdict).check();
    }
}
