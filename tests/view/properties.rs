//! Whatever a guest says, the view stays within its window and says nothing to the terminal.

use bootgate::machine::{Record, StageOutcome, State};
use bootgate::plan::Evidence;
use bootgate::view::{Look, draw, width_of};
use proptest::prelude::*;

use crate::hostile::text_of_any_length;
use crate::runs::{Run, note, plan_of};

/// Words that would do harm, and wide or combining ones.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![4 => text_of_any_length(), 1 => any::<String>(), 1 => "[a-z]{0,300}"]
}

fn look() -> impl Strategy<Value = Look> {
    (1_usize..200, 1_usize..40, any::<bool>(), any::<bool>()).prop_map(|(columns, rows, colour, unicode)| Look {
        columns,
        rows,
        colour,
        unicode,
    })
}

fn run(stages: usize, current: usize, state: State, words: &[String; 4]) -> Run {
    let plan = plan_of(stages);
    let mut run = Run::new(&plan);
    for stage in 0..current.min(stages - 1) {
        run.record(0, &Record::StageBegan { stage });
        run.end(1, stage, StageOutcome::NotTested, Evidence::InstalledKernel);
    }
    run.begin(1, current.min(stages - 1), state, 60);
    run.record(2, &note("uploaded", &words[0]));
    run.says(&words[1], Some(&words[2]), Some((200, &words[3])));
    run
}

/// The text without our colours.
fn colourless(text: &str) -> String {
    let colour = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
    colour.replace_all(text, "").into_owned()
}

proptest! {
    #[test]
    fn it_fits_and_acts_on_nothing(
        stages in 1_usize..30, current in 0_usize..30, state in prop::sample::select(State::ALL.to_vec()),
        words in [hostile(), hostile(), hostile(), hostile()], look in look(),
    ) {
        let run = run(stages, current, state, &words);
        let rows = draw(&run.model, run.at(9), &look);
        prop_assert!(rows.len() < look.rows.max(2));
        for row in rows {
            let painted = row.painted();
            let shown = if look.colour { colourless(&painted) } else { painted };
            prop_assert!(!shown.chars().any(char::is_control), "{:?}", shown);
            prop_assert!(look.unicode || shown.is_ascii(), "{:?}", shown);
            prop_assert!(width_of(&shown) < look.columns.max(2), "{:?}", shown);
        }
        let beat = run.model.beat(run.at(9));
        prop_assert!(!beat.chars().any(char::is_control) && beat.chars().count() < 1000, "{:?}", beat);
        prop_assert!(!beat.trim_start().starts_with("::") && !beat.contains("##["), "{:?}", beat);
    }
}
