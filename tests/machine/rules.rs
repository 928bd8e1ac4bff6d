//! Rules that end a run, explain what the machine sees by itself, or only tell.

use bootgate::machine::{Class, Event, Finding, ProbeClass, Prospects, RuleFacts, Verdict};

use crate::plans;
use crate::words::{ended, exited, finding, marker, pass_line, probed, rule, stable};
use crate::world::{Habits, World};

fn named(id: &str, cause: &str, class: Class, fatal: bool) -> RuleFacts {
    RuleFacts {
        id: id.to_owned(),
        cause: cause.to_owned(),
        ..rule(class, fatal)
    }
}

fn prospects(at_end: Vec<Finding>, of_cause: Option<(&str, Finding)>) -> Event {
    Event::ProspectsChanged(Prospects {
        at_end,
        of_causes: of_cause
            .map(|(cause, finding)| (cause.to_owned(), finding))
            .into_iter()
            .collect(),
    })
}

/// The verdict of a gate of two stages, boot and command, with these events.
fn verdict(events: Vec<(u64, Event)>) -> (Verdict, Vec<Vec<String>>) {
    let mut plan = plans::gate();
    plan.stages.truncate(2);
    let mut world = World::new(plan, Habits::default());
    for (at, event) in events {
        world.plan(at, event);
    }
    world.run();
    let found = world.machine.reports().iter();
    let found = found.map(|report| report.findings.iter().map(|finding| finding.rule.id.clone()).collect());
    (world.verdict().clone(), found.collect())
}

#[test]
fn a_rule_that_ends_nothing_explains_what_ends_badly() {
    let suspect = |id: &str, at| Event::RuleMatched(finding(named(id, "why", Class::Failed, false), at));
    let (verdict, found) = verdict(vec![
        (1_000, stable()),
        (2_000, suspect("early", 10)),
        (3_000, suspect("specific", 50)),
        (3_001, suspect("general", 50)),
        (9_000, ended(1)),
    ]);
    assert_eq!((verdict.class, verdict.cause.as_str()), (Class::Failed, "why"));
    assert_eq!(verdict.rule.unwrap().id, "specific", "the first one at the last place");
    assert_eq!(verdict.symptom, Some("command-failed"));
    assert_eq!(
        verdict.detail,
        "The stage's command ended with a failure status: exit status 1"
    );
    assert_eq!(verdict.evidence.unwrap().offset_bytes, Some(50));
    assert_eq!(found[1], ["early", "specific", "general"]);
}

#[test]
fn a_note_explains_nothing() {
    let note = RuleFacts {
        is_note: true,
        ..named("note", "why", Class::Failed, false)
    };
    let (verdict, found) = verdict(vec![
        (1_000, stable()),
        (2_000, Event::RuleMatched(finding(note, 10))),
        (9_000, ended(1)),
    ]);
    assert_eq!(verdict.cause, "command-failed");
    assert_eq!((verdict.rule, verdict.symptom), (None, None));
    assert_eq!(found[1], ["note"]);
}

#[test]
fn what_the_image_did_does_not_explain_the_end_of_qemu() {
    for (class, cause) in [(Class::Failed, "qemu-exited"), (Class::Infrastructure, "why")] {
        let suspect = finding(named("suspect", "why", class, false), 10);
        let (verdict, _) = verdict(vec![(1_000, Event::RuleMatched(suspect)), (2_000, exited(1))]);
        assert_eq!((verdict.class, verdict.cause.as_str()), (Class::Infrastructure, cause));
    }
}

#[test]
fn a_rule_knows_a_cause_that_the_machine_decides_on() {
    let known = finding(named("no-sshd", "ssh-not-listening", Class::Untestable, false), 0);
    let (verdict, _) = verdict(vec![
        (10, prospects(Vec::new(), Some(("ssh-not-listening", known)))),
        (1_000, marker()),
        (2_000, probed(ProbeClass::NoAnswer)),
    ]);
    assert_eq!(
        (verdict.class, verdict.cause.as_str()),
        (Class::Untestable, "ssh-not-listening")
    );
    let rule = verdict.rule.unwrap();
    assert_eq!(
        (rule.id.as_str(), rule.root_cause.as_str()),
        ("no-sshd", "It met a bug.")
    );
    assert_eq!(verdict.symptom, Some("ssh-not-listening"));
}

#[test]
fn an_absence_counts_when_the_stage_ends() {
    let absent = |fatal| finding(named("absent", "never-came", Class::Failed, fatal), 10);
    let pass = || vec![(1_000, stable()), (5_000, pass_line()), (9_000, ended(0))];
    let with = |fatal| {
        let mut events = pass();
        events.push((4_000, prospects(vec![absent(fatal)], None)));
        verdict(events)
    };
    let (told, found) = with(true);
    assert_eq!((told.class, told.cause.as_str()), (Class::Failed, "never-came"));
    assert_eq!(found[1], ["absent"]);
    let (told, found) = with(false);
    assert_eq!(told.class, Class::Passed, "a rule that is not fatal only tells");
    assert_eq!(found[1], ["absent"]);
    let mut events = pass();
    events.push((4_000, prospects(vec![absent(true)], None)));
    events.push((4_500, prospects(Vec::new(), None)));
    assert_eq!(verdict(events).0.class, Class::Passed, "it came after all");
}

#[test]
fn a_fatal_rule_ends_the_run_from_any_source() {
    let fatal = finding(named("watchdog", "guest-watchdog", Class::Failed, true), 10);
    let (verdict, found) = verdict(vec![(1_000, Event::RuleMatched(fatal))]);
    assert_eq!(
        (verdict.cause.as_str(), verdict.state.name()),
        ("guest-watchdog", "Booting")
    );
    assert_eq!(verdict.symptom, None);
    assert_eq!(found[0], ["watchdog"]);
}
