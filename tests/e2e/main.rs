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

/// What is run, each with its name: one after the other, since two guests at once on two processors take as long as in turn.
const SCENARIOS: &[(&str, Scenario)] = &[
    ("four-steps", scenarios::four_steps),
    ("compare", compare::compare),
    ("small-memory", scenarios::small_memory),
    ("large-memory", scenarios::large_memory),
    ("live", scenarios::live_faults),
    ("credentials", scenarios::credentials),
    ("first-use", scenarios::first_use),
];
fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let begun = Instant::now();
    let mut table = Table::default();
    for (name, scenario) in SCENARIOS {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            scenario(&mut table);
        }
    }
    table.finish();
    if table.print(begun.elapsed()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
