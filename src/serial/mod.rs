//! The serial console: bytes → lines → matches, and the task that drains it.

pub mod marker;
pub mod splitter;
