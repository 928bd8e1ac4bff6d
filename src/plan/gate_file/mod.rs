//! Reads a gate file: TOML text in, a [`Plan`](super::Plan) or every mistake out.
//!
//! Each section's file declares its keys once; the reader, the complaints and the JSON Schema come from there.

mod console;
mod container;
mod context;
mod date;
mod diagnostic;
mod disk;
mod extra_args;
mod gate;
mod host;
mod image;
mod key;
mod machine;
mod mask;
mod number;
mod open_by;
mod pattern;
mod place;
mod publish;
mod reader;
mod rule;
mod rule_look;
mod schema;
mod secret_value;
mod ssh;
mod stage;
mod stage_kinds;
mod stage_rules;
mod suggest;
mod syntax;
mod triage;
mod unit;
mod value;
mod word;

pub use diagnostic::{Diagnostic, GateFileErrors, Related};
pub use gate::parse;
pub use mask::without_secrets;
pub use place::{KeyStep, Place, place_of};
pub use rule::parse_rules;
pub use schema::schema;
pub use suggest::nearest;
