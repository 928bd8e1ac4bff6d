//! Arguments, and which command gets them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::{
    bundle, check, debug_iso, decide, demo, diagram, doctor, init, inspect, ps, reap, reopen, replay, report, run, say,
    trace, triage, verify_production,
};

/// What stands below the list of commands.
const EXAMPLES: &str = "\
Examples:
  bootgate doctor gate.toml   can this host run the gate?
  bootgate check gate.toml    what would the gate do?
  bootgate run gate.toml      run it; the exit code is the verdict
  bootgate trace last         what happened, and where the evidence lies
  bootgate inspect last       why it failed; look into the held machine
  bootgate replay last        the same again without QEMU: what would other rules change?
  bootgate triage old.log     what do the rules know about an old log?

Exit codes: 0 passed, 1 failed, 2 wrong gate file or arguments, 3 known failure,
  4 infrastructure, 5 untestable, 70 a defect of bootgate, 130 and 143 cancelled.

BOOTGATE_LOG=debug prints what bootgate does on standard error; NO_COLOR=1 keeps colours out.";

/// Proves that a bootable OS image boots, installs and boots again.
#[derive(Debug, Parser)]
#[command(name = "bootgate", version, propagate_version = true, arg_required_else_help = true, after_help = EXAMPLES)]
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
        .with_ansi(say::is_coloured())
        // They would be printed by a macro that panics when standard error is gone.
        .log_internal_errors(false)
        .init();
    match Arguments::parse().command {
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
    }
}
