//! What a run did, from the records of its trace: for a terminal, for Markdown, for trace viewers, beside another run.

mod chrome;
mod compare;
mod mermaid;
mod monitor;
#[cfg(feature = "otlp")]
mod otlp;
mod table;
mod timeline;

pub use chrome::chrome_trace;
pub use compare::Comparison;
pub use mermaid::mermaid_gantt;
pub use monitor::{QmpMoment, qmp_moments};
#[cfg(feature = "otlp")]
pub use otlp::{OtlpInputs, otlp_bytes, otlp_json, otlp_refusal};
pub use table::trace_table;
pub use timeline::{Moment, Span, StageSpan, Timeline};
