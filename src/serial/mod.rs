//! The serial console: bytes → lines → matches, and the task that drains it.

pub mod cast;
pub mod console;
pub mod log_end;
pub mod login;
pub mod marker;
pub mod prompt;
pub mod raw_log;
pub mod screen;
pub mod splitter;
pub mod tap;
