//! `bootgate doctor`: looks at this host, and says what to mend.

mod command;
mod finding;
mod machine;
mod needs;
mod qemu;
mod runs;

pub(super) use command::Doctor;
