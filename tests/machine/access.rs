//! An image that starts no SSH server by itself is had to let us in.

use bootgate::machine::{AccessRefusal, Effect, Event, EvidenceRef, Left, Mark, Part, ProbeClass, Step, opened_plan};
use bootgate::plan::{CredentialsPlan, MarkerPlan, OpenBy, Pattern, Plan};

use crate::words::{marker, probed, seen, stable};
use crate::world::{Habits, World};

fn opened() -> Event {
    Event::AccessOpened {
        detail: "serial login as `live`".to_owned(),
        evidence: EvidenceRef::file("serial.log"),
    }
}

fn refused(why: AccessRefusal) -> Event {
    Event::AccessRefused {
        why,
        detail: "user `live`".to_owned(),
        evidence: EvidenceRef::file("serial.log"),
    }
}

fn one_stage() -> Plan {
    let mut plan = opened_plan();
    plan.stages.truncate(1);
    plan
}

fn with_marker() -> Plan {
    let mut plan = one_stage();
    plan.console.markers = vec![MarkerPlan {
        name: "live".to_owned(),
        pattern: Pattern::Text("LIVE-READY".to_owned()),
    }];
    plan
}

fn played(plan: Plan, events: Vec<(u64, Event)>) -> World {
    let mut world = World::new(plan, Habits::default());
    for (at, event) in events {
        world.plan(at, event);
    }
    world.run_to(200_000);
    world
}

#[test]
fn logins_are_tried_only_when_the_image_is_open() {
    let open = Effect::OpenAccess { stage: 0 };
    let watch = Effect::WatchSsh { stage: 0 };
    let world = played(
        with_marker(),
        vec![
            (1_000, seen(Mark::LoginPrompt)),
            (5_000, marker()),
            (9_000, opened()),
            (10_000, probed(ProbeClass::LoggedIn)),
            (12_000, stable()),
        ],
    );
    assert_eq!(world.asked(&open), [5_005], "{}", world.trace());
    assert_eq!(world.asked(&watch), [9_000], "{}", world.trace());
    assert_eq!(world.verdict().exit_code(), 0, "{}", world.trace());
    assert!(
        world.trace().contains("9000 · access-opened: serial login as `live`"),
        "{}",
        world.trace()
    );
    assert_eq!(world.asked(&Effect::AbandonAccess), [0; 0]);
}

#[test]
fn without_a_marker_the_login_prompt_is_one() {
    let world = played(
        one_stage(),
        vec![(4_000, seen(Mark::LoginPrompt)), (9_000, opened()), (12_000, stable())],
    );
    assert!(
        world
            .trace()
            .contains("4005 Booting → MarkerSeen: login-prompt-seen ✓ query-status: running"),
        "{}",
        world.trace()
    );
    assert_eq!(world.verdict().exit_code(), 0, "{}", world.trace());
}

#[test]
fn each_refusal_is_a_cause_of_its_own_and_no_fault_of_the_image() {
    let causes = [
        (AccessRefusal::Login, "access-login-refused"),
        (AccessRefusal::Shell, "access-no-shell"),
        (AccessRefusal::Root, "access-not-root"),
        (AccessRefusal::NoServer, "access-no-sshd"),
        (AccessRefusal::ServerFailed, "access-sshd-failed"),
    ];
    for (why, cause) in causes {
        let world = played(with_marker(), vec![(5_000, marker()), (9_000, refused(why))]);
        assert_eq!(
            (world.verdict().cause.as_str(), world.verdict().exit_code()),
            (cause, 5)
        );
        assert_eq!(world.asked(&Effect::AbandonAccess), [9_000], "nobody types on");
    }
}

#[test]
fn time_that_runs_out_meanwhile_is_told_as_that() {
    let world = played(with_marker(), vec![(5_000, marker())]);
    assert_eq!(world.verdict().cause, "access-timeout", "{}", world.trace());
    let mut short = with_marker();
    short.stages[0].timeout = std::time::Duration::from_secs(20);
    short.stages[0].warn_after = short.stages[0].timeout;
    let world = played(short, vec![(5_000, marker())]);
    assert_eq!(world.verdict().cause, "access-timeout", "{}", world.trace());
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let late = vec![
        (5_000, marker()),
        (9_000, opened()),
        (9_500, refused(AccessRefusal::Shell)),
        (12_000, stable()),
    ];
    assert_eq!(played(with_marker(), late).verdict().exit_code(), 0);
    let mut credentials = with_marker();
    let open_by = OpenBy::Credentials(CredentialsPlan {
        units: vec!["ssh.service".to_owned()],
    });
    credentials.ssh.as_mut().unwrap().open_by = Some(open_by);
    let world = played(credentials, vec![(5_000, marker()), (12_000, stable())]);
    assert_eq!(world.verdict().exit_code(), 0);
    assert_eq!(world.asked(&Effect::OpenAccess { stage: 0 }), [0; 0]);
    assert_eq!(world.asked(&Effect::WatchSsh { stage: 0 }), [5], "from the start");
}

/// The key that was put into it went with the run that saved it.
#[test]
fn a_restored_machine_is_opened_anew() {
    let left = Left {
        marker_seen: true,
        ssh_stable: true,
        ..Left::default()
    };
    let part = Part::Stage(Box::new(Step {
        stage: 1,
        left: Some(left),
    }));
    let mut world = World::of_part(opened_plan(), part, Habits::default());
    for (at, event) in [(3_000, opened()), (6_000, stable())] {
        world.plan(at, event);
    }
    world.run_to(7_000);
    let told = world.trace();
    let steps = [
        "Preparing → MarkerSeen: restored",
        "3000 · access-opened",
        "6000 MarkerSeen → SshStable",
    ];
    assert!(steps.iter().all(|step| told.contains(step)), "{told}");
    assert_eq!(world.asked(&Effect::OpenAccess { stage: 1 }).len(), 1);
    assert_eq!(world.asked(&Effect::WatchSsh { stage: 1 }), [3_000], "{told}");
}
