//! A saved machine, opened again: paused where it was saved, kept for a person.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use crate::checkpoint::{Cancel, Checkpoint, HostSide, Progress, RestoreError};
use crate::evidence::{EvidenceError, Held, HoldRecord, RunDir, TranscriptBudget, TranscriptLog};
use crate::plan::{Accelerator, Network};
use crate::procfs::ProcessIdentity;
use crate::qemu::accelerator::{self, AcceleratorError};
use crate::qemu::binary::{BinaryError, Qemu};
use crate::qemu::feature::Accel;
use crate::qemu::process::{Rungs, end};
use crate::qmp::{QmpNotice, RunState};
use crate::serial::marker::Watch;
use crate::ssh::{Auth, HostKey, HostKeyPin, Login, PhaseDeadlines};

use super::StopSignals;
use super::feed::feed;
use super::hold::{Expiry, FileNumbers, HeldMachine, HoldAsk, Holder};
use super::keep::after;
use super::launch::{Channels, Launcher};
use super::prepare::PrepareError;
use super::vm::Vm;

const ASKS_MAX: usize = 16;

/// What is opened again, and how.
pub struct ReopenRequest {
    /// The directory that the machine lives in.
    pub run: Arc<RunDir>,
    /// The checkpoint in it.
    pub checkpoint: PathBuf,
    /// The QEMU, by path or by name.
    pub qemu: PathBuf,
    /// Directories of its data.
    pub qemu_data: Vec<PathBuf>,
    /// Where images may be that the checkpoint only names.
    pub images: Vec<PathBuf>,
    /// True if arguments of the gate are passed on that could open files of this host.
    pub allow_arguments: bool,
    /// How to log in to the guest; without a user, the one that the checkpoint names.
    pub login: Option<(Option<String>, Auth)>,
    /// How long the machine is kept.
    pub hold: Duration,
    /// Where it is told how far it is.
    pub progress: watch::Sender<Progress>,
}

/// Why a machine can't be opened again.
#[derive(Debug, thiserror::Error)]
pub enum ReopenError {
    /// The checkpoint can't be used.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// There is no QEMU.
    #[error("{error}; {}", .error.mend())]
    Qemu {
        /// Why not.
        #[from]
        error: BinaryError,
    },
    /// There is no accelerator.
    #[error("{error}; {}", .error.mend())]
    Accelerator {
        /// Why not.
        #[from]
        error: AcceleratorError,
    },
    /// QEMU does not start.
    #[error("QEMU can't be started for it: {0}")]
    Launch(String),
    /// The run's directory can't be written.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The control socket can't be opened.
    #[error("the control socket can't be opened: {0}")]
    Door(std::io::Error),
}

impl From<PrepareError> for ReopenError {
    fn from(error: PrepareError) -> Self {
        Self::Launch(error.detail)
    }
}

/// A machine that was opened again. It is ended when this is dropped, and gently by [`Reopened::keep`].
pub struct Reopened {
    run: Arc<RunDir>,
    vm: Box<Vm>,
    notices: mpsc::Receiver<QmpNotice>,
    door: Holder,
    expires: Expiry,
    asks: mpsc::Receiver<HoldAsk>,
    /// How the guest stands.
    pub state: RunState,
    /// How long it took from the first file that was read.
    pub took: Duration,
}

/// How the life of a reopened machine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldEnd {
    /// Somebody asked for it: `quit`, or a signal.
    Released,
    /// Its time was over.
    Expired,
    /// QEMU ended by itself.
    QemuEnded(String),
}

/// Opens a machine again. Must be called in a tokio runtime.
pub async fn reopen(request: ReopenRequest) -> Result<Reopened, ReopenError> {
    let started = Instant::now();
    let ReopenRequest { run, .. } = &request;
    let checkpoint = Checkpoint::open(&request.checkpoint)?;
    if checkpoint.record().memory.is_none() {
        return Err(RestoreError::PoweredDown.into());
    }
    let progress = request.progress.clone();
    let cancel = Cancel::default();
    let qemu = Qemu::find(&request.qemu, request.qemu_data.clone()).await?;
    let record = checkpoint.record();
    let accel = match record.accelerator {
        Accel::Tcg => Accel::Tcg,
        Accel::Kvm => {
            let chosen = accelerator::choose(&qemu, Accelerator::Auto, Some(&record.cpu_model)).await?;
            chosen.accel
        }
    };
    checkpoint.check_qemu(record.arch, &qemu.features, accel)?;
    let images = checkpoint
        .find_images(request.images.clone(), progress.clone(), &cancel)
        .await?;
    let files = checkpoint.lay_out(&qemu.binary, run.path(), Some(&images)).await?;
    let channels = Channels::open(record.firmware_console)?;
    let numbers = channels.numbers();
    let host = HostSide {
        features: qemu.features.clone(),
        data_dirs: qemu.data_dirs.clone(),
        run_id: run.info().id.clone(),
        network: Network::Isolated,
        qmp_fd: numbers.qmp,
        serial_fd: numbers.serial,
        firmware_fd: numbers.firmware,
        allow_arguments: request.allow_arguments,
    };
    let spec = checkpoint.machine_spec(&files, host)?;
    let transcript = TranscriptLog::create(
        &run.path().join("qmp.jsonl"),
        TranscriptBudget::default(),
        Some(run.reserve()),
    )?;
    let launcher = Launcher {
        run,
        rules: &crate::triage::builtin(),
        recorder: None,
        transcript: &Arc::new(Mutex::new(transcript)),
        started,
        qemu: &qemu.binary,
    };
    let watch = Watch::new([]).map_err(|error| ReopenError::Launch(error.to_string()))?;
    let mut vm = launcher.launch(1, spec, channels, watch, RunState::inmigrate).await?;
    let state = feed(&vm, &checkpoint, run.path(), progress, &cancel).await?;
    let notices = vm.notices.take().unwrap_or_else(|| mpsc::channel(1).1);
    let expires = Expiry::at(after(request.hold));
    let (sender, asks) = mpsc::channel(ASKS_MAX);
    let held = held_machine(&request, &checkpoint, &vm, expires.clone());
    let door = Holder::open(held, sender).map_err(ReopenError::Door)?;
    let reopened = Reopened {
        run: request.run.clone(),
        vm,
        notices,
        door,
        expires,
        asks,
        state,
        took: started.elapsed(),
    };
    reopened.write_down()?;
    Ok(reopened)
}

fn held_machine(request: &ReopenRequest, checkpoint: &Checkpoint, vm: &Vm, expires: Expiry) -> HeldMachine {
    let access = checkpoint.record().ssh.clone();
    let known_user = access.as_ref().map(|access| access.user.clone());
    let (user, auth) = match &request.login {
        Some((user, auth)) => (user.clone().or(known_user), Some(auth.clone())),
        None => (known_user, None),
    };
    let login = vm.ssh_address.zip(user.clone()).zip(auth);
    let pinned = access.and_then(|access| access.host_key);
    HeldMachine {
        qmp: vm.qmp.clone(),
        console: vm.console.clone(),
        qemu: vm.running.identity(),
        directory: request.run.path().to_owned(),
        ssh_address: vm.ssh_address,
        login: login.map(|((address, user), auth)| Login {
            address,
            user,
            auth,
            deadlines: PhaseDeadlines::default(),
        }),
        user,
        key_file: None,
        pin: pinned.map_or(HostKeyPin::UNSET, |(algorithm, fingerprint)| {
            HostKeyPin::pinned(HostKey { algorithm, fingerprint })
        }),
        uuid: checkpoint.record().uuid,
        expires,
        files: FileNumbers::default(),
    }
}

impl Reopened {
    /// When the machine is ended if nobody asks for more.
    pub fn expires(&self) -> Timestamp {
        self.expires.get()
    }

    /// The same, for who wants to hear when somebody has asked for more.
    pub fn watch_expiry(&self) -> watch::Receiver<Timestamp> {
        self.expires.watch()
    }

    fn write_down(&self) -> Result<(), EvidenceError> {
        let holder = ProcessIdentity::of(std::process::id());
        let Ok(holder) = holder else { return Ok(()) };
        self.run.record_hold(&HoldRecord {
            holder,
            qemu: self.vm.running.identity(),
            what: Held::Reopened,
            since: Timestamp::now(),
            expires: self.expires.get(),
        })
    }

    /// Keeps the machine until somebody ends it, its time is over, or `done` is; then ends it.
    pub async fn keep(mut self, signals: &mut StopSignals, done: impl Future<Output = ()>) -> HoldEnd {
        let mut done = std::pin::pin!(done);
        let ended = loop {
            let left = self.expires.get().duration_since(Timestamp::now());
            let left = Duration::try_from(left).unwrap_or_default();
            tokio::select! {
                _ = signals.next() => break HoldEnd::Released,
                () = &mut done => break HoldEnd::Released,
                report = self.vm.running.wait() => break HoldEnd::QemuEnded(report.status.to_string()),
                () = tokio::time::sleep(left) => break HoldEnd::Expired,
                // Taken so that none waits; what the guest does is the person's to see.
                Some(_) = self.notices.recv() => {}
                ask = self.asks.recv() => match ask {
                    Some(HoldAsk::Extend(limit)) => {
                        self.expires.set(after(limit));
                        if let Err(error) = self.write_down() {
                            tracing::warn!(%error, "the hold's new end is not on the disk");
                        }
                    }
                    Some(HoldAsk::Release) | None => break HoldEnd::Released,
                },
            }
        };
        drop(self.door);
        self.run.discard_hold();
        let rungs = Rungs::default();
        end(&self.vm.running, self.vm.qmp.quit(rungs.quit), rungs).await;
        ended
    }
}
