//! `bootgate run`: a gate from its first stage to its verdict.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tokio::runtime::Runtime;

use crate::driver::{self, Options, Resolved, StopSignals};
use crate::evidence::{EvidenceError, RunDir};
use crate::machine::Verdict;
use crate::plan::{self, ImageSource, Plan};
use crate::qemu::disk::Digest;

use super::ci::CiArg;
use super::failure::{Decided, FailureArgs, HOLD_IN_CI, Surroundings};
use super::image_digest::ImageDigest;
use super::made::Made;
use super::step::{self, StepArgs, Wanted};
use super::{args, background, ci, gate, preflight, reap, rules, say};

/// Run a gate: boot the image, run its stages, tell the verdict.
///
/// The exit code is the verdict's class: 0 passed, 1 failed, 2 wrong gate file or arguments (nothing was started),
/// 3 known failure, 4 infrastructure, 5 untestable, 70 a defect of bootgate, 130 and 143 cancelled.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bootgate run gate.toml\n  bootgate run gate.toml --runs /srv/runs --json\n  bootgate run gate.toml --hold 2h\n  bootgate run gate.toml --stage install --from live.tar.zst"
)]
pub(super) struct Run {
    /// The gate file.
    #[arg(default_value = "gate.toml")]
    gate: PathBuf,
    #[command(flatten)]
    runs: args::RunsDir,
    /// Boot this image in place of the one that the gate file names.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    #[command(flatten)]
    step: StepArgs,
    #[command(flatten)]
    how: How,
}

/// How a run is shown, and what becomes of its machine.
#[derive(Debug, Args)]
pub(super) struct How {
    /// Print the result as JSON on standard output; the progress goes to standard error.
    #[arg(long)]
    pub(super) json: bool,
    /// Print only the verdict.
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Keep the disks in this directory, in place of the gate file's `[host] scratch`.
    #[arg(long, value_name = "DIR")]
    pub(super) scratch: Option<PathBuf>,
    /// Whose CI job the output is for.
    #[arg(long, value_enum, value_name = "CI", default_value_t)]
    pub(super) ci: CiArg,
    #[command(flatten)]
    pub(super) failure: FailureArgs,
}

impl Run {
    pub(super) fn execute(self) -> ExitCode {
        let (mut plan, text) = match gate::read_with_text(&self.gate) {
            Ok(read) => read,
            Err(error) => {
                gate::tell(&error, self.how.json);
                let marks = ci::of_gate(&self.gate, &error);
                ci::nothing_started(self.how.ci.look(), Verdict::EXIT_USAGE, &marks);
                return ExitCode::from(Verdict::EXIT_USAGE);
            }
        };
        if let Some(image) = self.image {
            replace_image(&mut plan, image);
        }
        match self.step.wanted(&plan) {
            Ok(step) => run_part(plan, &text, &self.runs.dir, &self.how, step),
            Err(refused) => refused.tell(self.how.json, self.how.ci.look()),
        }
    }
}

/// Boots another file as the image: same kind, same attachment.
pub(super) fn replace_image(plan: &mut Plan, image: PathBuf) {
    match &mut plan.image.source {
        ImageSource::Iso(path) | ImageSource::Disk { path, .. } | ImageSource::Kernel { kernel: path, .. } => {
            *path = image;
        }
    }
}

/// Runs the plan of a gate file with this text, and leaves its evidence.
pub(super) fn run_plan(plan: Plan, text: &str, runs: &Path, how: &How) -> ExitCode {
    run_part(plan, text, runs, how, None)
}

/// The same of one stage, if one is wanted.
fn run_part(mut plan: Plan, text: &str, runs: &Path, how: &How, step: Option<Wanted>) -> ExitCode {
    let (json, quiet) = (how.json, how.quiet);
    let Some(decided) = how.failure.decide(plan.on_failure, Surroundings::look(json)) else {
        say::tell(HOLD_IN_CI);
        return ExitCode::from(Verdict::EXIT_USAGE);
    };
    plan.on_failure = Some(decided.policy);
    if let Some(scratch) = &how.scratch {
        plan.host.scratch = Some(scratch.clone());
    }
    let (resolved, read) = match ready(&plan, runs, how, step.as_ref()) {
        Ok(ready) => ready,
        Err(code) => return code,
    };
    if let Some(code) = to_background(&decided, &how.failure) {
        return code;
    }
    if let Some(note) = decided.note {
        say::tell(format_args!("note: {note}"));
    }
    reap::before_run(runs);
    let (runtime, mut signals) = match begin() {
        Ok(begun) => begun,
        Err(error) => {
            say::tell(format_args!("error: the runtime can't be started: {error}"));
            return ExitCode::from(Verdict::EXIT_INTERNAL);
        }
    };
    let Some(run) = make_directory(runs, &plan) else {
        return ExitCode::from(4);
    };
    let kept_gate = plan::without_secrets(text);
    let gate_sha256 = Digest::of_bytes(kept_gate.as_bytes()).to_string();
    let step = match step::start(&runtime, step, &mut plan, (runs, &run, &gate_sha256), &mut signals) {
        Ok(step) => step,
        Err(refused) => return refused.tell(json, how.ci.look()),
    };
    let digest = ImageDigest::start(&plan);
    let made = Made {
        plan: Arc::new(plan),
        run,
        options: Options {
            part: step.as_ref().map(|step| step.part.clone()).unwrap_or_default(),
            start: step.as_ref().and_then(|step| step.start.clone()),
            hold: decided.hold,
            rules: read.rules,
            kept_rules: read.texts,
            kept_gate,
            image_digest: digest.known.clone(),
        },
        gate_file: text.to_owned(),
        ci: how.ci.look(),
        step,
        gate_sha256,
        json,
        quiet,
        background: how.failure.is_background(),
    };
    let code = runtime.block_on(made.run_to_end(resolved.secrets, digest, &mut signals));
    // Nothing of a finished run is worth waiting for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ExitCode::from(code)
}

/// Looks for everything that the run needs; what is missing is told, and nothing is started.
fn ready(plan: &Plan, runs: &Path, how: &How, step: Option<&Wanted>) -> Result<(Resolved, rules::Read), ExitCode> {
    let (json, ci) = (how.json, how.ci.look());
    let resolved = match driver::resolve(plan, step.map(|step| step.index)) {
        Ok(resolved) => resolved,
        Err(missing) => {
            gate::tell_missing(plan, &missing, json);
            let marks = ci::of_refusal(missing.iter().map(|input| (&*input.problem, &*input.mend)));
            ci::nothing_started(ci, Verdict::EXIT_USAGE, &marks);
            return Err(ExitCode::from(Verdict::EXIT_USAGE));
        }
    };
    let read = match rules::of_plan(plan) {
        Ok((read, problems)) => {
            rules::warn(&problems);
            read
        }
        Err(error) => {
            gate::tell(&error, json);
            ci::nothing_started(ci, Verdict::EXIT_USAGE, &ci::of_gate(&plan.file, &error));
            return Err(ExitCode::from(Verdict::EXIT_USAGE));
        }
    };
    match preflight::refuse(plan, runs, json, ci) {
        None => Ok((resolved, read)),
        Some(code) => Err(code),
    }
}

/// The run's own directory; why there is none is told.
fn make_directory(runs: &Path, plan: &Plan) -> Option<Arc<RunDir>> {
    let made = RunDir::create(runs, &plan.gate, Timestamp::now());
    let told = |error: &EvidenceError| {
        say::tell(format_args!(
            "error: no run directory can be made in `{}`: {error}\n  help: choose another place with --runs, or free space",
            runs.display()
        ));
    };
    made.inspect_err(told).ok().map(Arc::new)
}

/// A hold in the background: gives the exit code in the process that only waits for it, or if this can't be the one that holds.
fn to_background(decided: &Decided, failure: &FailureArgs) -> Option<ExitCode> {
    if !failure.is_background() {
        return decided.background.then(background::follow);
    }
    let error = background::begin().err()?;
    say::tell(format_args!("error: {error}"));
    Some(ExitCode::from(Verdict::EXIT_INTERNAL))
}

/// Starts the runtime and catches signals before the run has a directory, so that none is left without a verdict.
pub(super) fn begin() -> io::Result<(Runtime, StopSignals)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let context = runtime.enter();
    let signals = StopSignals::catch()?;
    drop(context);
    Ok((runtime, signals))
}
