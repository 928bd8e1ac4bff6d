//! The commands: one file each. Nothing is decided here that another room could decide.

mod args;
mod background;
mod bundle;
mod check;
mod ci;
#[cfg(feature = "otlp")]
mod collector;
mod completions;
mod debug_iso;
mod decide;
mod demo;
mod diagram;
mod doctor;
mod explain;
mod failure;
mod finish;
mod gate;
mod help;
mod host;
mod image_digest;
mod init;
mod inspect;
mod job_control;
mod made;
mod man;
#[cfg(feature = "otlp")]
mod otlp;
mod panics;
mod place;
mod preflight;
mod present;
mod print;
mod ps;
mod reap;
mod reopen;
mod reopening;
mod replay;
mod report;
mod rules;
mod run;
mod saved;
mod say;
mod step;
mod trace;
mod triage;
mod verify_production;
mod watch;

pub use args::main;
