#![doc = include_str!("ARCHITECTURE.md")]

pub mod plan;
pub mod qmp;
pub mod text;
pub mod units;
