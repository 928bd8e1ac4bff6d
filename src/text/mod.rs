//! Text that came from outside, and what may be done with it.

mod untrusted;

pub use untrusted::Untrusted;
