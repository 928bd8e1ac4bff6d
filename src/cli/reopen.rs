//! `bootgate reopen`: a machine from its bundle, paused where it failed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tokio::sync::watch;

use crate::bundle::{self, Limits, Unpacked};
use crate::checkpoint::{Cancel, Progress};
use crate::driver::{self, CHECKPOINT, HoldEnd, ReopenRequest, Reopened, StopSignals};
use crate::evidence::{RunDir, RunRecord};
use crate::machine::Verdict;
use crate::plan::SecretSource;
use crate::report::{Hold, hold_block};
use crate::ssh::Auth;
use crate::text::terminal_line;
use crate::units::{human_span, parse_span};

use super::failure::Surroundings;
use super::inspect::{self, Verb};
use super::reopening::Reopening;
use super::{args, background, run, say};

/// How long a machine is kept unless somebody says otherwise.
const HOLD_DEFAULT: Duration = Duration::from_secs(30 * 60);
/// The exit code if the machine can't be opened again.
const EXIT_REFUSED: u8 = 4;
const GUEST_CHARS_MAX: usize = 40;
const PROBLEM_CHARS_MAX: usize = 2000;
/// What is said when the machine is no longer held.
const HOLD_ENDED: &str = "The hold has ended; the machine is gone, the bundle is as it was.\n";
/// Where a bundle is unpacked in the directory of its machine.
const UNPACKED: &str = "bundle";

/// Open a failed machine again from its bundle, paused at the failure.
///
/// It has its screen, console, memory and disks, as they were. Nothing of the bundle is believed: each file is compared
/// with its digest, and nothing is written outside a new directory below --runs. Without a verb the machine is kept for
/// `bootgate inspect`; with one, the verb is carried out and the machine ended.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bootgate reopen live-failed.tar.zst --image live.iso\n  bootgate reopen live-failed.tar.zst registers\n  bootgate reopen live-failed.tar.zst --hold 2h"
)]
pub(super) struct Reopen {
    /// The bundle, or the directory of a run that was saved.
    bundle: PathBuf,
    /// The directory that the machine gets its own directory in.
    #[arg(long, value_name = "DIR", env = "BOOTGATE_RUNS", default_value_os_t = args::default_runs())]
    runs: PathBuf,
    /// Where an image is that the bundle only names; it is known by its digest. May be given several times.
    #[arg(long = "image", value_name = "FILE")]
    images: Vec<PathBuf>,
    /// The QEMU that the machine was saved with: the same major and minor version.
    #[arg(long, value_name = "PATH", default_value = "qemu-system-x86_64")]
    qemu: PathBuf,
    /// A directory of that QEMU's data. May be given several times.
    #[arg(long, value_name = "DIR")]
    qemu_data: Vec<PathBuf>,
    /// Pass on arguments of the gate to QEMU that could open files of this host.
    #[arg(long)]
    allow_arguments: bool,
    /// The user for `ssh`, if it is not the gate's.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The environment variable with the password for `ssh`: a bundle holds none.
    #[arg(long, value_name = "VARIABLE", conflicts_with = "key")]
    password_env: Option<String>,
    /// The file with the private key for `ssh`.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Keep the machine for this long, in the background: the terminal may be closed. Refused under CI=true.
    #[arg(long, value_name = "DURATION", value_parser = |text: &str| parse_span(text).map_err(|error| error.to_string()))]
    hold: Option<Duration>,
    /// This is the process in the background.
    #[arg(long, hide = true)]
    background: bool,
    /// Print what a program would read as JSON.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// Why it is not reopened, and what to do: for a person.
struct Refused {
    problem: String,
    help: String,
    code: u8,
}

impl Reopen {
    pub(super) fn execute(self) -> ExitCode {
        match self.try_execute() {
            Ok(code) => code,
            Err(Refused { problem, help, code }) => {
                say::tell(format_args!("error: {problem}\n  help: {help}"));
                ExitCode::from(code)
            }
        }
    }

    fn try_execute(self) -> Result<ExitCode, Refused> {
        if self.hold.is_some() && Surroundings::look(self.json).ci {
            return Err(usage(
                "a machine can't be held under CI=true: it would outlive its job",
                "give a verb: `bootgate reopen BUNDLE registers`",
            ));
        }
        let login = self.login()?;
        if self.hold.is_some() && !self.background {
            return Ok(background::follow());
        }
        if let Some(error) = self.background.then(background::begin).and_then(Result::err) {
            return Err(usage(error.to_string(), "run it again"));
        }
        let (runtime, mut signals) =
            run::begin().map_err(|error| host(format!("the runtime can't be started: {error}")))?;
        let directory = RunDir::create(&self.runs, "reopened", jiff::Timestamp::now())
            .map_err(|error| host(format!("no directory can be made for it: {error}")))?;
        let directory = Arc::new(directory);
        let code = runtime.block_on(self.open_and_keep(&directory, login, &mut signals));
        if code.is_err() {
            // Nothing of it is of any use.
            let _ = std::fs::remove_dir_all(directory.path());
        } else {
            discard(directory.path());
        }
        runtime.shutdown_timeout(Duration::from_millis(100));
        code
    }

    async fn open_and_keep(
        self,
        directory: &Arc<RunDir>,
        login: Option<(Option<String>, Auth)>,
        signals: &mut StopSignals,
    ) -> Result<ExitCode, Refused> {
        let began = Instant::now();
        let view = Reopening::start(&self.bundle, directory.path(), self.json);
        let opened = self.open(directory, login, &view.progress, signals).await;
        match (opened, &self.verb) {
            (Ok(reopened), None) => {
                let code = self.hold_it(directory, reopened, began, &view, signals).await;
                view.end(signals).await;
                Ok(code)
            }
            (Ok(reopened), Some(_)) => {
                view.end(signals).await;
                self.perform(directory, reopened, signals).await
            }
            (Err(refused), _) => {
                view.end(signals).await;
                Err(refused)
            }
        }
    }

    async fn open(
        &self,
        directory: &Arc<RunDir>,
        login: Option<(Option<String>, Auth)>,
        progress: &watch::Sender<Progress>,
        signals: &mut StopSignals,
    ) -> Result<Reopened, Refused> {
        let (checkpoint, taken_along) = tokio::select! {
            unpacked = self.unpack(directory.path(), progress) => unpacked?,
            _ = signals.next() => return Err(cancelled()),
        };
        let request = ReopenRequest {
            run: directory.clone(),
            checkpoint,
            qemu: self.qemu.clone(),
            qemu_data: self.qemu_data.clone(),
            images: self.images.iter().cloned().chain(taken_along).collect(),
            allow_arguments: self.allow_arguments,
            login,
            hold: self.hold.unwrap_or(HOLD_DEFAULT),
            progress: progress.clone(),
        };
        tokio::select! {
            reopened = driver::reopen(request) => reopened.map_err(|error| Refused {
                problem: terminal_line(error.to_string(), PROBLEM_CHARS_MAX),
                help: "nothing was changed; the bundle is as it was".to_owned(),
                code: EXIT_REFUSED,
            }),
            _ = signals.next() => Err(cancelled()),
        }
    }

    /// Carries out the verb, to which the terminal belongs meanwhile.
    async fn perform(
        self,
        directory: &RunDir,
        reopened: Reopened,
        signals: &mut StopSignals,
    ) -> Result<ExitCode, Refused> {
        let Some(verb) = self.verb else {
            return Ok(ExitCode::SUCCESS);
        };
        let record = RunRecord::read(directory.path()).map_err(|error| host(error.to_string()))?;
        let done = tokio::task::spawn_blocking(move || inspect::perform(&record, verb, self.json));
        let mut code = ExitCode::SUCCESS;
        let finished = async { code = done.await.unwrap_or(ExitCode::from(Verdict::EXIT_INTERNAL)) };
        reopened.keep(signals, finished).await;
        Ok(code)
    }

    async fn hold_it(
        &self,
        directory: &RunDir,
        reopened: Reopened,
        began: Instant,
        view: &Reopening,
        signals: &mut StopSignals,
    ) -> ExitCode {
        let hold = Hold {
            run: directory.path(),
            expires: reopened.expires(),
            background: self.background,
        };
        let state = format!("{:?}", reopened.state);
        let said = if self.json {
            format!(
                "{:#}\n",
                json!({
                    "run": directory.info().id,
                    "path": directory.path(),
                    "guest": state,
                    "took_ms": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "expires": hold.expires.to_string(),
                })
            )
        } else {
            // The view shows how to look into it, as long as there is one.
            let hold = (self.background || !view.is_drawn()).then(|| hold_block(&hold));
            format!(
                "Reopened: the machine stands where it failed ({}), opened in {}\n{}",
                terminal_line(&state, GUEST_CHARS_MAX),
                human_span(began.elapsed()),
                hold.unwrap_or_default()
            )
        };
        view.answer(said);
        if self.background {
            if let Err(error) = background::release() {
                view.tell(format_args!("warning: the hold ends with this terminal: {error}"));
            }
            view.let_go();
        }
        let expires = reopened.watch_expiry();
        match reopened.keep(signals, view.holds(expires)).await {
            HoldEnd::Released | HoldEnd::Expired => {
                if view.is_drawn() && !self.json {
                    view.answer(HOLD_ENDED.to_owned());
                }
                ExitCode::SUCCESS
            }
            HoldEnd::QemuEnded(how) => {
                view.tell(format_args!(
                    "QEMU ended by itself: {}",
                    terminal_line(how, GUEST_CHARS_MAX)
                ));
                ExitCode::from(EXIT_REFUSED)
            }
        }
    }

    /// Where the checkpoint is: in the run that was named, or unpacked into `directory`.
    async fn unpack(
        &self,
        directory: &Path,
        progress: &watch::Sender<Progress>,
    ) -> Result<(PathBuf, Vec<PathBuf>), Refused> {
        if self.bundle.is_dir() {
            return Ok((self.bundle.join(CHECKPOINT), Vec::new()));
        }
        let into = directory.join(UNPACKED);
        let unpacking = bundle::unpack(
            self.bundle.clone(),
            into,
            Limits::default(),
            progress.clone(),
            Cancel::default(),
        );
        let unpacked = unpacking.await.map_err(|error| Refused {
            problem: terminal_line(error.to_string(), PROBLEM_CHARS_MAX),
            help: "nothing of it is left; the file is as it was".to_owned(),
            code: EXIT_REFUSED,
        })?;
        match unpacked.checkpoint() {
            Some(checkpoint) => Ok((checkpoint, unpacked.images())),
            None => Err(Refused {
                problem: format!("the bundle holds no machine, only evidence{}", missing(&unpacked)),
                help: "its files can be read with `tar --zstd -xf`".to_owned(),
                code: EXIT_REFUSED,
            }),
        }
    }

    fn login(&self) -> Result<Option<(Option<String>, Auth)>, Refused> {
        let (source, is_key) = match (&self.password_env, &self.key) {
            (Some(variable), _) => (SecretSource::Environment(variable.clone()), false),
            (None, Some(file)) => (SecretSource::File(file.clone()), true),
            (None, None) => return Ok(None),
        };
        let what = if is_key { "key" } else { "password" };
        let auth = driver::read_auth(&source, is_key);
        let auth = auth.map_err(|problem| {
            usage(
                format!("the {what} for `ssh` {problem}"),
                "check --password-env or --key",
            )
        })?;
        Ok(Some((self.user.clone(), auth)))
    }
}

/// Why the machine is not in the bundle, as far as that is known.
fn missing(unpacked: &Unpacked) -> String {
    let dropped = unpacked.manifest.dropped.iter();
    let dropped: Vec<_> = dropped
        .map(|dropped| format!("; without {}: {}", dropped.role.as_str(), dropped.reason))
        .collect();
    dropped.concat()
}

/// What only the machine needed: its disks and what was unpacked for it. What a person asked for stays.
fn discard(directory: &Path) {
    for name in [
        "disks".to_owned(),
        format!("{UNPACKED}/disks"),
        format!("{UNPACKED}/{CHECKPOINT}"),
    ] {
        let _ = std::fs::remove_dir_all(directory.join(name));
    }
    for file in ["flash0.fd", "flash1.fd"] {
        let _ = std::fs::remove_file(directory.join(file));
    }
}

fn usage(problem: impl Into<String>, help: &str) -> Refused {
    Refused {
        problem: problem.into(),
        help: help.to_owned(),
        code: Verdict::EXIT_USAGE,
    }
}

fn host(problem: String) -> Refused {
    Refused {
        problem,
        help: "free space, or choose another place with --runs".to_owned(),
        code: EXIT_REFUSED,
    }
}

fn cancelled() -> Refused {
    Refused {
        problem: "stopped before the machine was open".to_owned(),
        help: "nothing is left of it".to_owned(),
        code: 130,
    }
}
