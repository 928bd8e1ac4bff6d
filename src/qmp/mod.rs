//! Talking to QEMU's monitor: bounded framing, request ids, a pending table that survives dropped callers, and events
//! that are kept even if their form is unknown.
//!
//! Only the *types* of `qapi` are used here. Its own stream ends on one unknown event, sends no ids and has no line
//! limit. [`codec`], [`session`] and [`event`] are pure; [`link`] is the one task that owns the connection, and
//! [`Qmp`] the handle to it.

pub mod codec;
mod command;
mod error;
pub mod event;
mod handle;
pub mod link;
mod notice;
mod request;
pub mod session;
mod transcript;

pub use command::RunState;
pub use error::{QmpError, QmpLoss};
pub use event::QmpEvent;
pub use handle::{EventGap, Qmp, QmpEvents};
pub use link::attach;
pub use notice::{ProtocolNote, QemuVersion, QmpNotice};
pub use request::{Band, Request};
pub use transcript::{Direction, NoTranscript, SharedTranscript, Transcript};
