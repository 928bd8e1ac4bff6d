//! The command line of bootgate.

fn main() {}
