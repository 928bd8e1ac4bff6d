#![doc = include_str!("ARCHITECTURE.md")]

pub mod plan;
pub mod ssh;
pub mod text;
pub mod units;
