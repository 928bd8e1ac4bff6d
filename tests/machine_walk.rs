//! The machine, walked through every reached configuration with every representative event.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use bootgate::machine::{
    Class, DeadlineKind, Effect, EndMode, Event, Exploration, Machine, Part, ProcessEnd, Record, StageOutcome, State,
    StopSignal, deadlines_csv, explore, mermaid, representative_events, representative_walks, transitions_csv,
};

/// How long a failed machine is kept.
const HOLD: Duration = Duration::from_secs(1800);

fn walked() -> &'static (Exploration, Instant) {
    static WALK: OnceLock<(Exploration, Instant)> = OnceLock::new();
    WALK.get_or_init(|| {
        let origin = Instant::now();
        (walk(origin), origin)
    })
}

/// All walks, two at a time: none of them knows the others.
fn walk(origin: Instant) -> Exploration {
    let walks = Mutex::new(representative_walks().into_iter());
    let next = || walks.lock().expect("no walk fails").next();
    let several = || {
        let mut found = Exploration::default();
        while let Some((plan, part)) = next() {
            found.add(explore(&plan, HOLD, part, origin));
        }
        found
    };
    thread::scope(|scope| {
        let other = scope.spawn(several);
        let mut found = several();
        found.add(other.join().expect("no walk fails"));
        found
    })
}

fn later(origin: Instant) -> Instant {
    origin + Duration::from_secs(3600)
}

/// One test, so that a runner that gives each test a process of its own walks once.
#[test]
fn the_walk_proves_the_machine() {
    every_state_is_reached();
    no_state_lacks_a_deadline();
    every_state_answers_cancel_with_a_cancelled_verdict_or_keeps_the_one_it_has();
    every_state_answers_the_end_of_qemu();
    every_state_that_needs_qmp_answers_its_loss();
    deadlines_alone_finish_every_run();
    a_run_never_passes_by_time_alone();
    a_verdict_never_changes_its_class_or_cause();
    a_passed_verdict_has_every_claim_proved();
    a_second_cancel_kills_at_once();
    state_diagrams_are_up_to_date();
}

fn every_state_is_reached() {
    let reached: BTreeSet<_> = walked().0.machines.iter().map(Machine::state).collect();
    assert_eq!(reached, State::ALL.into_iter().collect());
}

fn no_state_lacks_a_deadline() {
    for machine in &walked().0.machines {
        let armed = machine.deadlines().iter().count();
        assert!(armed > 0 || machine.state() == State::Finished, "{machine:?}");
    }
}

fn every_state_answers_cancel_with_a_cancelled_verdict_or_keeps_the_one_it_has() {
    let (walk, origin) = walked();
    for machine in walk.machines.iter().filter(|m| m.state() != State::Finished) {
        let mut next = machine.clone();
        let effects = next.handle(
            later(*origin),
            &Event::CancelRequested {
                signal: StopSignal::Interrupt,
            },
        );
        let verdict = next.verdict().expect("a cancelled run has a verdict");
        match machine.verdict() {
            Some(before) => assert_eq!(verdict.cause, before.cause),
            None => assert_eq!(verdict.class, Class::Cancelled),
        }
        let ends = matches!(next.state(), State::Stopping | State::Discarding);
        assert!(ends && !effects.is_empty(), "{machine:?}");
    }
}

fn every_state_answers_the_end_of_qemu() {
    let (walk, origin) = walked();
    let end = Event::QemuEnded(ProcessEnd::Exited { code: 1 });
    for machine in &walk.machines {
        let mut next = machine.clone();
        next.handle(later(*origin), &end);
        let expected: &[State] = match machine.state() {
            State::Preparing => &[State::Preparing],
            State::Exiting | State::Releasing => &[State::Releasing],
            State::Discarding | State::Finished => &[State::Finished],
            _ => &[State::Discarding],
        };
        assert!(
            expected.contains(&next.state()),
            "{machine:?} went to {:?}",
            next.state()
        );
    }
}

fn every_state_that_needs_qmp_answers_its_loss() {
    let (walk, origin) = walked();
    for machine in &walk.machines {
        let mut next = machine.clone();
        next.handle(later(*origin), &Event::QmpLost { detail: String::new() });
        let no_need = matches!(
            machine.state(),
            State::Preparing | State::Exiting | State::Releasing | State::Discarding | State::Finished
        );
        let waits_for_the_process = next.deadlines().is_armed(DeadlineKind::QmpGone);
        assert!(
            no_need || waits_for_the_process || next.state() == State::Discarding,
            "{machine:?}"
        );
    }
}

/// Liveness: whatever was reached, time alone brings the run to its end, with a verdict.
fn deadlines_alone_finish_every_run() {
    let (walk, _) = walked();
    for machine in &walk.machines {
        let mut machine = machine.clone();
        let mut steps = 0;
        while let Some(at) = machine.next_deadline() {
            machine.expire(at);
            steps += 1;
            assert!(steps < 40, "no end from {machine:?}");
        }
        assert_eq!(machine.state(), State::Finished);
        assert!(machine.verdict().is_some());
    }
}

fn a_run_never_passes_by_time_alone() {
    let (walk, _) = walked();
    for machine in walk.machines.iter().filter(|m| m.verdict().is_none()) {
        let all_done = machine.reports().iter().all(|report| report.ended.is_some());
        if all_done {
            continue;
        }
        let mut machine = machine.clone();
        while let Some(at) = machine.next_deadline() {
            machine.expire(at);
        }
        let class = machine.verdict().expect("decided").class;
        assert_ne!(class, Class::Passed, "{machine:?}");
    }
}

fn a_verdict_never_changes_its_class_or_cause() {
    let (walk, origin) = walked();
    for machine in walk.machines.iter().filter(|m| m.verdict().is_some()) {
        let before = machine.verdict().expect("filtered");
        for event in representative_events(machine) {
            let mut next = machine.clone();
            let effects = next.handle(later(*origin), &event);
            let after = next.verdict().expect("a verdict stays");
            assert_eq!((&after.cause, after.class), (&before.cause, before.class));
            let decided_again = effects.iter().any(|e| matches!(e, Effect::Record(Record::Decided(_))));
            assert!(!decided_again, "{event:?}");
        }
    }
}

fn a_passed_verdict_has_every_claim_proved() {
    for machine in &walked().0.machines {
        let Some(verdict) = machine.verdict().filter(|v| v.class == Class::Passed) else {
            continue;
        };
        let ended: Vec<_> = match machine.part().only_stage() {
            Some(stage) => vec![&machine.reports()[stage]],
            None => machine.reports().iter().collect(),
        };
        let all_tested = ended.iter().all(|report| report.not_tested.is_none());
        let cause = match (all_tested, machine.part()) {
            (false, _) => "not-everything-tested",
            (true, Part::Whole) => "every-claim-proved",
            (true, Part::Stage(_)) => "stage-proved",
        };
        assert_eq!(verdict.cause, cause);
        for report in ended {
            assert!(report.ended.is_some(), "{report:?}");
            assert_eq!(
                report.not_tested.is_some(),
                report.outcome == StageOutcome::NotTested,
                "{report:?}"
            );
        }
    }
}

fn a_second_cancel_kills_at_once() {
    let (walk, origin) = walked();
    let cancel = Event::CancelRequested {
        signal: StopSignal::Interrupt,
    };
    for machine in walk.machines.iter().filter(|m| m.state() != State::Finished) {
        let mut next = machine.clone();
        next.handle(later(*origin), &cancel);
        let effects = next.handle(later(*origin), &cancel);
        assert!(effects.contains(&Effect::EndQemu(EndMode::Kill)), "{machine:?}");
    }
}

fn check(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("state-diagrams")
        .join(name);
    if std::env::var_os("BOOTGATE_BLESS").is_some() {
        std::fs::write(&path, text).expect("writable state-diagrams");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "state-diagrams/{name} is not what the machine does; regenerate it with\n  \
         BOOTGATE_BLESS=1 cargo test --test machine_walk"
    );
}

/// The README shows the same picture.
fn check_readme(diagram: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(&path).expect("README.md");
    let (before, rest) = text.split_once("```mermaid\n").expect("a mermaid block in the README");
    let (shown, after) = rest.split_once("```\n").expect("the end of the mermaid block");
    if std::env::var_os("BOOTGATE_BLESS").is_some() {
        std::fs::write(&path, format!("{before}```mermaid\n{diagram}```\n{after}")).expect("writable README.md");
        return;
    }
    assert!(
        shown == diagram,
        "the README shows another diagram; regenerate it with BOOTGATE_BLESS=1 cargo test --test machine_walk"
    );
}

fn state_diagrams_are_up_to_date() {
    let walk = &walked().0;
    check("gate.mmd", &mermaid(walk));
    check_readme(&mermaid(walk));
    check("transitions.csv", &transitions_csv(walk));
    check("deadlines.csv", &deadlines_csv(walk));
}
