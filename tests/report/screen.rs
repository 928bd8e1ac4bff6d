//! The last words of a run on a terminal: never more than a screen, and no word of the guest's is heard by it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bootgate::driver::Outcome;
use bootgate::machine::{Class, StageOutcome, StageReport};
use bootgate::plan::{Evidence, Plan};
use bootgate::report::{Sheet, Told, verdict_block, verdict_sheet};
use bootgate::view::{Look, width_of};
use proptest::prelude::*;

use crate::RUN;
use crate::forms::{evidence, plan};
use crate::hostile::text_of_any_length;
use crate::outcomes::{outcome, verdict};

const PLAIN: Look = Look {
    columns: 80,
    rows: 24,
    colour: false,
    unicode: true,
};
const BUNDLE: &str =
    "Bundle:   runs/fake.tar.zst (107 MiB)\nReopen:   bootgate reopen runs/fake.tar.zst --image live.iso\n";

fn on(look: Look, class: Class) -> String {
    let told = Told {
        run: Path::new(RUN),
        further: BUNDLE,
    };
    verdict_sheet(&plan(), &outcome(class), &told, Sheet::new(Some(look))).replace('\x1b', "\\e")
}

#[test]
fn on_a_terminal_of_every_width() {
    for columns in [40, 80, 160] {
        let look = Look { columns, ..PLAIN };
        let blocks = [Class::KnownFailure, Class::Failed, Class::Passed].map(|class| on(look, class));
        insta::assert_snapshot!(format!("verdict_{columns}"), blocks.concat());
    }
}

#[test]
fn in_colour_and_in_ascii() {
    let coloured = [Class::Failed, Class::Passed].map(|class| on(Look { colour: true, ..PLAIN }, class));
    insta::assert_snapshot!("verdict_colour", coloured.concat());
    let ascii = on(
        Look {
            unicode: false,
            ..PLAIN
        },
        Class::Failed,
    );
    assert!(ascii.is_ascii());
    insta::assert_snapshot!("verdict_ascii", ascii);
}

/// A gate of many stages, of which one failed, with all that can be said of each.
fn many(stages: usize, words: &str) -> (Plan, Outcome) {
    let (mut plan, mut outcome) = (plan(), outcome(Class::KnownFailure));
    let first = plan.stages[0].clone();
    plan.stages = (0..stages)
        .map(|number| {
            let mut stage = first.clone();
            stage.name = format!("stage-number-{number}");
            stage
        })
        .collect();
    outcome.reports = (0..stages)
        .map(|number| StageReport {
            outcome: [StageOutcome::Passed, StageOutcome::NotTested, StageOutcome::Failed][number % 3],
            reached: Some(Evidence::InstalledKernel),
            not_tested: Some(words.to_owned()),
            remarks: vec![words.to_owned(); 3],
            ..StageReport::default()
        })
        .collect();
    outcome.verdict.stage = stages - 1;
    (plan, outcome)
}

/// How many rows of a terminal a text takes.
fn rows(text: &str, columns: usize) -> usize {
    let rows = text.lines().map(|line| width_of(line).div_ceil(columns).max(1));
    rows.sum()
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        text_of_any_length(),
        (1_usize..400).prop_map(|count| "word ".repeat(count)),
        (1_usize..1500).prop_map(|count| "x".repeat(count)),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn never_more_than_a_screen(
        stages in 1_usize..40, words in [hostile(), hostile(), hostile(), hostile(), hostile()], path in "[a-z/]{1,400}",
        columns in 20_usize..200, height in 6_usize..60, colour: bool, unicode: bool, reserved in 0_usize..4,
    ) {
        let (plan, mut outcome) = many(stages, &words[0]);
        let mut found = verdict(Class::KnownFailure);
        found.stage = stages - 1;
        (found.title, found.detail, found.remedy) = (words[1].clone(), words[2].clone(), words[3].clone());
        if let Some(rule) = &mut found.rule {
            rule.root_cause.clone_from(&words[4]);
        }
        found.led_by = vec![evidence(); 9];
        outcome.verdict = found;
        outcome.took = Duration::from_secs(86_399);
        let look = Look { columns, rows: height, colour, unicode };
        let run = PathBuf::from(path);
        let told = Told { run: &run, further: BUNDLE };
        let text = verdict_sheet(&plan, &outcome, &told, Sheet::new(Some(look)).above(reserved));
        let colours = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
        let shown = colours.replace_all(&text, "");
        prop_assert!(rows(&shown, columns) + reserved < height.min(24), "{}", shown);
        prop_assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", shown);
        prop_assert!(unicode || shown.is_ascii());
        prop_assert!(shown.starts_with("\nVerdict:  kno"), "{}", shown);

        let log = verdict_block(&plan, &outcome, &run);
        prop_assert!(rows(&log, 80) < 24, "{}", log);
        let next = "\nNext:     bootgate trace ";
        prop_assert!(log.contains(next) && log.contains("\nCause:    ") && log.contains("\nPublish:  yes: the image may be published in spite of this failure, until 2030-01-01\n"), "{}", log);
    }
}
