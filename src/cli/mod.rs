//! The commands: one file each. Nothing is decided here that another room could decide.

mod args;
mod background;
mod bundle;
mod check;
mod debug_iso;
mod demo;
mod diagram;
mod doctor;
mod failure;
mod finish;
mod gate;
mod host;
mod inspect;
mod print;
mod ps;
mod reap;
mod reopen;
mod replay;
mod rules;
mod run;
mod say;
mod trace;
mod triage;
mod verify_production;

pub use args::main;
