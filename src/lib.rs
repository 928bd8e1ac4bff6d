#![doc = include_str!("ARCHITECTURE.md")]

pub mod evidence;
pub mod machine;
pub mod plan;
pub mod procfs;
pub mod qemu;
pub mod qmp;
pub mod serial;
pub mod ssh;
pub mod text;
pub mod triage;
pub mod units;
