//! A machine that is kept for a person: who may ask what of it over its private control socket.

mod machine;
mod server;
mod stream;
mod verbs;

pub(super) use machine::{Expiry, FileNumbers, HeldMachine};
pub(super) use server::{HoldAsk, Holder};
