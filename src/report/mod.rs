//! What a run leaves for people and for programs: the result, JUnit, and the lines of a terminal.

mod decision;
mod human;
mod junit;
mod page;
mod replay;
mod result;
mod trace;

pub use decision::{decision_block, decision_json, decision_table};
pub use human::{Hold, hold_block, record_line, verdict_block};
pub use junit::junit;
pub use page::{PAGE_LOG_BYTES_MAX, PageInputs, PageLog, PagePicture, report_page};
pub use replay::ReplayReport;
pub use result::{ResultInputs, result_json};
pub use trace::{Comparison, Moment, Span, StageSpan, Timeline, chrome_trace, mermaid_gantt, trace_table};
