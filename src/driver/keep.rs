//! The effects that keep a failed machine: its journal, its checkpoint, the hold.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, watch};

use crate::checkpoint::{
    self, Cancel, DisksRequest, KnownDigest, Progress, Record, Room, SaveError, SaveRequest, SshAccess,
};
use crate::evidence::{Held, HoldRecord};
use crate::machine::Event;
use crate::plan::DiskUse;
use crate::procfs::ProcessIdentity;
use crate::units::{GIB, MIB};

use super::hold::{Expiry, FileNumbers, HeldMachine, Holder};
use super::host::image_path;
use super::input::{Input, VmInput};
use super::journal::{self, Way};
use super::run::Driver;
use super::vm::Vm;

/// How many requests of people may wait for the driver.
const ASKS_MAX: usize = 16;
/// The checkpoint's directory in that of its run.
pub const CHECKPOINT: &str = "checkpoint";
/// The most bytes that the compressed memory of a failed machine may take.
const MEMORY_BYTES_MAX: u64 = 16 * GIB;
/// What saving a machine leaves free on the disk: room for all other evidence.
const SPACE_LEFT_BYTES: u64 = 64 * MIB;
/// Progress is told each time that so much more is done.
const PROGRESS_BYTES: u64 = 64 * MIB;

impl Driver<'_> {
    pub(super) fn collect_journal(&mut self) {
        let Some(way) = self.vm.as_ref().and_then(|vm| self.way_to_journal(vm)) else {
            let missing = Some("neither SSH nor a shell on the console answers".to_owned());
            return self.queue(Event::JournalCollected { missing });
        };
        let (run, redactor) = (self.run.clone(), self.intake.redactor.clone());
        self.with_qmp(|number, _| async move {
            let missing = journal::collect(way, &run, number, &redactor).await;
            Some((number, VmInput::Journal { missing }))
        });
    }

    fn way_to_journal(&self, vm: &Vm) -> Option<Way> {
        let last_line = vm.console.tail(1).pop().unwrap_or_default();
        if journal::at_root_shell(&last_line) {
            return Some(Way::Shell(vm.console.clone()));
        }
        let known = vm.ssh.pin.key().is_some();
        let login = self.login(vm, self.intake.machine.stage()).filter(|_| known)?;
        Some(Way::Ssh(Box::new(login), vm.ssh.pin.clone(), vm.machine.uuid))
    }

    pub(super) fn open_hold(&mut self) {
        let limit = self.intake.machine.hold();
        let (asks, mut asked) = mpsc::channel(ASKS_MAX);
        let Some(vm) = &self.vm else { return };
        let expires = Expiry::at(after(limit));
        let held = self.held_machine(vm, expires.clone());
        let (number, inputs) = (vm.number, self.inputs.clone());
        let holder = match Holder::open(held, asks) {
            Ok(holder) => holder,
            Err(error) => {
                self.queue_note("hold-not-opened", error.to_string());
                return self.queue(Event::HoldReleased);
            }
        };
        tokio::spawn(async move {
            while let Some(ask) = asked.recv().await {
                if inputs.send(Input::Vm(number, VmInput::Hold(ask))).await.is_err() {
                    return;
                }
            }
        });
        let moment = expires.get();
        if let Some(vm) = &mut self.vm {
            vm.hold = Some((holder, expires));
        }
        self.record_hold(moment);
        let outcome = self.outcome();
        self.observer.held(&outcome, moment);
    }

    fn held_machine(&self, vm: &Vm, expires: Expiry) -> HeldMachine {
        let stage = self.intake.machine.stage();
        let login = self.plan.login(stage);
        HeldMachine {
            qmp: vm.qmp.clone(),
            console: vm.console.clone(),
            qemu: vm.running.identity(),
            directory: self.run.path().to_owned(),
            ssh_address: vm.ssh_address,
            login: self.login(vm, stage),
            user: login.as_ref().map(|login| login.user.clone()),
            key_file: login.and_then(|login| login.key_file()),
            pin: vm.ssh.pin.clone(),
            uuid: vm.machine.uuid,
            expires,
            files: FileNumbers::default(),
        }
    }

    pub(super) fn extend_hold(&mut self, limit: Duration) {
        let Some((_, expires)) = self.vm.as_ref().and_then(|vm| vm.hold.as_ref()) else {
            return;
        };
        let moment = after(limit);
        expires.set(moment);
        self.record_hold(moment);
        self.handle(Event::HoldExtended { limit });
    }

    fn record_hold(&mut self, expires: Timestamp) {
        let Some(qemu) = self.vm.as_ref().map(|vm| vm.running.identity()) else {
            return;
        };
        let recorded = ProcessIdentity::of(std::process::id())
            .map_err(|error| error.to_string())
            .and_then(|holder| {
                let hold = HoldRecord {
                    holder,
                    qemu,
                    what: Held::Failure,
                    since: Timestamp::now(),
                    expires,
                };
                self.run.record_hold(&hold).map_err(|error| error.to_string())
            });
        if let Err(why) = recorded {
            self.queue_note("hold-not-recorded", why);
        }
    }

    /// Nobody may come in any more.
    pub(super) fn close_hold(&mut self) {
        if self.vm.as_mut().and_then(|vm| vm.hold.take()).is_some() {
            self.run.discard_hold();
        }
    }

    pub(super) fn save_checkpoint(&mut self) {
        let Some(vm) = &self.vm else {
            let detail = "there is no machine".to_owned();
            return self.queue(Event::CheckpointFailed { detail });
        };
        let request = SaveRequest {
            qmp: vm.qmp.clone(),
            run_dir: self.run.path().to_owned(),
            name: CHECKPOINT.to_owned(),
            machine: vm.machine.clone(),
            argv: vm.argv.clone(),
            // The machine is ended afterwards: nobody writes to its disks any more.
            freeze: false,
            room: Room {
                budget_bytes: MEMORY_BYTES_MAX,
                reserve_bytes: SPACE_LEFT_BYTES,
            },
            known: self.known_digests(),
            ssh: self.ssh_access(vm),
        };
        let (number, inputs) = (vm.number, self.inputs.clone());
        let (progress, told) = watch::channel(Progress::default());
        let saving = async {
            let saved = checkpoint::save(request, progress, Cancel::default()).await?;
            Ok(saved.record)
        };
        let task = tokio::spawn(save(number, saving, told, inputs)).abort_handle();
        if let Some(vm) = &mut self.vm {
            vm.tasks.checkpoint = Some(task);
        }
    }

    /// Of a machine that has ended: another goes on with its disks, unless that one has blank ones.
    pub(super) fn save_disks(&mut self) {
        let Some(vm) = &self.vm else {
            let detail = "there was no machine".to_owned();
            return self.queue(Event::CheckpointFailed { detail });
        };
        let mut machine = vm.machine.clone();
        let next = self.plan.stages.get(self.intake.machine.stage() + 1);
        if next.is_some_and(|next| next.disks == DiskUse::Fresh) {
            machine.disks.clear();
        }
        let request = DisksRequest {
            run_dir: self.run.path().to_owned(),
            name: CHECKPOINT.to_owned(),
            machine,
            argv: vm.argv.clone(),
            known: self.known_digests(),
        };
        let (progress, told) = watch::channel(Progress::default());
        let saving = checkpoint::save_disks(request, progress, Cancel::default());
        let task = tokio::spawn(save(vm.number, saving, told, self.inputs.clone())).abort_handle();
        if let Some(vm) = &mut self.vm {
            vm.tasks.checkpoint = Some(task);
        }
    }

    /// The image is read beside the run: it need not be read again.
    fn known_digests(&self) -> Vec<KnownDigest> {
        let path = image_path(&self.plan).and_then(|path| std::path::absolute(path).ok());
        let known = path.zip(self.image_digest.get().copied());
        known
            .map(|(path, sha256)| KnownDigest { path, sha256 })
            .into_iter()
            .collect()
    }

    fn ssh_access(&self, vm: &Vm) -> Option<SshAccess> {
        let login = self.plan.login(self.intake.machine.stage())?;
        let key = vm.ssh.pin.key();
        Some(SshAccess {
            user: login.user,
            host_key: key.map(|key| (key.algorithm.clone(), key.fingerprint.clone())),
        })
    }

    pub(super) fn abandon_checkpoint(&mut self) {
        if let Some(task) = self.vm.as_mut().and_then(|vm| vm.tasks.checkpoint.take()) {
            task.abort();
        }
    }
}

/// Saves a machine and tells how it goes: each new step, and each part of a step.
async fn save(
    number: u64,
    saving: impl Future<Output = Result<Record, SaveError>>,
    mut told: watch::Receiver<Progress>,
    inputs: mpsc::Sender<Input>,
) {
    let tell = |input: VmInput| inputs.send(Input::Vm(number, input));
    let mut saving = std::pin::pin!(saving);
    let mut last = Progress::default();
    let saved = loop {
        tokio::select! {
            saved = &mut saving => break saved,
            Ok(()) = told.changed() => {
                let now = *told.borrow_and_update();
                if now.phase != last.phase || now.done_bytes >= last.done_bytes + PROGRESS_BYTES {
                    last = now;
                    let _ = tell(VmInput::Saving(now)).await;
                }
            }
        }
    };
    let event = match saved {
        Ok(record) => Event::CheckpointSaved {
            size_bytes: match &record.memory {
                Some(memory) => memory.file.size_bytes,
                None => record.layers().map(|layer| layer.file.data_bytes()).sum(),
            },
        },
        Err(error) => Event::CheckpointFailed {
            detail: error.to_string(),
        },
    };
    let _ = tell(VmInput::Saved(event)).await;
}

/// A moment from now; the end of time if that is too far.
pub(super) fn after(limit: Duration) -> Timestamp {
    let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
    Timestamp::now().checked_add(limit).unwrap_or(Timestamp::MAX)
}
