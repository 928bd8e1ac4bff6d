//! Arguments, and which command gets them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use super::{
    bundle, check, completions, debug_iso, decide, demo, diagram, doctor, explain, help, init, inspect, man, print, ps,
    reap, reopen, replay, report, run, say, trace, triage, verify_production,
};

/// Proves that a bootable OS image boots, installs and boots again.
#[derive(Debug, Parser)]
#[command(name = "bootgate", version, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Run(run::Run),
    Check(check::Check),
    Decide(decide::Decide),
    Doctor(doctor::Doctor),
    Trace(trace::Trace),
    Report(report::Report),
    Inspect(inspect::Inspect),
    Bundle(bundle::BundleArgs),
    Reopen(reopen::Reopen),
    Ps(ps::Ps),
    Replay(replay::Replay),
    Triage(triage::Triage),
    Diagram(diagram::Diagram),
    Reap(reap::Reap),
    DebugIso(debug_iso::DebugIso),
    VerifyProduction(verify_production::VerifyProduction),
    Demo(demo::Demo),
    Explain(explain::Explain),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Where runs are kept unless `--runs` says otherwise.
pub(super) const RUNS: &str = "runs";

/// The argument of each command that looks for runs.
#[derive(Debug, Args)]
pub(super) struct RunsDir {
    /// The directory that keeps the runs.
    #[arg(id = "runs", long = "runs", global = true, value_name = "DIR", env = "BOOTGATE_RUNS", default_value = RUNS)]
    pub(super) dir: PathBuf,
}

/// The command line as it is taught: for help, completions and manual pages.
pub(super) fn command() -> clap::Command {
    help::taught(Arguments::command())
}

fn parsed() -> Arguments {
    let matches = command().get_matches();
    Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// The whole program.
pub fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("BOOTGATE_LOG");
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| "warn".into()))
        .with_writer(print::Warnings)
        .with_ansi(say::is_coloured())
        // They would be printed by a macro that panics when standard error is gone.
        .log_internal_errors(false)
        .init();
    match parsed().command {
        Command::Init(init) => init.execute(),
        Command::Run(run) => run.execute(),
        Command::Check(check) => check.execute(),
        Command::Decide(decide) => decide.execute(),
        Command::Doctor(doctor) => doctor.execute(),
        Command::Trace(trace) => trace.execute(),
        Command::Report(report) => report.execute(),
        Command::Inspect(inspect) => inspect.execute(),
        Command::Bundle(bundle) => bundle.execute(),
        Command::Reopen(reopen) => reopen.execute(),
        Command::Ps(ps) => ps.execute(),
        Command::Replay(replay) => replay.execute(),
        Command::Triage(triage) => triage.execute(),
        Command::Diagram(diagram) => diagram.execute(),
        Command::Reap(reap) => reap.execute(),
        Command::DebugIso(debug_iso) => debug_iso.execute(),
        Command::VerifyProduction(verify) => verify.execute(),
        Command::Demo(demo) => demo.execute(),
        Command::Explain(explain) => explain.execute(),
        Command::Completions(completions) => completions.execute(),
        Command::Man(man) => man.execute(),
    }
}
