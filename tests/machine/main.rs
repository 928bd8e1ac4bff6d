//! The machine in virtual time: no process, no clock, no waiting. An instant is the origin plus some milliseconds.

mod access;
mod cancel;
mod confirmation;
mod deadlines;
mod debounce;
mod failures;
mod happy;
mod installed;
mod keep;
mod plans;
mod rules;
mod scenario;
mod stages;
mod steps;
mod unlock;
mod walks;
mod words;
mod world;
