//! The page of a run: one file that shows all of it, without a network and without a viewer.

mod chart;
mod document;
mod facts;
mod log;
mod logs;
mod picture;
mod states;
mod verdict;

pub use document::{PageInputs, report_page};
pub use log::{PAGE_LOG_BYTES_MAX, PageLog, PageLogFile};
pub use picture::{PAGE_PICTURES_BYTES_MAX, PagePicture};
