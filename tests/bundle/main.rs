//! Bundles: what goes in comes out, what does not fit is named, and hostile ones leave nothing behind.
#![allow(
    clippy::cast_possible_truncation,
    reason = "sizes of a few MiB fit every usize that Linux runs on"
)]

mod forge;
mod hostile;
mod run;
mod whole;
