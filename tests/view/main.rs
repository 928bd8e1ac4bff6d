//! The view of a run that goes on: what is drawn, at every width, and what a terminal shows of it.

mod bars;
#[path = "../support/hostile.rs"]
mod hostile;
mod pictures;
mod properties;
mod runs;
mod terminal;
