//! `bootgate run --stage`: one stage as a run of its own, so that a CI shows it as a step of its own.

mod args;
mod begin;
mod ending;
mod origin;
mod skip;
mod start;

pub(super) use args::{StepArgs, Wanted};
pub(super) use begin::Begun;
pub(super) use ending::next_block;
pub(super) use skip::Skipped;
pub(super) use start::start;
