#![doc = include_str!("ARCHITECTURE.md")]

pub mod cli;
pub mod driver;
pub mod evidence;
pub mod machine;
pub mod plan;
pub mod procfs;
pub mod qemu;
pub mod qmp;
pub mod report;
pub mod serial;
pub mod ssh;
pub mod text;
pub mod triage;
pub mod units;
