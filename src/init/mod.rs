//! The first gate file for an image: what can be seen in it, what that suggests, and a file that says both.

mod access;
mod blocks;
mod disk;
mod draft;
mod error;
mod look;
mod page;
mod wording;

pub use draft::{Draft, GateImage, draft};
pub use error::InitError;
pub use look::{Medium, Survey, look};
pub use page::toml_string;

#[cfg(test)]
mod tests;
