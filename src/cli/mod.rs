//! The commands: one file each. Nothing is decided here that another room could decide.

mod args;
mod background;
mod bundle;
mod check;
mod ci;
mod debug_iso;
mod decide;
mod demo;
mod diagram;
mod doctor;
mod failure;
mod finish;
mod gate;
mod host;
mod image_digest;
mod init;
mod inspect;
mod made;
mod preflight;
mod print;
mod ps;
mod reap;
mod reopen;
mod replay;
mod report;
mod rules;
mod run;
mod say;
mod step;
mod trace;
mod triage;
mod verify_production;

pub use args::main;
