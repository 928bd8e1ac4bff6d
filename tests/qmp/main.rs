//! QMP: recorded sessions, faults against a fake QEMU, and the real one.

mod conformance;
mod fake;
mod faults;
mod fixture;
mod guest;
mod limits;
mod listeners;
mod negotiation;
mod real;
mod replay;
mod secrecy;
mod story;
mod walk;
