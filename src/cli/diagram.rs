//! `bootgate diagram`: the state machine as it is.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::say;

/// Print the state machine: a Mermaid diagram, or its edges or deadlines as CSV.
///
/// The texts are those of `state-diagrams/` in the sources. They are made by walking the machine through every
/// configuration it can reach, and a test holds them against it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bootgate diagram > gate.mmd\n  bootgate diagram --format transitions")]
pub(super) struct Diagram {
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A Mermaid state diagram.
    Mermaid,
    /// Every edge with its event, as CSV.
    Transitions,
    /// Every state's deadlines, as CSV.
    Deadlines,
}

impl Diagram {
    pub(super) fn execute(self) -> ExitCode {
        // Not walked here: that takes seconds. The test of the walk keeps these files right.
        say::answer(match self.format {
            Format::Mermaid => include_str!("../../state-diagrams/gate.mmd"),
            Format::Transitions => include_str!("../../state-diagrams/transitions.csv"),
            Format::Deadlines => include_str!("../../state-diagrams/deadlines.csv"),
        })
    }
}
