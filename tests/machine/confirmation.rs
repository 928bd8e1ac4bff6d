//! Two signals for everything: what an event alone proves, and what a second one adds.

use bootgate::machine::{Class, Event, GuestStatus};

use crate::plans;
use crate::scenario::Scenario;
use crate::words::{by_rule, killed, marker, reset, rule, seen, shut_down};

#[test]
fn a_stop_alone_is_asked_about() {
    let world = Scenario::new("STOP", plans::boot_only(), vec![(5_000, Event::GuestStopped)])
        .habits(|habits| habits.status = Some(GuestStatus::Paused))
        .by("5005 Booting → Stopping: status-observed ✓ query-status: paused")
        .comes_to("infrastructure guest-paused boot-live Booting")
        .check();
    assert!(
        world
            .verdict()
            .confirmed_by
            .contains(&"query-status: paused".to_owned())
    );
    // Continued again by the time it is asked: nothing has happened.
    Scenario::new(
        "STOP and RESUME",
        plans::marker_only(),
        vec![(5_000, Event::GuestStopped), (9_000, marker())],
    )
    .comes_to("passed every-claim-proved boot-live Releasing")
    .check();
}

#[test]
fn a_marker_of_a_guest_that_dies_proves_nothing() {
    let events = vec![(5_000, marker()), (5_003, Event::QemuEnded(killed()))];
    let world = Scenario::new("marker, then death", plans::marker_only(), events)
        .habits(|habits| habits.status = None)
        .by("5000 · marker-seen: marker `live`
            5003 Booting → Discarding: qemu-ended")
        .comes_to("infrastructure qemu-killed boot-live Booting")
        .check();
    assert!(world.machine.reports()[0].reached < Some(bootgate::plan::Evidence::Marker));
}

#[test]
fn a_marker_before_a_reset_does_not_count_after_it() {
    // The answer to the marker's question comes when the guest has begun anew.
    let events = vec![
        (5_000, marker()),
        (5_002, reset()),
        (60_000, shut_down(true, "guest-shutdown")),
    ];
    Scenario::new("marker, then reset", plans::marker_only(), events)
        .comes_to("failed guest-powered-off boot-live Booting")
        .check();
}

#[test]
fn the_first_cause_wins_and_the_rest_agrees() {
    let events = vec![
        (5_000, seen(by_rule(rule(Class::Failed, true)))),
        (5_001, Event::GuestPanicked),
        (5_002, Event::GuestStopped),
        (5_003, shut_down(true, "guest-panic")),
    ];
    let world = Scenario::new("rule, then panic", plans::boot_only(), events)
        .comes_to("failed kernel-panic boot-live Booting")
        .check();
    assert_eq!(
        world.verdict().confirmed_by,
        ["QMP GUEST_PANICKED", "query-status: paused"]
    );

    let events = vec![
        (5_000, Event::GuestPanicked),
        (5_001, seen(by_rule(rule(Class::Failed, true)))),
    ];
    let world = Scenario::new("panic, then rule", plans::boot_only(), events)
        .comes_to("failed kernel-panic boot-live Booting")
        .check();
    assert_eq!(
        world.verdict().confirmed_by,
        ["console rule `kernel/panic`", "query-status: paused"]
    );

    // What says something else does not confirm.
    let events = vec![
        (5_000, shut_down(true, "guest-shutdown")),
        (5_001, Event::GuestPanicked),
    ];
    let world = Scenario::new("power-off, then panic", plans::boot_only(), events)
        .comes_to("failed guest-powered-off boot-live Booting")
        .check();
    assert_eq!(world.verdict().confirmed_by, ["query-status: paused"]);
}
