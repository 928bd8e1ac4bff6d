//! `bootgate run`: a gate from its first stage to its verdict.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;

use crate::driver::{self, Observer, Options, Outcome, Secrets};
use crate::evidence::{Declared, HASH_BYTES_MAX, RunDir, write_atomically, write_manifest};
use crate::machine::{Class, Record, Verdict};
use crate::plan::{ImageSource, Plan};
use crate::qemu::disk;
use crate::report::{ResultInputs, junit, record_line, result_json, verdict_block};
use crate::text::printable_json;
use crate::units::MIB;

use super::{args, gate, reap};

/// A cancelled run must be gone within 5 s: only small files are hashed for its manifest.
const CANCELLED_HASH_BYTES_MAX: u64 = 16 * MIB;

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
            for input in &missing {
                eprintln!("error: {}\n  help: {}", input.problem, input.mend);
            }
            eprintln!("\nnothing was started");
            return ExitCode::from(Verdict::EXIT_USAGE);
        }
    };
    reap::before_run(runs);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime can't be started: {error}");
            return ExitCode::from(Verdict::EXIT_INTERNAL);
        }
    };
    let run = match RunDir::create(runs, &plan.gate, jiff::Timestamp::now()) {
        Ok(run) => Arc::new(run),
        Err(error) => {
            eprintln!("error: no run directory can be made in `{}`: {error}", runs.display());
            eprintln!("  help: choose another place with --runs, or free space");
            return ExitCode::from(4);
        }
    };
    let plan = Arc::new(plan);
    let digest = ImageDigest::start(&plan);
    let result = runtime.block_on(drive(&plan, resolved.secrets, &run, json, quiet));
    let code = match result {
        Ok(outcome) => finish(&plan, &run, &outcome, digest, json),
        Err(error) => {
            eprintln!("error: the evidence can't be kept: {error}");
            4
        }
    };
    // Nothing of a finished run is worth waiting for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ExitCode::from(code)
}

async fn drive(
    plan: &Arc<Plan>,
    secrets: Secrets,
    run: &Arc<RunDir>,
    json: bool,
    quiet: bool,
) -> Result<Outcome, crate::evidence::EvidenceError> {
    let mut printer = Printer {
        plan: plan.clone(),
        json,
        quiet,
    };
    if !quiet {
        printer.print(&format!(
            "bootgate {}  run {}",
            env!("CARGO_PKG_VERSION"),
            run.info().id
        ));
    }
    let options = Options { hold: Duration::ZERO };
    driver::run(plan.clone(), secrets, run.clone(), &options, &mut printer).await
}

struct Printer {
    plan: Arc<Plan>,
    json: bool,
    quiet: bool,
}

impl Printer {
    fn print(&self, line: &str) {
        use std::io::Write as _;
        // A closed pipe or terminal must not end the run.
        let _ = if self.json {
            writeln!(std::io::stderr(), "{line}")
        } else {
            writeln!(std::io::stdout(), "{line}")
        };
    }
}

impl Observer for Printer {
    fn record(&mut self, at: Duration, record: &Record) {
        if self.quiet {
            return;
        }
        if let Some(line) = record_line(&self.plan, at, record) {
            self.print(&line);
        }
    }
}

/// Writes result, JUnit and manifest, in this order: a run with a manifest is whole.
fn finish(plan: &Plan, run: &RunDir, outcome: &Outcome, digest: ImageDigest, json: bool) -> u8 {
    let cancelled = outcome.verdict.class == Class::Cancelled;
    discard_disks(plan, run, outcome);
    let inputs = ResultInputs {
        plan,
        info: run.info(),
        outcome,
        image_sha256: digest.finish(!cancelled),
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
    let hash_bytes_max = if cancelled {
        CANCELLED_HASH_BYTES_MAX
    } else {
        HASH_BYTES_MAX
    };
    if let Err(error) = write_manifest(run, &declared(outcome), hash_bytes_max) {
        problems.push(error.to_string());
    }
    for problem in problems {
        eprintln!("warning: evidence is incomplete: {problem}");
    }
    if json {
        println!("{}", printable_json(&result, true));
    } else {
        use std::io::Write as _;
        let _ = write!(std::io::stdout(), "{}", verdict_block(plan, outcome, run.path()));
    }
    outcome.verdict.exit_code()
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
    thread: Option<std::thread::JoinHandle<Option<String>>>,
}

impl ImageDigest {
    fn start(plan: &Plan) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let path = match &plan.image.source {
            ImageSource::Iso(path) | ImageSource::Disk { path, .. } => path.clone(),
            ImageSource::Kernel { kernel, .. } => kernel.clone(),
        };
        let stopped = stop.clone();
        let read = move || {
            let digest = disk::digest(&path, |_| {
                if stopped.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            digest.ok().map(|digest| digest.to_string())
        };
        let thread = std::thread::Builder::new().name("digest".to_owned()).spawn(read).ok();
        Self { stop, thread }
    }

    /// The digest; without `wait`, only if it is there already.
    fn finish(self, wait: bool) -> Option<String> {
        let thread = self.thread?;
        if !wait && !thread.is_finished() {
            self.stop.store(true, Ordering::Relaxed);
            return None;
        }
        thread.join().ok().flatten()
    }
}
