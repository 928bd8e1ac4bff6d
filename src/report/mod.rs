//! What a run leaves for people and for programs: the result, JUnit, the lines of a terminal, and what a
//! CI job shows of it.

mod blame;
mod catalogue;
mod ci;
mod closing;
mod closing_block;
mod decision;
mod github;
mod human;
mod image;
mod junit;
mod page;
mod replay;
mod result;
mod sheet;
mod summary;
mod trace;

pub use catalogue::{CauseEntry, catalogue, find, meant};
pub use ci::{Ci, Groups};
pub use closing::{Closing, annotations, refused_outputs, step_outputs};
pub use closing_block::{Told, verdict_block, verdict_sheet};
pub use decision::{decision_block, decision_json, decision_table};
pub use github::{ANNOTATIONS_MAX, Annotation, Loudness, outputs};
pub use human::{Hold, hold_block, record_line};
pub use junit::{JunitFiles, junit};
pub use page::{
    PAGE_LOG_BYTES_MAX, PAGE_PICTURES_BYTES_MAX, PageInputs, PageLog, PageLogFile, PagePicture, report_page,
};
pub use replay::ReplayReport;
pub use result::{ResultInputs, result_json, rule_json};
pub use sheet::Sheet;
pub use summary::{SUMMARY_BYTES_MAX, refused_summary, summary};
pub use trace::{
    Comparison, Moment, QmpMoment, Span, StageSpan, Timeline, chrome_trace, mermaid_gantt, qmp_moments, trace_table,
};
#[cfg(feature = "otlp")]
pub use trace::{OtlpInputs, otlp_bytes, otlp_json, otlp_refusal};
