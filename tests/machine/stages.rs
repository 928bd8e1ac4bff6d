//! Stages that end at a line, and stages that may test nothing.

use bootgate::machine::{CommandExit, Event, StageOutcome};
use bootgate::plan::{Condition, Pattern, Plan, StageKind};

use crate::plans;
use crate::scenario::Scenario;
use crate::words::{ended, fail_line, marker, pass_line, stable, status, until_line};

/// A boot, and a command that ends at a line; it must print `done` before.
pub(crate) fn until() -> Plan {
    let mut plan = plans::gate();
    plan.stages.truncate(2);
    let StageKind::Command { until, .. } = &mut plan.stages[1].kind else {
        unreachable!("the second stage is a command");
    };
    until.push(Pattern::Text("exported".to_owned()));
    plan
}

/// The same with a condition, and no line that it must print.
fn conditional() -> Plan {
    let mut plan = until();
    let StageKind::Command {
        only_tests_if,
        pass,
        until,
        ..
    } = &mut plan.stages[1].kind
    else {
        unreachable!("the second stage is a command");
    };
    pass.clear();
    until.clear();
    *only_tests_if = Some(Condition {
        command: "small".to_owned(),
        because: "with more memory the bug hides".to_owned(),
    });
    plan
}

/// What brings the machine into the command, and then this.
fn in_the_command(events: impl IntoIterator<Item = (u64, Event)>) -> Vec<(u64, Event)> {
    let up = [(10_000, marker()), (20_000, stable())];
    up.into_iter().chain(events).collect()
}

fn checked(exit: i32) -> Event {
    Event::ConditionChecked {
        exit: CommandExit::Status(exit),
    }
}

#[test]
fn a_command_ends_well_at_its_line_whatever_becomes_of_it() {
    for exit in [143, 0, 1] {
        let events = in_the_command([
            (30_000, pass_line()),
            (40_000, until_line(77)),
            // What it says while it is ended is not held against it.
            (40_100, fail_line()),
            (41_000, ended(exit)),
        ]);
        let world = Scenario::new("ends at its line", until(), events)
            .by("30000 · pass-line-seen: `done`
                40000 · until-line-seen: `exported`
                41000 Installing → Triaged: until-line-seen ✓ the command was ended
                41005 stage 1 passed, reached installed")
            .comes_to("passed every-claim-proved export Releasing")
            .check();
        assert_eq!(world.machine.reports()[1].remarks, [""; 0]);
    }
}

#[test]
fn a_command_never_ends_well_without_its_line() {
    for (exit, cause) in [(0, "expected-line-missing"), (1, "command-failed")] {
        let events = in_the_command([(30_000, pass_line()), (40_000, ended(exit))]);
        let verdict = format!("failed {cause} export Triaged");
        Scenario::new("ends without its line", until(), events)
            .comes_to(verdict.leak())
            .check();
    }
}

#[test]
fn lines_that_must_come_must_come_before_the_line_that_ends_it() {
    for (name, late) in [("never", None), ("too late", Some(pass_line()))] {
        let late = late.map(|line| (40_050, line));
        let events = in_the_command(
            [(40_000, until_line(77))]
                .into_iter()
                .chain(late)
                .chain([(41_000, ended(143))]),
        );
        Scenario::new(name, until(), events)
            .comes_to("failed expected-line-missing export Triaged")
            .check();
    }
}

#[test]
fn a_forbidden_line_before_the_line_that_ends_it_fails() {
    let events = in_the_command([(30_000, pass_line()), (35_000, fail_line()), (40_000, until_line(77))]);
    Scenario::new("forbidden", until(), events)
        .comes_to("failed forbidden-line export Installing")
        .check();
}

#[test]
fn a_command_that_will_not_end_is_told() {
    let unreachable = Event::CommandUnreachable {
        detail: "the guest does not answer".to_owned(),
    };
    for (name, after, remark) in [
        ("silent", None, "it did not end in time"),
        ("gone", Some((50_000, unreachable)), "the guest does not answer"),
    ] {
        let events = in_the_command(
            [(30_000, pass_line()), (40_000, until_line(77))]
                .into_iter()
                .chain(after),
        );
        let world = Scenario::new(name, until(), events)
            .comes_to("passed every-claim-proved export Releasing")
            .check();
        let remarks = &world.machine.reports()[1].remarks;
        assert!(remarks.len() == 1 && remarks[0].ends_with(remark), "{remarks:?}");
    }
}

#[test]
fn a_stage_whose_condition_holds_is_tested() {
    let events = in_the_command([(21_000, checked(0)), (40_000, ended(0))]);
    Scenario::new("holds", conditional(), events)
        .by("21000 · condition-holds: `small`: exit status 0
            40005 stage 1 passed, reached installed")
        .comes_to("passed every-claim-proved export Releasing")
        .check();
}

#[test]
fn a_stage_whose_condition_does_not_hold_is_no_proof() {
    let events = in_the_command([(21_000, checked(1)), (40_000, ended(0))]);
    let world = Scenario::new("does not hold", conditional(), events)
        .by(
            "21000 · condition-does-not-hold: with more memory the bug hides (`small`: exit status 1)
            40005 stage 1 not-tested, reached installed",
        )
        .comes_to("passed not-everything-tested export Releasing")
        .check();
    let report = &world.machine.reports()[1];
    assert_eq!(report.outcome, StageOutcome::NotTested);
    assert!(report.not_tested.as_ref().unwrap().starts_with("with more memory"));
    assert!(
        world.verdict().detail.contains("stage `export`"),
        "{:?}",
        world.verdict()
    );
}

#[test]
fn a_stage_that_fails_has_failed_whatever_its_condition() {
    let events = in_the_command([
        (21_000, checked(1)),
        (30_000, status(bootgate::machine::GuestStatus::Running)),
        (40_000, ended(2)),
    ]);
    Scenario::new("fails", conditional(), events)
        .comes_to("failed command-failed export Triaged")
        .check();
}
