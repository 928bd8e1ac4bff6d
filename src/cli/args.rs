//! Arguments, and which command gets them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::{check, demo, diagram, doctor, reap, run, trace};

/// Proves that a bootable OS image boots, installs and boots again.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Check(check::Check),
    Doctor(doctor::Doctor),
    Trace(trace::Trace),
    Diagram(diagram::Diagram),
    Reap(reap::Reap),
    Demo(demo::Demo),
}

/// Where runs are kept unless `--runs` says otherwise.
pub(super) fn default_runs() -> PathBuf {
    PathBuf::from("runs")
}

/// The whole program.
pub fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("BOOTGATE_LOG");
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .init();
    match Arguments::parse().command {
        Command::Run(run) => run.execute(),
        Command::Check(check) => check.execute(),
        Command::Doctor(doctor) => doctor.execute(),
        Command::Trace(trace) => trace.execute(),
        Command::Diagram(diagram) => diagram.execute(),
        Command::Reap(reap) => reap.execute(),
        Command::Demo(demo) => demo.execute(),
    }
}
