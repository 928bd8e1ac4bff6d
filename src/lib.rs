#![doc = include_str!("ARCHITECTURE.md")]

pub mod machine;
pub mod plan;
pub mod text;
pub mod units;
