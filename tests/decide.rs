//! May the image be published? What the runs of a gate say together.

use bootgate::decide::{Answer, Known, Production, RunFacts, StageAnswer, StageFacts, decide};
use bootgate::report::{decision_block, decision_json, decision_table};
use proptest::prelude::*;
use serde_json::json;

const STAGES: [&str; 4] = ["boot-live", "export", "install", "installed"];
const TODAY: &str = "2026-06-15";

/// A run of the whole gate that comes to this class in this stage.
fn run(name: &str, class: &str, decided_in: usize) -> RunFacts {
    let outcome = |stage: usize| match class {
        "passed" => "passed",
        _ if stage < decided_in => "passed",
        _ if stage > decided_in => "not-reached",
        "failed" | "known-failure" => "failed",
        _ => "undecided",
    };
    let stages = STAGES.iter().enumerate().map(|(stage, name)| StageFacts {
        name: (*name).to_owned(),
        outcome: outcome(stage).to_owned(),
        not_tested: None,
    });
    RunFacts {
        run: name.to_owned(),
        gate: "live".to_owned(),
        gate_sha256: Some("a1".to_owned()),
        image_sha256: Some("b2".to_owned()),
        production: None,
        class: class.to_owned(),
        cause: format!("cause-of-{class}"),
        title: "It went wrong.".to_owned(),
        decided_in: STAGES[decided_in].to_owned(),
        known: (class == "known-failure").then(|| known(true, "2026-12-31")),
        skipped: false,
        gate_stages: STAGES.map(str::to_owned).to_vec(),
        require: None,
        stages: stages.collect(),
    }
}

fn known(publishable: bool, expires: &str) -> Known {
    Known {
        rule: "locale-step".to_owned(),
        tracker: Some("https://example.org/issues/1".to_owned()),
        publishable,
        expires: Some(expires.to_owned()),
    }
}

/// A run of one stage.
fn step(name: &str, class: &str, stage: usize) -> RunFacts {
    let mut run = run(name, class, stage);
    run.stages = vec![run.stages.swap_remove(stage)];
    run
}

/// One run a stage, all well.
fn steps() -> Vec<RunFacts> {
    (0..STAGES.len())
        .map(|stage| step(&format!("run-{stage}"), "passed", stage))
        .collect()
}

fn answer(runs: &[RunFacts]) -> Answer {
    decide(runs, TODAY).answer
}

#[test]
fn an_image_whose_stages_have_all_passed_is_published() {
    for runs in [vec![run("whole", "passed", 3)], steps()] {
        let decision = decide(&runs, TODAY);
        assert_eq!((decision.answer, decision.answer.exit_code()), (Answer::Publish, 0));
        assert_eq!(decision.reasons, []);
        assert_eq!(decision.publishes.and_then(|image| image.sha256), Some("b2".to_owned()));
    }
}

#[test]
fn each_way_to_end_has_its_answer_and_its_exit_code() {
    let rows = [
        ("failed", Answer::Failed, 1),
        ("infrastructure", Answer::Retry, 4),
        ("cancelled", Answer::Retry, 4),
        ("internal", Answer::Retry, 4),
        ("untestable", Answer::Untested, 5),
    ];
    for (class, expected, code) in rows {
        for stage in 0..STAGES.len() {
            let decision = decide(&[run("one", class, stage)], TODAY);
            let missing_after = stage + 1 < STAGES.len() && expected < Answer::Retry;
            assert!(!missing_after);
            assert_eq!(decision.answer, expected, "{class} in {stage}: {:?}", decision.reasons);
            assert_eq!(
                (decision.answer.exit_code(), decision.publishes),
                (code, None),
                "{class}"
            );
        }
    }
}

#[test]
fn a_known_failure_stays_red_and_is_published_as_long_as_its_rule_counts() {
    let rows = [
        (known(true, "2026-06-16"), Answer::KnownPublishable),
        (known(true, TODAY), Answer::Known),
        (known(false, "2026-12-31"), Answer::Known),
        (
            Known {
                expires: None,
                ..known(true, "")
            },
            Answer::Known,
        ),
    ];
    for (known, expected) in rows {
        let mut run = run("one", "known-failure", 2);
        run.known = Some(known);
        let decision = decide(&[run], TODAY);
        assert_eq!(
            (decision.answer, decision.answer.exit_code()),
            (expected, 3),
            "{:?}",
            decision.reasons
        );
        assert_eq!(decision.publishes.is_some(), expected.publishes());
    }
    let mut expired = run("one", "failed", 2);
    expired.known = Some(known(true, "2026-01-01"));
    assert_eq!(answer(&[expired]), Answer::Failed);
}

#[test]
fn what_a_known_failure_hides_is_excused_unless_it_is_required_by_name() {
    let mut known_failure = run("one", "known-failure", 2);
    let decision = decide(std::slice::from_ref(&known_failure), TODAY);
    let answers: Vec<_> = decision.stages.iter().map(|stage| stage.answer).collect();
    assert_eq!(
        answers,
        [
            StageAnswer::Passed,
            StageAnswer::Passed,
            StageAnswer::KnownFailure,
            StageAnswer::Excused
        ]
    );
    known_failure.require = Some(vec!["install".to_owned(), "installed".to_owned()]);
    assert_eq!(answer(&[known_failure.clone()]), Answer::Retry);
    known_failure.require = Some(vec!["install".to_owned()]);
    assert_eq!(answer(&[known_failure]), Answer::KnownPublishable);
}

#[test]
fn a_stage_that_tested_nothing_counts_as_missing() {
    let mut runs = steps();
    runs[1].stages[0].outcome = "not-tested".to_owned();
    runs[1].stages[0].not_tested = Some("with more memory the bug hides".to_owned());
    let decision = decide(&runs, TODAY);
    assert_eq!((decision.answer, decision.answer.exit_code()), (Answer::Untested, 5));
    assert!(decision.reasons[0].text.contains("with more memory the bug hides"));
    for run in &mut runs {
        run.require = Some(vec!["install".to_owned()]);
    }
    assert_eq!(answer(&runs), Answer::Publish);
    // Another run has tested it.
    let mut again = steps();
    again.push(runs[1].clone());
    again[4].require = None;
    again[4].run = "run-4".to_owned();
    assert_eq!(answer(&again), Answer::Publish);
}

#[test]
fn runs_of_different_gates_files_or_images_are_refused() {
    type Change = fn(&mut RunFacts);
    let changes: [Change; 5] = [
        |run| run.gate = "other".to_owned(),
        |run| run.gate_sha256 = Some("a9".to_owned()),
        |run| run.image_sha256 = Some("b9".to_owned()),
        |run| run.gate_stages.truncate(2),
        |run| run.require = Some(vec!["install".to_owned()]),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut runs = steps();
        runs[0].require = Some(STAGES.map(str::to_owned).to_vec());
        change(&mut runs[3]);
        assert_eq!(answer(&runs), Answer::Mismatch, "{index}");
    }
    assert_eq!(answer(&[]), Answer::Mismatch);
    let mut unknown = steps();
    for run in &mut unknown {
        run.image_sha256 = None;
    }
    assert_eq!(answer(&unknown), Answer::Retry, "an image that nobody can name");
}

#[test]
fn the_image_to_publish_is_the_one_that_the_gate_names() {
    let production = |sha256: Option<&str>| {
        let mut run = run("one", "passed", 3);
        run.production = Some(Production {
            path: "live-production.iso".to_owned(),
            sha256: sha256.map(str::to_owned),
        });
        decide(&[run], TODAY)
    };
    let decision = production(Some("c3"));
    assert_eq!(decision.tested_sha256.as_deref(), Some("b2"));
    assert_eq!(decision.publishes.unwrap().sha256.as_deref(), Some("c3"));
    let decision = production(None);
    assert_eq!(decision.answer, Answer::Retry);
    assert!(decision.reasons[0].text.contains("--production FILE"));
}

#[test]
fn skipped_and_interrupted_runs_say_nothing() {
    let mut skipped = step("skipped", "failed", 3);
    skipped.skipped = true;
    skipped.stages[0].outcome = "skipped".to_owned();
    let mut runs = steps();
    runs.push(skipped.clone());
    assert_eq!(answer(&runs), Answer::Publish, "its stage has passed in another run");
    runs.retain(|run| run.run != "run-3");
    assert_eq!(answer(&runs), Answer::Retry);
    let step = Some(("installed".to_owned(), "a1".to_owned()));
    runs.push(RunFacts::interrupted("killed", "live", step));
    let decision = decide(&runs, TODAY);
    assert_eq!(decision.answer, Answer::Retry);
    assert!(
        decision.reasons[0].text.contains("killed before its verdict"),
        "{:?}",
        decision.reasons
    );
}

#[test]
fn a_result_is_read_as_it_is_written_and_others_are_refused() {
    let result = json!({
        "run": "one",
        "gate": "live",
        "gate_sha256": "a1",
        "gate_stages": STAGES,
        "image": { "sha256": "b2", "production": { "path": "p.iso" } },
        "verdict": {
            "class": "known-failure", "cause": "c", "title": "t", "stage": "install",
            "rule": { "id": "r", "publishable": true, "expires": "2026-12-31", "tracker": null },
        },
        "stages": [{ "name": "install", "outcome": "failed", "not_tested": null }],
        "publish": { "require": ["install"] },
        "skipped": null,
    });
    let facts = RunFacts::of_result(&result).unwrap();
    assert_eq!(facts.known.as_ref().map(|known| known.publishable), Some(true));
    assert_eq!(
        (facts.skipped, facts.require),
        (false, Some(vec!["install".to_owned()]))
    );
    assert_eq!(facts.production.unwrap().sha256, None);
    let error = RunFacts::of_result(&json!({ "run": "one" })).unwrap_err();
    assert!(error.to_string().contains("no stages"), "{error}");
}

#[test]
fn no_text_of_a_run_acts_where_it_is_shown() {
    let mut run = run("one", "failed", 0);
    run.title = "| a | <img src=x> [link](javascript:x) \u{1b}[31m\n::error::x `".to_owned();
    let decision = decide(&[run], TODAY);
    let block = decision_block(&decision);
    assert!(
        !block.contains('\u{1b}') && !block.lines().any(|line| line.starts_with("::")),
        "{block}"
    );
    let table = decision_table(&decision);
    let acts = table.replace("\\<", "").replace("\\]", "").replace("\\|", "");
    assert!(!acts.contains('<') && !acts.contains("]("), "{table}");
    assert_eq!(decision_json(&decision)["decision"], "do-not-publish");
}

fn any_run() -> impl Strategy<Value = RunFacts> {
    let classes = [
        "passed",
        "failed",
        "known-failure",
        "infrastructure",
        "untestable",
        "cancelled",
    ];
    let class = prop::sample::select(classes.to_vec());
    (
        class,
        0..STAGES.len(),
        any::<bool>(),
        any::<bool>(),
        // Few: what somebody has changed has the name of what it was.
        0..10_u32,
        any::<bool>(),
    )
        .prop_map(|(class, stage, whole, publishable, id, untested)| {
            let name = format!("run-{id}");
            let mut facts = if whole {
                run(&name, class, stage)
            } else {
                step(&name, class, stage)
            };
            if let Some(known) = &mut facts.known {
                known.publishable = publishable;
            }
            if untested && class == "passed" && !whole {
                "not-tested".clone_into(&mut facts.stages[0].outcome);
            }
            facts
        })
}

/// A run that refuses the image.
fn bad_run() -> impl Strategy<Value = RunFacts> {
    (
        prop::sample::select(vec!["failed", "known-failure"]),
        0..STAGES.len(),
        any::<bool>(),
    )
        .prop_map(|(class, stage, whole)| {
            let mut facts = if whole {
                run("bad", class, stage)
            } else {
                step("bad", class, stage)
            };
            if let Some(known) = &mut facts.known {
                known.publishable = false;
            }
            facts
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_the_runs_does_not_matter(
        (runs, shuffled) in prop::collection::vec(any_run(), 0..8)
            .prop_flat_map(|runs| (Just(runs.clone()), Just(runs).prop_shuffle()))
    ) {
        prop_assert_eq!(decide(&runs, TODAY), decide(&shuffled, TODAY));
    }

    #[test]
    fn no_bad_run_makes_an_image_publishable_and_no_other_mends_it(
        runs in prop::collection::vec(any_run(), 0..8),
        bad in bad_run(),
        more in prop::collection::vec(any_run(), 0..4),
    ) {
        let mut all = runs;
        all.push(bad);
        let before = answer(&all);
        prop_assert!(!before.publishes());
        all.extend(more);
        prop_assert!(answer(&all) >= before);
    }

    #[test]
    fn a_green_decision_has_every_stage_passed(runs in prop::collection::vec(any_run(), 0..8)) {
        let decision = decide(&runs, TODAY);
        if decision.answer == Answer::Publish {
            prop_assert!(decision.stages.iter().all(|stage| stage.answer == StageAnswer::Passed));
        }
    }
}
