//! The catalogue of causes: how each is known, where its evidence lies, what to type next.

mod guest;
mod host;
mod install;
mod row;

pub use row::Explanation;
