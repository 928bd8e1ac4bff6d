//! `bootgate inspect`: a person looks into a run, and into its machine if that is held.

mod attach;
mod client;
mod command;
mod disk;
mod live;
mod show;
mod terminal;
mod typed;
mod verb;

pub(super) use command::Inspect;
pub(super) use live::{perform, quit};
pub(super) use verb::Verb;
