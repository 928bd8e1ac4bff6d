//! The one task that owns the machine: it merges everything that happens into events, and performs the effects.
//!
//! [`run()`] is the whole of it. Nothing else changes the state of a gate.

mod capture;
mod command;
mod heartbeat;
mod host;
mod input;
mod perform;
mod prepare;
mod resolve;
mod run;
mod secrets;
mod signals;
mod spec;
mod take;
mod trace;
mod translate;
mod triage;
mod vm;
mod watch;

pub use host::{FREE_BYTES_MIN, HostFacts};
pub use resolve::{MissingInput, Resolved, resolve};
pub use run::{Observer, Options, Outcome, run};
pub use secrets::Secrets;
pub use signals::StopSignals;
pub use spec::{HostParts, RunPlace, Sockets, has_firmware_console, machine_spec, machines};
pub use trace::record_json;
pub use triage::facts;
