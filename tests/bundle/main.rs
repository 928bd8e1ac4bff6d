//! Bundles: what goes in comes out, what does not fit is named, and hostile ones leave nothing behind.

mod forge;
mod hostile;
mod run;
mod whole;
