//! A QEMU that we started: how it is started so that it can't outlive us, how it is watched, how it is ended.

mod exit;
mod inherited;
mod ladder;
mod oom;
mod running;
mod spawner;

pub use exit::{Exit, ExitReport};
pub use inherited::{InheritedFd, InheritedSocket};
pub use ladder::{EndReport, Rung, Rungs, end, end_now};
pub use oom::OomEvidence;
pub use running::Running;
pub use spawner::{PASSED_ENVIRONMENT, SpawnError, SpawnRequest, Spawner};
