//! The commands: one file each. Nothing is decided here that another room could decide.

mod args;
mod check;
mod demo;
mod diagram;
mod doctor;
mod gate;
mod host;
mod print;
mod reap;
mod rules;
mod run;
mod say;
mod trace;
mod triage;

pub use args::main;
