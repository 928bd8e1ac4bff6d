//! What a run leaves for people and for programs: the result, JUnit, the lines of a terminal, and what a
//! CI job shows of it.

mod blame;
mod catalogue;
mod ci;
mod closing;
mod decision;
mod github;
mod human;
mod image;
mod junit;
mod page;
mod replay;
mod result;
mod summary;
mod trace;

pub use catalogue::{CauseEntry, catalogue, find, meant};
pub use ci::{Ci, Groups};
pub use closing::{Closing, annotations, refused_outputs, step_outputs};
pub use decision::{decision_block, decision_json, decision_table};
pub use github::{ANNOTATIONS_MAX, Annotation, Loudness, outputs};
pub use human::{Hold, hold_block, record_line, verdict_block};
pub use junit::junit;
pub use page::{PAGE_LOG_BYTES_MAX, PageInputs, PageLog, PagePicture, report_page};
pub use replay::ReplayReport;
pub use result::{ResultInputs, result_json};
pub use summary::{SUMMARY_BYTES_MAX, refused_summary, summary};
pub use trace::{Comparison, Moment, Span, StageSpan, Timeline, chrome_trace, mermaid_gantt, trace_table};
