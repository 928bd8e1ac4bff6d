//! `bootgate diagram`: the state machine as it is.

use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::machine::{deadlines_csv, mermaid, transitions_csv, walk};

/// Print the state machine: a Mermaid diagram, or its edges or deadlines as CSV.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bootgate diagram > gate.mmd\n  bootgate diagram --form transitions")]
pub(super) struct Diagram {
    /// What to print.
    #[arg(long, value_enum, default_value_t = Form::Mermaid)]
    form: Form,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// A Mermaid state diagram.
    Mermaid,
    /// Every edge with its event, as CSV.
    Transitions,
    /// Every state's deadlines, as CSV.
    Deadlines,
}

impl Diagram {
    pub(super) fn execute(self) -> ExitCode {
        let walk = walk(Instant::now());
        print!(
            "{}",
            match self.form {
                Form::Mermaid => mermaid(&walk),
                Form::Transitions => transitions_csv(&walk),
                Form::Deadlines => deadlines_csv(&walk),
            }
        );
        ExitCode::SUCCESS
    }
}
