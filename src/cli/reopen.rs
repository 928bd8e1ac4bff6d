//! `bootgate reopen`: a machine from its bundle, paused where it failed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tokio::sync::watch;

use crate::checkpoint::Progress;
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
use super::saved::{EXIT_REFUSED, Refused, Saved, UNPACKED};
use super::{args, background, run, say};

/// How long a machine is kept unless somebody says otherwise.
const HOLD_DEFAULT: Duration = Duration::from_secs(30 * 60);
const GUEST_CHARS_MAX: usize = 40;
/// What is said when the machine is no longer held.
const HOLD_ENDED: &str = "The hold has ended; the machine is gone, the bundle is as it was.\n";

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
    /// The bundle, or a run whose machine was saved: `last`, its id or a part of it, or its directory.
    #[arg(value_name = "BUNDLE|RUN")]
    bundle: PathBuf,
    /// The directory that the machine gets its own directory in.
    #[arg(long, value_name = "DIR", env = "BOOTGATE_RUNS", default_value = args::RUNS)]
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
            return Err(Refused::usage(
                "a machine can't be held under CI=true: it would outlive its job",
                "give a verb: `bootgate reopen BUNDLE registers`",
            ));
        }
        let login = self.login()?;
        if self.hold.is_some() && !self.background {
            return Ok(background::follow());
        }
        if let Some(error) = self.background.then(background::begin).and_then(Result::err) {
            return Err(Refused::usage(error.to_string(), "run it again"));
        }
        let saved = Saved::find(&self.bundle, &self.runs)?;
        let (runtime, mut signals) =
            run::begin().map_err(|error| Refused::host(format!("the runtime can't be started: {error}")))?;
        let directory = RunDir::create_aside(&self.runs, "reopened", jiff::Timestamp::now())
            .map_err(|error| Refused::host(format!("no directory can be made for it: {error}")))?;
        let directory = Arc::new(directory);
        let code = runtime.block_on(self.open_and_keep(&directory, &saved, login, &mut signals));
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
        saved: &Saved,
        login: Option<(Option<String>, Auth)>,
        signals: &mut StopSignals,
    ) -> Result<ExitCode, Refused> {
        let began = Instant::now();
        let view = Reopening::start(&self.bundle, directory.path(), self.json);
        let opened = self.open(directory, saved, login, &view.progress, signals).await;
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
        saved: &Saved,
        login: Option<(Option<String>, Auth)>,
        progress: &watch::Sender<Progress>,
        signals: &mut StopSignals,
    ) -> Result<Reopened, Refused> {
        let (checkpoint, taken_along) = tokio::select! {
            checkpoint = saved.checkpoint(directory.path(), progress) => checkpoint?,
            _ = signals.next() => return Err(Refused::cancelled()),
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
            reopened = driver::reopen(request) => reopened.map_err(|error| Refused::machine(error.to_string())),
            _ = signals.next() => Err(Refused::cancelled()),
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
        let record = RunRecord::read(directory.path()).map_err(|error| Refused::host(error.to_string()))?;
        let before = entries(directory.path());
        let done = tokio::task::spawn_blocking(move || inspect::perform(&record, verb, self.json));
        let mut code = ExitCode::SUCCESS;
        let finished = async { code = done.await.unwrap_or(ExitCode::from(Verdict::EXIT_INTERNAL)) };
        reopened.keep(signals, finished).await;
        if entries(directory.path()).is_subset(&before) {
            // The verb has printed all that it came to.
            let _ = std::fs::remove_dir_all(directory.path());
        }
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

    fn login(&self) -> Result<Option<(Option<String>, Auth)>, Refused> {
        let (source, is_key) = match (&self.password_env, &self.key) {
            (Some(variable), _) => (SecretSource::Environment(variable.clone()), false),
            (None, Some(file)) => (SecretSource::File(file.clone()), true),
            (None, None) => return Ok(None),
        };
        let what = if is_key { "key" } else { "password" };
        let auth = driver::read_auth(&source, is_key);
        let auth = auth.map_err(|problem| {
            Refused::usage(
                format!("the {what} for `ssh` {problem}"),
                "check --password-env or --key",
            )
        })?;
        Ok(Some((self.user.clone(), auth)))
    }
}

fn entries(directory: &Path) -> BTreeSet<OsString> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).collect()
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
