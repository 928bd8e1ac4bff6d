//! What a person who watches a run sees: a model that notices of the run are folded into, and the rows that are drawn of it.
//!
//! Nothing here reads a clock or writes to a terminal: who draws hands in the time and the size of the window.

mod beat;
mod draw;
mod look;
mod model;
mod painter;
mod percentage;
mod progress;
mod wrap;

pub use beat::{BEAT_EVERY, Beat};
pub use draw::draw;
pub use look::{Ink, Look, Row, glyphs, width_of};
pub use model::{Model, Seen};
pub use painter::Painter;
pub use progress::{Progress, ProgressReader};
pub use wrap::{beginning, wrap};
