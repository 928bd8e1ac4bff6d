//! Disks made by the tools that make real ones, read without a mount.

mod export;
mod hostile;
mod images;
mod journal;
mod kinds;
mod layers;
mod reading;
