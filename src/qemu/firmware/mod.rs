//! Firmware: which UEFI files there are for a machine, and a fresh copy of their variables for each run; SeaBIOS.
//!
//! Firmware is found as QEMU's own documentation says (docs/interop/firmware.json): descriptor files name the pairs of
//! code and variables. Where a distribution has none, the pairs are known by name. The variables are part of a pair: a
//! pair without its variables is no firmware, and an empty file never stands in for them.

mod bios;
mod descriptor;
mod files;
mod find;
mod places;

pub use bios::{BiosError, find_bios};
pub use files::{FlashFile, UefiFiles};
pub use find::{FirmwareError, Skipped, find, find_in};
pub use places::Places;
