#![doc = include_str!("ARCHITECTURE.md")]
// These macros panic when the reader has gone away; `cli::say` and `cli::print` do not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod bundle;
pub mod checkpoint;
pub mod cli;
pub mod control;
pub mod decide;
pub mod diskfs;
pub mod driver;
pub mod evidence;
pub mod image;
pub mod init;
pub mod machine;
pub mod plan;
pub mod procfs;
pub mod qemu;
pub mod qmp;
pub mod report;
pub mod screen;
pub mod serial;
pub mod ssh;
pub mod text;
pub mod triage;
pub mod units;
pub mod view;
