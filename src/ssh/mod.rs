//! Logging in to the guest, judging whether its SSH server is stable, and running commands in it.
//!
//! QEMU's user networking accepts a connection on the host side before anything in the guest listens, so an open port
//! proves nothing: the unit of evidence here is a full login that reads the guest's boot id back.

mod client;
mod command;
mod detached;
mod exec;
mod exit;
mod follow;
mod greeting;
mod hostkey;
mod login;
mod made_key;
mod outcome;
mod probe;
mod shell;
mod stability;
mod upload;
mod watch;

pub use client::Session;
pub use command::{CommandEnd, CommandError, CommandNotice, CommandSpec, ReconnectRule, run_command};
pub use detached::{COMMAND_BYTES_MAX, Detached, DetachedError, JobSpec};
pub use exec::{ExecError, Output};
pub use exit::Exit;
pub use follow::{Followed, Follower};
pub use hostkey::{HostKey, HostKeyChanged, HostKeyPin, KeyAcrossBoots};
pub use login::{Auth, ClientKey, KEEPALIVES_MAX, KeyError, Login, PhaseDeadlines, PhaseTimes};
pub use made_key::MadeKey;
pub use outcome::{BootId, ExecFailure, Facts, KexFailure, ProbeClass, ProbeOutcome, ProbeSummary};
pub use probe::{Probe, probe};
pub use stability::{Progress, Stability, StabilityRule};
pub use upload::{GuestProblem, UploadError, Uploaded, upload};
pub use watch::LoginWatch;
