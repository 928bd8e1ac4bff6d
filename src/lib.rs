#![doc = include_str!("ARCHITECTURE.md")]

pub mod plan;
pub mod serial;
pub mod text;
pub mod triage;
pub mod units;
