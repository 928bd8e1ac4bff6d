//! The one task that owns the machine: it merges everything that happens into events, and performs the effects.
//!
//! [`run()`] is the whole of it. Nothing else changes the state of a gate.

mod access;
mod capture;
mod command;
mod command_end;
mod credentials;
mod fact;
mod feed;
mod heartbeat;
mod hold;
mod host;
mod idle;
mod images;
mod input;
mod intake;
mod journal;
mod keep;
mod keys;
mod launch;
mod perform;
mod pictures;
mod preflight;
mod prepare;
mod question;
mod recorder;
mod reopen;
mod replay;
mod resolve;
mod run;
mod scratch;
mod screen;
mod search;
mod secrets;
mod sight;
mod signals;
mod space;
mod spec;
mod step;
mod take;
mod target;
mod trace;
mod translate;
mod triage;
mod vm;
mod watch;

pub use host::HostFacts;
pub use images::{ImageRelation, MadeFrom};
pub use keep::CHECKPOINT;
pub use pictures::SCREENS;
pub use preflight::{
    Check, DiskNeeds, FREE_BYTES_MIN, Level, check_leavings, check_memory, check_space, nearest_directory, preflight,
};
pub use reopen::{HoldEnd, ReopenError, ReopenRequest, Reopened, reopen};
pub use replay::{ReplayEnd, ReplayError, ReplayOptions, Replayed, replay};
pub use resolve::{MissingInput, Resolved, resolve};
pub use run::{Observer, Options, Outcome, run};
pub use scratch::remove_scratch;
pub use secrets::{Secrets, read_auth};
pub use sight::Sight;
pub use signals::StopSignals;
pub use spec::{HostParts, RunPlace, Sockets, has_firmware_console, machine_spec, machines};
pub use step::StepStart;
pub use trace::record_json;
pub use triage::facts;
