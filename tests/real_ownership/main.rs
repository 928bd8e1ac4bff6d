//! Ownership and exposure, proven from outside on real QEMU with the real tiny guest: what a run starts ends with it,
//! what it keeps is private, and its neighbours are left alone.

#[path = "../support/watched_run.rs"]
mod watched_run;

mod cancel;
mod crowd;
mod exposure;
mod fallback;
mod gates;
mod kill;
mod outside;
