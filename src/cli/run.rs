//! `bootgate run`: a gate from its first stage to its verdict.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::driver::{self, Options, Outcome, Secrets, StopSignals};
use crate::evidence::{Declared, HASH_BYTES_MAX, RunDir, write_atomically, write_manifest};
use crate::machine::{Class, Verdict};
use crate::plan::{ImageSource, Plan};
use crate::qemu::disk;
use crate::report::{ResultInputs, junit, result_json, verdict_block};
use crate::text::printable_json;
use crate::triage::Rules;
use crate::units::MIB;

use super::print::{Printer, Watcher};
use super::{args, gate, reap, rules, say};

/// A cancelled run must be gone within 5 s: only small files are hashed for its manifest.
const CANCELLED_HASH_BYTES_MAX: u64 = 16 * MIB;
/// Nor is its last text waited for longer than this.
const CANCELLED_PRINT: Duration = Duration::from_millis(500);

/// Run a gate: boot the image, run its stages, tell the verdict.
///
/// The exit code is the verdict's class: 0 passed, 1 failed, 2 wrong gate file or arguments (nothing was started),
/// 3 known failure, 4 infrastructure, 5 untestable, 70 a defect of bootgate, 130 and 143 cancelled.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bootgate run gate.toml\n  bootgate run gate.toml --runs /srv/runs --json")]
pub(super) struct Run {
    /// The gate file.
    gate: PathBuf,
    /// The directory that keeps the runs.
    #[arg(long, value_name = "DIR", env = "BOOTGATE_RUNS", default_value_os_t = args::default_runs())]
    runs: PathBuf,
    /// Boot this image in place of the one that the gate file names.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Print the result as JSON on standard output; the progress goes to standard error.
    #[arg(long)]
    json: bool,
    /// Print only the verdict.
    #[arg(long, short)]
    quiet: bool,
}

impl Run {
    pub(super) fn execute(self) -> ExitCode {
        let mut plan = match gate::read(&self.gate) {
            Ok(plan) => plan,
            Err(error) => {
                gate::tell(&error, self.json);
                return ExitCode::from(Verdict::EXIT_USAGE);
            }
        };
        if let Some(image) = self.image {
            replace_image(&mut plan, image);
        }
        run_plan(plan, &self.runs, self.json, self.quiet)
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

/// Runs a plan and leaves its evidence.
pub(super) fn run_plan(plan: Plan, runs: &Path, json: bool, quiet: bool) -> ExitCode {
    let resolved = match driver::resolve(&plan) {
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
    reap::before_run(runs);
    let (runtime, mut signals) = match begin() {
        Ok(begun) => begun,
        Err(error) => {
            say::tell(format_args!("error: the runtime can't be started: {error}"));
            return ExitCode::from(Verdict::EXIT_INTERNAL);
        }
    };
    let run = match RunDir::create(runs, &plan.gate, jiff::Timestamp::now()) {
        Ok(run) => Arc::new(run),
        Err(error) => {
            say::tell(format_args!(
                "error: no run directory can be made in `{}`: {error}\n  help: choose another place with --runs, or free space",
                runs.display()
            ));
            return ExitCode::from(4);
        }
    };
    let made = Made {
        plan: Arc::new(plan),
        rules,
        run,
        json,
        quiet,
    };
    let code = runtime.block_on(made.run_to_end(resolved.secrets, &mut signals));
    // Nothing of a finished run is worth waiting for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ExitCode::from(code)
}

/// Starts the runtime and catches signals before the run has a directory, so that none is left without a verdict.
fn begin() -> io::Result<(Runtime, StopSignals)> {
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
    rules: Arc<Rules>,
    run: Arc<RunDir>,
    json: bool,
    quiet: bool,
}

impl Made {
    async fn run_to_end(self, secrets: Secrets, signals: &mut StopSignals) -> u8 {
        let printer = Printer::start();
        let digest = ImageDigest::start(&self.plan);
        let (code, answer, cancelled) = match self.drive(secrets, signals, &printer).await {
            Ok(outcome) => {
                let cancelled = outcome.verdict.class == Class::Cancelled;
                let digest = digest.finish(cancelled, signals).await;
                let answer = self.finish(&outcome, digest, &printer);
                (outcome.verdict.exit_code(), answer, cancelled)
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
    ) -> Result<Outcome, crate::evidence::EvidenceError> {
        let mut watcher = Watcher {
            plan: self.plan.clone(),
            printer,
            json: self.json,
            quiet: self.quiet,
        };
        let id = &self.run.info().id;
        watcher.line(format_args!("bootgate {}  run {id}", env!("CARGO_PKG_VERSION")));
        let options = Options {
            hold: Duration::ZERO,
            rules: self.rules.clone(),
        };
        driver::run(
            self.plan.clone(),
            secrets,
            self.run.clone(),
            &options,
            signals,
            &mut watcher,
        )
        .await
    }

    /// Writes result, JUnit and manifest, in this order: a run with a manifest is whole. Gives what is to be printed.
    fn finish(&self, outcome: &Outcome, image_sha256: Option<String>, printer: &Printer) -> String {
        let Self { plan, run, json, .. } = self;
        discard_disks(plan, run, outcome);
        let inputs = ResultInputs {
            plan,
            info: run.info(),
            outcome,
            image_sha256,
        };
        let result = result_json(&inputs);
        let mut problems = Vec::new();
        if let Err(error) = run.write_result(&result) {
            problems.push(error.to_string());
        }
        let evidence = run.path().display().to_string();
        match junit(plan, outcome, &evidence) {
            Ok(xml) => {
                let written = run
                    .reserve()
                    .retry(|| write_atomically(&run.path().join("junit.xml"), xml.as_bytes()));
                problems.extend(written.err().map(|error| format!("junit.xml: {error}")));
            }
            Err(error) => problems.push(format!("junit.xml: {error}")),
        }
        let hash_bytes_max = match outcome.verdict.class {
            Class::Cancelled => CANCELLED_HASH_BYTES_MAX,
            _ => HASH_BYTES_MAX,
        };
        if let Err(error) = write_manifest(run, &declared(outcome), hash_bytes_max) {
            problems.push(error.to_string());
        }
        for problem in problems {
            printer.tell(format_args!("warning: evidence is incomplete: {problem}"));
        }
        if *json {
            printable_json(&result, true) + "\n"
        } else {
            verdict_block(plan, outcome, run.path())
        }
    }
}

/// Disks are the largest part of a run and are kept only where the gate asks for it.
fn discard_disks(plan: &Plan, run: &RunDir, outcome: &Outcome) {
    if outcome.verdict.class != Class::Passed && outcome.verdict.class != Class::Cancelled {
        return;
    }
    for disk in plan.disks.iter().filter(|disk| !disk.keep) {
        let _ = disk::remove(&run.path().join(format!("disks/{}.{}", disk.name, disk.format.as_str())));
    }
    let _ = disk::remove(&run.path().join("disks/image.qcow2"));
}

fn declared(outcome: &Outcome) -> Vec<Declared> {
    let mut files = vec![
        ("result.json", "verdict"),
        ("trace.jsonl", "trace of every transition"),
        ("junit.xml", "verdict for test viewers"),
        ("run.json", "identity of the run"),
    ];
    if outcome.host.is_some() {
        files.extend([
            ("qmp.jsonl", "QMP transcript"),
            ("qemu.stderr", "what QEMU said"),
            ("argv.txt", "QEMU's command lines"),
        ]);
    }
    let mut declared: Vec<_> = files.into_iter().map(|(path, role)| file(path, role)).collect();
    declared.extend(outcome.consoles.iter().map(|(path, _)| file(path, "serial console")));
    declared
}

fn file(path: &str, role: &str) -> Declared {
    Declared {
        path: path.to_owned(),
        role: role.to_owned(),
    }
}

/// The image's digest, read beside the run.
struct ImageDigest {
    stop: Arc<AtomicBool>,
    digest: oneshot::Receiver<Option<String>>,
}

impl ImageDigest {
    fn start(plan: &Plan) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let path = match &plan.image.source {
            ImageSource::Iso(path) | ImageSource::Disk { path, .. } => path.clone(),
            ImageSource::Kernel { kernel, .. } => kernel.clone(),
        };
        let stopped = stop.clone();
        let (sender, digest) = oneshot::channel();
        let read = move || {
            let digest = disk::digest(&path, |_| {
                if stopped.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            let _ = sender.send(digest.ok().map(|digest| digest.to_string()));
        };
        // Without a thread there is no digest, which the result says.
        let _ = std::thread::Builder::new().name("digest".to_owned()).spawn(read);
        Self { stop, digest }
    }

    /// The digest; of a cancelled run, or after one more signal, only if it is there already.
    async fn finish(mut self, cancelled: bool, signals: &mut StopSignals) -> Option<String> {
        let digest = if cancelled {
            self.digest.try_recv().ok()
        } else {
            tokio::select! {
                digest = &mut self.digest => digest.ok(),
                _ = signals.next() => None,
            }
        };
        self.stop.store(true, Ordering::Relaxed);
        digest.flatten()
    }
}
