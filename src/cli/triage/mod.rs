//! `bootgate triage`: rules over old logs and old runs, without a machine.

mod against;
mod catalogue;
mod command;
mod found;
mod old_run;
mod scan;
mod timed;

pub(super) use command::Triage;
