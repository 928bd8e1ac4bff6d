//! What a run leaves for people and for programs: the result, JUnit, and the lines of a terminal.

mod human;
mod image;
mod junit;
mod replay;
mod result;
mod table;

pub use human::{Hold, hold_block, record_line, verdict_block};
pub use junit::junit;
pub use replay::ReplayReport;
pub use result::{ResultInputs, result_json};
pub use table::trace_table;
