//! Performing effects. Each one that takes time becomes a task whose outcome comes back as an input.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::machine::{BootFrom, Effect, EndMode, Event, ProcessEnd};
use crate::qemu::disk;
use crate::qemu::helpers_gone;
use crate::qemu::keymap::{self, NotTypable};
use crate::qemu::process::{Rungs, Spawner, end, end_now};
use crate::qmp::{Qmp, QmpError};
use crate::serial::console::Input as ConsoleInput;
use crate::ssh::{Login, LoginWatch, PhaseDeadlines};

use super::capture;
use super::command::{CommandHandle, CommandTask};
use super::input::{Input, VmInput};
use super::keys;
use super::run::Driver;
use super::search::Search;
use super::translate;
use super::vm::Vm;

/// How long a QMP command that only changes a flag may take.
const COMMAND_WITHIN: Duration = Duration::from_secs(10);
/// Probes of a login that may wait for the driver.
const PROBES_MAX: usize = 16;

impl Driver<'_> {
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Record(record) => self.record(&record),
            Effect::Prepare { stage, boot } => self.prepare(stage, boot),
            Effect::Continue => self.with_qmp(|number, qmp| async move {
                match qmp.cont(COMMAND_WITHIN).await {
                    Ok(()) | Err(QmpError::Lost(_)) => None,
                    Err(error) => Some((number, note("cont-failed", error.to_string()))),
                }
            }),
            Effect::QueryStatus => self.with_qmp(query_status),
            Effect::StopGuest => self.with_qmp(|number, qmp| async move {
                // Already stopped is fine; what counts is the status afterwards.
                let _ = qmp.stop(COMMAND_WITHIN).await;
                query_status(number, qmp).await
            }),
            Effect::PowerDown => self.with_qmp(|number, qmp| async move {
                match qmp.system_powerdown(COMMAND_WITHIN).await {
                    Ok(()) | Err(QmpError::Lost(_)) => None,
                    Err(error) => Some((number, note("powerdown-failed", error.to_string()))),
                }
            }),
            Effect::Capture => {
                let Some(console) = self.vm.as_ref().map(|vm| vm.console.clone()) else {
                    return;
                };
                let run = self.run.clone();
                self.with_qmp(|number, qmp| async move {
                    let missing = capture::capture(&qmp, &console, &run, number).await;
                    Some((number, VmInput::Captured { missing }))
                });
            }
            Effect::CollectJournal => self.collect_journal(),
            Effect::SaveCheckpoint => self.save_checkpoint(),
            Effect::SaveDisks => self.save_disks(),
            Effect::AbandonCheckpoint => self.abandon_checkpoint(),
            Effect::OpenHold => self.open_hold(),
            Effect::WatchSsh { stage } => self.watch_ssh(stage),
            Effect::ProbeSshNow => {
                if let Some(watch) = self.vm.as_ref().and_then(|vm| vm.ssh.watch.as_ref()) {
                    watch.poke();
                }
            }
            Effect::UnwatchSsh => {
                if let Some(vm) = &mut self.vm {
                    vm.ssh.watch = None;
                }
            }
            Effect::OpenAccess { .. } => self.open_access(),
            Effect::AbandonAccess => self.abandon_access(),
            Effect::CheckTarget { stage } => self.check_target(stage),
            Effect::RunCommand { stage } => self.run_command(stage),
            Effect::EndCommand { .. } => {
                if let Some(command) = self.vm.as_ref().and_then(|vm| vm.tasks.command.as_ref()) {
                    command.end.notify_one();
                }
            }
            Effect::AbandonCommand => {
                if let Some(vm) = &mut self.vm {
                    vm.tasks.command = None;
                }
            }
            Effect::AnswerPrompt { stage } => self.answer_prompt(stage),
            Effect::TypeAnswer { stage } => self.type_answer(stage),
            Effect::EndQemu(mode) => self.end_qemu(mode),
            Effect::CheckRelease => self.check_release(),
        }
    }

    fn prepare(&mut self, stage: usize, boot: BootFrom) {
        self.drop_vm();
        self.machines += 1;
        let number = self.machines;
        let (workshop, inputs) = (self.workshop.clone(), self.inputs.clone());
        self.preparing = Some(tokio::spawn(async move {
            let result = workshop.bring_up(number, stage, boot).await;
            let _ = inputs.send(Input::Prepared(result)).await;
        }));
    }

    /// Does something over QMP in a task of its own, so that the loop never waits for QEMU.
    pub(super) fn with_qmp<F>(&mut self, work: impl FnOnce(u64, Qmp) -> F)
    where
        F: Future<Output = Option<(u64, VmInput)>> + Send + 'static,
    {
        let Some(vm) = &mut self.vm else { return };
        let work = work(vm.number, vm.qmp.clone());
        let inputs = self.inputs.clone();
        let task = tokio::spawn(async move {
            if let Some((number, input)) = work.await {
                let _ = inputs.send(Input::Vm(number, input)).await;
            }
        });
        vm.tasks.others.retain(|task| !task.is_finished());
        vm.tasks.others.push(task.abort_handle());
    }

    pub(super) fn login(&self, vm: &Vm, stage: usize) -> Option<Login> {
        let (user, auth) = self.secrets.login_of(stage)?;
        let scale = self.host.as_ref().map_or(100, |host| host.scale_percent);
        Some(Login {
            address: vm.ssh_address?,
            user,
            auth,
            // The banner's deadline stays short: a new connection finds a late server sooner than an old one.
            deadlines: PhaseDeadlines {
                banner: PhaseDeadlines::default().banner,
                ..PhaseDeadlines::default().scaled(f64::from(scale.max(100)) / 100.0)
            },
        })
    }

    fn watch_ssh(&mut self, stage: usize) {
        let (Some(vm), Some(plan)) = (&self.vm, &self.plan.ssh) else {
            return;
        };
        let Some(login) = self.login(vm, stage) else { return };
        let (probes, mut received) = tokio::sync::mpsc::channel(PROBES_MAX);
        let (number, inputs) = (vm.number, self.inputs.clone());
        tokio::spawn(async move {
            while let Some(probe) = received.recv().await {
                let probe = VmInput::Probe(Box::new(probe));
                if inputs.send(Input::Vm(number, probe)).await.is_err() {
                    return;
                }
            }
        });
        // That of the run, or of the run that the machine was restored from.
        let expected = Some(vm.machine.uuid);
        let retry_every = plan.retry_every;
        if let Some(vm) = &mut self.vm {
            vm.ssh.watch = Some(LoginWatch::start(
                login,
                vm.ssh.pin.clone(),
                expected,
                retry_every,
                probes,
            ));
        }
    }

    fn run_command(&mut self, stage: usize) {
        let unreachable = |detail: String| Event::CommandUnreachable { detail };
        let login = self.vm.as_ref().and_then(|vm| self.login(vm, stage));
        let (Some(vm), Some(login), Some(ssh)) = (&self.vm, login, &self.plan.ssh) else {
            return self.queue(unreachable("the stage has no SSH login".to_owned()));
        };
        let (log, file) = match self.command_log(stage) {
            Ok(log) => log,
            Err(error) => return self.queue(unreachable(error.to_string())),
        };
        let (rules, redactor) = (&self.intake.rules, self.intake.redactor.clone());
        let search = match Search::of_stage(&self.plan, stage, rules, file.clone(), redactor) {
            Ok(search) => search,
            Err(error) => return self.queue(unreachable(error.to_string())),
        };
        let stage = self.plan.stages[stage].clone();
        let task = CommandTask {
            number: vm.number,
            login,
            pin: vm.ssh.pin.clone(),
            run: vm.machine.uuid,
            retry_every: ssh.retry_every,
            // The machine's own deadlines decide; this only bounds the task.
            give_up_after: stage.timeout.saturating_mul(10),
            redactor: self.intake.redactor.clone(),
            sight: self.sight.clone(),
            inputs: self.inputs.clone(),
            end: Arc::default(),
        };
        let end = task.end.clone();
        let task = tokio::spawn(task.run(stage, search, log, file)).abort_handle();
        if let Some(vm) = &mut self.vm {
            vm.tasks.command = Some(CommandHandle { task, end });
        }
    }

    fn answer_prompt(&mut self, stage: usize) {
        let Some(answer) = self.secrets.answer_of(stage) else {
            return;
        };
        let sent = self
            .vm
            .as_ref()
            .map(|vm| vm.console.send_line(ConsoleInput::from(answer)));
        if let Some(Err(error)) = sent {
            self.queue_note("answer-not-sent", error.to_string());
        }
    }

    fn type_answer(&mut self, stage: usize) {
        let Some(answer) = self.secrets.answer_of(stage) else {
            return;
        };
        match keymap::line(answer.expose()) {
            Err(NotTypable { position }) => self.queue(Event::AnswerNotTypable { position }),
            Ok(strokes) => self.with_qmp(|number, qmp| async move {
                let typed = keys::type_secret(&qmp, &strokes).await;
                Some((number, VmInput::Typed(typed.map_err(|error| error.to_string()))))
            }),
        }
    }

    fn end_qemu(&mut self, mode: EndMode) {
        if let Some(preparing) = self.preparing.take() {
            return self.give_up(preparing);
        }
        self.close_hold();
        let Some(vm) = &mut self.vm else {
            return self.queue(Event::QemuEnded(ProcessEnd::NeverStarted));
        };
        if let Some(heartbeat) = vm.tasks.heartbeat.take() {
            heartbeat.abort();
        }
        if let Some(report) = vm.running.exited().borrow().clone() {
            let end = translate::process_end(&report);
            return self.queue(Event::QemuEnded(end));
        }
        let (running, qmp) = (vm.running.clone(), vm.qmp.clone());
        // The exit itself comes back as an input; not kept among the machine's tasks, so that it outlives them.
        tokio::spawn(async move {
            match mode {
                EndMode::Ladder | EndMode::Quick => {
                    let rungs = if mode == EndMode::Quick {
                        Rungs::QUICK
                    } else {
                        Rungs::default()
                    };
                    end(&running, qmp.quit(rungs.quit), rungs).await;
                }
                EndMode::Kill => {
                    end_now(&running, Rungs::default()).await;
                }
            }
        });
    }

    /// A machine that is half brought up dies with its preparation, and so does what prepares it. What follows must find
    /// them gone: none may write into a run that is closed.
    fn give_up(&mut self, preparing: JoinHandle<()>) {
        preparing.abort();
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            // A preparation that had ended before has sent its own word.
            if preparing.await.is_err() {
                helpers_gone().await;
                Spawner::global().children_gone().await;
                let _ = inputs.send(Input::GivenUp).await;
            }
        });
    }

    fn check_release(&mut self) {
        let Some(vm) = &self.vm else { return };
        let (number, images, inputs) = (vm.number, vm.images.clone(), self.inputs.clone());
        tokio::task::spawn_blocking(move || {
            let mut result = Ok(());
            for image in images {
                match disk::is_released(&image) {
                    Ok(true) => {}
                    Ok(false) => result = Err(format!("{} is still locked", image.display())),
                    Err(error) => result = Err(format!("{}: {error}", image.display())),
                }
            }
            let _ = inputs.blocking_send(Input::Vm(number, VmInput::Released(result)));
        });
    }
}

fn note(what: &'static str, detail: String) -> VmInput {
    VmInput::Note { what, detail }
}

async fn query_status(number: u64, qmp: Qmp) -> Option<(u64, VmInput)> {
    match qmp.query_status(COMMAND_WITHIN).await {
        Ok(status) => Some((number, VmInput::Status(translate::guest_status(status)))),
        // Lost is told by the link itself; a missed deadline by the machine's own.
        Err(QmpError::Lost(_) | QmpError::Deadline { .. }) => None,
        Err(error) => Some((number, note("query-status-failed", error.to_string()))),
    }
}
