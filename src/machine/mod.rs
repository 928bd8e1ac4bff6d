//! The gate as one hierarchical state machine: pure, cloneable, driven by events and answering with effects.
//!
//! Read [`State`] for the states, [`Event`] for what can happen, [`Effect`] for what the machine asks the driver to
//! do, and [`Machine`] for how they meet. Nothing here reads a clock, waits, or performs I/O.

mod access;
mod api;
mod boot;
mod cause;
mod deadline;
mod diagram;
mod effect;
mod event;
mod explain;
mod explore;
mod failing;
mod finding;
mod findings;
mod gate;
mod handover;
mod hierarchy;
mod install;
mod installed;
mod part;
mod record;
mod run;
mod signal;
mod specimen;
mod specimen_plans;
mod ssh;
mod state;
mod step;
mod unlock;
mod verdict;

pub use access::AccessRefusal;
pub use api::Machine;
pub use cause::Cause;
pub use deadline::{Armed, DeadlineKind, Deadlines};
pub use diagram::{deadlines_csv, mermaid, representative_walks, transitions_csv};
pub use effect::{BootFrom, Effect, EndMode};
pub use event::{CommandExit, Event, GuestStatus, IdentityFault, Mark, ProbeClass, ProcessEnd, Sighting, SshStability};
pub use explain::Explanation;
pub use explore::{Edge, Exploration, explore};
pub use finding::{Finding, Prospects, RuleFacts};
pub use part::{Handed, Left, Part, Step};
pub use record::{EvidenceRef, FINDINGS_MAX, Record, StageOutcome, StageReport};
pub use signal::StopSignal;
pub use specimen::representative_events;
pub use specimen_plans::{opened_plan, representative_parts, representative_plan};
pub use state::{State, Superstate};
pub use verdict::{Class, Verdict};
