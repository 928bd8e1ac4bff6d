//! The whole gate of a live-ISO project on the guest debian-live, and each failure that its documentation describes,
//! reproduced for real: `make e2e`. Prints a table of the rows; those whose name contains the first argument run alone.

#[path = "../support/follow.rs"]
mod follow;
#[path = "../support/gate.rs"]
mod gate;
#[path = "../support/keep.rs"]
mod keep;
#[path = "../support/live.rs"]
mod live;
#[path = "../support/replay.rs"]
mod replay;
mod row;
mod rows;
#[path = "../support/run.rs"]
mod run;
#[path = "../support/tiny.rs"]
mod tiny;

use std::process::ExitCode;

fn main() -> ExitCode {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let rows = rows::ROWS
        .iter()
        .filter(|row| wanted.as_ref().is_none_or(|wanted| row.name.contains(wanted)));
    let done: Vec<_> = rows.map(row::Row::run).collect();
    row::print(&done);
    if !done.is_empty() && done.iter().all(|row| row.passed) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
