//! The command line of bootgate.

use std::process::ExitCode;

fn main() -> ExitCode {
    bootgate::cli::main()
}
