//! What the view looks like.

use std::time::Instant;

use bootgate::machine::{DeadlineKind, StageOutcome, State};
use bootgate::plan::Evidence;
use bootgate::view::{Look, Model, Progress, Row, draw};

use crate::runs::{INSPECT, PLAIN, Run, booting, held, installing, plan_of, seconds};

fn picture(run: &Run, second: u64, look: &Look) -> String {
    let rows = draw(&run.model, run.at(second), look);
    let painted: Vec<String> = rows.iter().map(|row| row.painted().trim_end().to_owned()).collect();
    painted.join("\n").replace('\x1b', "\\e") + "\n"
}

fn all(second: u64, look: &Look) -> String {
    let runs = [("booting", booting()), ("installing", installing()), ("held", held())];
    let pictures = runs.map(|(name, run)| format!("{name}\n{}", picture(&run, second, look)));
    pictures.join("\n")
}

#[test]
fn at_every_width() {
    for columns in [40, 80, 160] {
        let look = Look { columns, ..PLAIN };
        insta::assert_snapshot!(format!("view_{columns}"), all(75, &look));
    }
}

#[test]
fn in_colour() {
    let look = Look { colour: true, ..PLAIN };
    insta::assert_snapshot!("view_colour", all(75, &look));
}

#[test]
fn in_ascii() {
    let look = Look {
        unicode: false,
        ..PLAIN
    };
    let shown = all(75, &look);
    assert!(shown.is_ascii());
    insta::assert_snapshot!("view_ascii", shown);
}

#[test]
fn many_stages_in_a_low_window() {
    let mut run = Run::new(&plan_of(20));
    for stage in 0..9 {
        run.record(1, &bootgate::machine::Record::StageBegan { stage });
        run.end(2, stage, StageOutcome::Passed, Evidence::Login);
    }
    run.begin(3, 9, State::Booting, 60);
    let low = Look { rows: 6, ..PLAIN };
    let pictures = [picture(&run, 5, &PLAIN), picture(&run, 5, &low)];
    insta::assert_snapshot!("view_many_stages", pictures.join("\n"));
}

#[test]
fn a_deadline_within_a_stage_is_shown_when_it_matters() {
    let mut run = booting();
    run.arm(10, DeadlineKind::SshAppear, 40);
    run.settle(State::MarkerSeen);
    assert!(!picture(&run, 19, &PLAIN).contains("ssh-appear"));
    assert!(picture(&run, 22, &PLAIN).contains("stage 11m 38s left, ssh-appear 28 s left"));
}

#[test]
fn a_sign_of_life_says_where_the_run_is() {
    let (booting, installing) = (booting(), installing());
    let beats = [
        booting.model.beat(booting.at(60)),
        installing.model.beat(installing.at(90)),
    ];
    insta::assert_snapshot!("beats", format!("|{}", beats.join("\n|")));
}

#[test]
fn a_machine_that_is_opened_again_and_held() {
    let began = Instant::now();
    let mut model = Model::of_machine("failed.tar.zst", INSPECT.to_owned(), began);
    let rows = |model: &Model| -> Vec<String> { draw(model, began, &PLAIN).iter().map(Row::painted).collect() };
    let progress = Progress {
        percent: 42,
        what: "126 MiB of 300 MiB".to_owned(),
    };
    model.opens("unpacking the bundle", Some(progress));
    let opening = rows(&model);
    assert_eq!(opening.len(), 3, "{opening:?}");
    assert!(opening[0].starts_with("── failed.tar.zst ──"), "{opening:?}");
    assert_eq!(opening[1], " ▶ unpacking the bundle");
    assert!(opening[2].ends_with("─  42 %  126 MiB of 300 MiB"), "{opening:?}");
    model.holds(began, seconds(1800));
    // What was told too late does not bring the bar back.
    model.opens("reading the machine's memory", None);
    let held = rows(&model);
    assert!(held[1].contains("for 30m 00s more"), "{held:?}");
    assert!(held[2].ends_with(INSPECT), "{held:?}");
    assert!(held[3].ends_with("Ctrl-C"), "{held:?}");
}
