//! Rules that name the cause of a failure from a line of the console or of a command's output.

mod parse;
mod rule;

pub use parse::{Rules, RulesError, builtin};
pub use rule::{Rule, RuleClass, Source};
