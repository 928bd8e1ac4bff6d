//! What the runs of a gate say about publishing the image.
//!
//! [`decide()`] is a function of what [`RunFacts`] keeps of each `result.json`, and of the day. A stage is answered by a run
//! that passed it; the image is refused by a run that failed; everything else is no answer.

mod facts;
mod reason;
mod rule;

pub use facts::{FactsError, Known, Production, RunFacts, StageFacts};
pub use reason::{Answer, Reason};
pub use rule::{Decision, StageAnswer, StageRow, decide};
