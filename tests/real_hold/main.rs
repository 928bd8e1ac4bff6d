//! A failed machine that is kept for a person, from outside, on real QEMU with the real tiny guest: who may attach, what
//! each verb does, and that nothing is left of it in the end.

#[path = "../real_ownership/gates.rs"]
mod gates;
#[path = "../support/watched_run.rs"]
mod watched_run;

mod end;
mod verbs;
