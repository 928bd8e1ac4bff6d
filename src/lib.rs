#![doc = include_str!("ARCHITECTURE.md")]

pub mod plan;
pub mod qemu;
pub mod text;
pub mod units;
