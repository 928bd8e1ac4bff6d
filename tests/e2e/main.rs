//! The whole gate of a live-ISO project on the guest debian-live, and each failure that its documentation describes,
//! reproduced for real: `make e2e`. Prints a table; with words, only the scenarios whose names contain one of them run.

#[path = "../support/bench.rs"]
mod bench;
mod compare;
#[path = "../support/gate.rs"]
mod gate;
#[path = "../support/live.rs"]
mod live;
mod row;
mod scenarios;
#[path = "../support/tiny.rs"]
mod tiny;

use std::process::ExitCode;
use std::time::Instant;

use row::Table;

/// Fills its part of the table.
type Scenario = fn(&mut Table);

/// What is run side by side, each with its name. A guest keeps one processor busy most of the time.
const LANES: [&[(&str, Scenario)]; 2] = [
    &[
        ("four-steps", scenarios::four_steps),
        ("live", scenarios::live_faults),
        ("credentials", scenarios::credentials),
    ],
    &[
        ("small-memory", scenarios::small_memory),
        ("encrypted", scenarios::encrypted),
        ("large-memory", scenarios::large_memory),
        ("first-use", scenarios::first_use),
    ],
];
/// What is run alone, since it is timed.
const ALONE: &[(&str, Scenario)] = &[("compare", compare::compare)];

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let begun = Instant::now();
    let mut table = std::thread::scope(|scope| {
        let lanes = LANES.map(|lane| scope.spawn(|| run(lane, &words)));
        let tables = lanes.map(|lane| lane.join().expect("a row that panics is a row of the table"));
        tables.into_iter().fold(Table::default(), Table::with)
    });
    table = table.with(run(ALONE, &words));
    if table.print(begun.elapsed()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs those scenarios that one of the words is part of the name of, or all.
fn run(scenarios: &[(&str, Scenario)], words: &[String]) -> Table {
    let mut table = Table::default();
    for (name, scenario) in scenarios {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            scenario(&mut table);
        }
    }
    table
}
