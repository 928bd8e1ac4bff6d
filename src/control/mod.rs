//! What a held machine is asked for, and how it answers: the words that `inspect` and a holder have in common.

mod frame;
mod protocol;

pub use frame::{FRAME_BYTES_MAX, Frame, FrameError};
pub use protocol::{Answer, GuestAccess, HoldStatus, REQUEST_BYTES_MAX, Refusal, Request, SOCKET, TypeInto};
