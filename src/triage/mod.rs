//! Rules that name the cause of a failure: from lines of the console and of a command's output, from attempts to log in and
//! QMP events, and from the causes that the machine decides on by itself.
//!
//! What a rule is, is in [`crate::plan::Rule`]; how rules are written, in the reader of rules files.

mod answer;
mod bench;
mod correlate;
mod lines;
mod lint;
mod look;
mod rules;

pub use answer::answer;
pub use bench::Bench;
pub use correlate::{Correlator, Finding, Place, Prospects, Sighting};
pub use lines::{cause_line, probe_line, qmp_line};
pub use lint::{EXPIRY_WARNING_DAYS, Problem, ReadFixture, Severity, expiry, lint};
pub use look::{LogScan, look_of, targets};
pub use rules::{BUILTIN_DIRECTORY, Rules, builtin, builtin_fixture};

pub use crate::plan::{Fixture, Rule, RuleClass, Source, parse_rules};
