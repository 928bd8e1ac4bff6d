//! `bootgate run`: a gate from its first stage to its verdict.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::driver::{self, Options, Outcome, Secrets, StopSignals};
use crate::evidence::{EvidenceError, RunDir};
use crate::machine::{Class, Verdict};
use crate::plan::{self, ImageSource, Plan};
use crate::qemu::disk::Digest;
use crate::report::{Hold, hold_block, verdict_block};
use crate::text::printable_json;

use super::failure::{Decided, FailureArgs, HOLD_IN_CI, Surroundings};
use super::finish::{Ending, Kept};
use super::image_digest::ImageDigest;
use super::print::{Printer, Watcher};
use super::step::{self, Begun, StepArgs, Wanted};
use super::{args, background, finish, gate, reap, rules, say};

/// A cancelled run must be gone within 5 s: its last text is not waited for longer than this.
const CANCELLED_PRINT: Duration = Duration::from_millis(500);

const HOLD_ENDED: &str = "The hold has ended; the machine is gone, the evidence stays.\n";

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
    gate: PathBuf,
    /// The directory that keeps the runs.
    #[arg(long, value_name = "DIR", env = "BOOTGATE_RUNS", default_value_os_t = args::default_runs())]
    runs: PathBuf,
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
    #[command(flatten)]
    pub(super) failure: FailureArgs,
}

impl Run {
    pub(super) fn execute(self) -> ExitCode {
        let (mut plan, text) = match gate::read_with_text(&self.gate) {
            Ok(read) => read,
            Err(error) => {
                gate::tell(&error, self.how.json);
                return ExitCode::from(Verdict::EXIT_USAGE);
            }
        };
        if let Some(image) = self.image {
            replace_image(&mut plan, image);
        }
        match self.step.wanted(&plan) {
            Ok(step) => run_part(plan, &text, &self.runs, &self.how, step),
            Err(refused) => refused.tell(self.how.json),
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
    let resolved = match driver::resolve(&plan, step.as_ref().map(|step| step.index)) {
        Ok(resolved) => resolved,
        Err(missing) => {
            gate::tell_missing(&plan, &missing, json);
            return ExitCode::from(Verdict::EXIT_USAGE);
        }
    };
    let rules = match rules::of_plan(&plan) {
        Ok((rules, problems)) => {
            rules::warn(&problems);
            rules
        }
        Err(error) => {
            gate::tell(&error, json);
            return ExitCode::from(Verdict::EXIT_USAGE);
        }
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
        Err(refused) => return refused.tell(json),
    };
    let digest = ImageDigest::start(&plan);
    let made = Made {
        plan: Arc::new(plan),
        run,
        options: Options {
            part: step.as_ref().map(|step| step.part.clone()).unwrap_or_default(),
            start: step.as_ref().and_then(|step| step.start.clone()),
            hold: decided.hold,
            rules,
            kept_gate,
            image_digest: digest.known.clone(),
        },
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

/// A run that has its directory.
struct Made {
    plan: Arc<Plan>,
    run: Arc<RunDir>,
    options: Options,
    /// The stage, if it is a run of one stage.
    step: Option<Begun>,
    gate_sha256: String,
    json: bool,
    quiet: bool,
    background: bool,
}

impl Made {
    async fn run_to_end(self, secrets: Secrets, digest: ImageDigest, signals: &mut StopSignals) -> u8 {
        let printer = Printer::start();
        let driven = self.drive(secrets, signals, &printer).await;
        let (code, answer, cancelled) = match driven {
            Ok((outcome, was_held)) => {
                let cancelled = outcome.verdict.class == Class::Cancelled;
                // What the stages before have read is what was tested.
                let known = self.step.as_ref().and_then(Begun::image_sha256);
                let digest = match known {
                    Some(known) => Some(known),
                    None => digest.finish(cancelled, signals).await,
                };
                let (result, told, is_lost) = self.finish(&outcome, digest, &printer, signals).await;
                // Whoever was told of the hold knows the verdict.
                let answer = if was_held {
                    HOLD_ENDED.to_owned()
                } else {
                    self.answer(&outcome, &result) + if self.json { "" } else { &told }
                };
                // The next stage would find nothing to go on with.
                let code = match outcome.verdict.exit_code() {
                    0 if is_lost => 4,
                    code => code,
                };
                (code, answer, cancelled)
            }
            Err(error) => {
                printer.tell(format_args!("error: the evidence can't be kept: {error}"));
                (4, String::new(), false)
            }
        };
        // The run is over, also for others, before its last text is read.
        drop(self);
        let enough = async {
            if cancelled {
                tokio::time::sleep(CANCELLED_PRINT).await;
            } else {
                signals.next().await;
            }
        };
        printer.finish(answer, enough).await;
        code
    }

    async fn drive(
        &self,
        secrets: Secrets,
        signals: &mut StopSignals,
        printer: &Printer,
    ) -> Result<(Outcome, bool), EvidenceError> {
        let mut was_held = false;
        let mut on_held = |outcome: &Outcome, expires: Timestamp| {
            was_held = true;
            self.held(outcome, expires, printer);
        };
        let mut watcher = Watcher {
            plan: self.plan.clone(),
            on_held: &mut on_held,
            printer,
            json: self.json,
            quiet: self.quiet,
        };
        let id = &self.run.info().id;
        watcher.line(format_args!("bootgate {}  run {id}", env!("CARGO_PKG_VERSION")));
        if let Some(skipped) = self.step.as_ref().and_then(|step| step.skipped.as_ref()) {
            self.run.keep_gate(self.options.kept_gate.as_bytes())?;
            return Ok((skipped.outcome(&self.plan, &self.options.part, &self.run)?, false));
        }
        let outcome = driver::run(
            self.plan.clone(),
            secrets,
            self.run.clone(),
            &self.options,
            signals,
            &mut watcher,
        )
        .await?;
        Ok((outcome, was_held))
    }

    /// Writes what the run ends with. Gives the result, what is to be told of the bundle, and whether it is lacking.
    async fn finish(
        &self,
        outcome: &Outcome,
        digest: Option<String>,
        printer: &Printer,
        signals: &mut StopSignals,
    ) -> (Value, String, bool) {
        let (plan, run, step) = (&self.plan, &self.run, self.step.as_ref());
        let kept = Kept::of(plan, run, outcome, step);
        let write = |kept| finish::write(plan, run, outcome, &self.ending(digest.clone(), kept), printer);
        let result = write(&kept);
        match finish::pack(run, &kept, signals).await {
            Ok(bundle) => (result, finish::told(plan, run, outcome, bundle.as_ref()), false),
            Err(why) => {
                let told = format!("Bundle:   none: {why}\n          the evidence and the verdict stand\n");
                (write(&Kept::NoBundle(why)), told, true)
            }
        }
    }

    fn ending<'a>(&'a self, image_sha256: Option<String>, kept: &'a Kept) -> Ending<'a> {
        Ending {
            image_sha256,
            gate_sha256: &self.gate_sha256,
            kept,
            step: self.step.as_ref(),
        }
    }

    /// What is told in the end.
    fn answer(&self, outcome: &Outcome, result: &Value) -> String {
        if self.json {
            printable_json(result, true) + "\n"
        } else {
            verdict_block(&self.plan, outcome, self.run.path())
        }
    }

    /// The verdict is told, and written, while the machine is held: the hold may last for hours, or end by a kill.
    fn held(&self, outcome: &Outcome, expires: Timestamp, printer: &Printer) {
        let result = finish::write(
            &self.plan,
            &self.run,
            outcome,
            &self.ending(None, &Kept::Nothing),
            printer,
        );
        printer.text(self.answer(outcome, &result));
        let hold = Hold {
            run: self.run.path(),
            expires,
            background: self.background,
        };
        if self.json {
            printer.tell(hold_block(&hold));
        } else {
            printer.text(hold_block(&hold));
        }
        if self.background {
            if let Err(error) = background::release() {
                printer.tell(format_args!("warning: the hold ends with this terminal: {error}"));
            }
            printer.let_go(outcome.verdict.exit_code());
        }
    }
}
