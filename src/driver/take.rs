//! What each input of a live run is, as a fact, and what else it does.

use std::time::Instant;

use tokio::task::AbortHandle;

use crate::machine::{Effect, EndMode, Event, ProcessEnd, State};
use crate::qmp::QmpNotice;
use crate::serial::marker::Match;
use crate::serial::tap::SerialNotice;
use crate::ssh::{Probe, ProbeOutcome};

use super::command::CommandInput;
use super::fact::{Fact, ProbeFact, micros};
use super::hold::HoldAsk;
use super::host::HostFacts;
use super::idle::Look;
use super::input::{Input, VmInput};
use super::prepare::PrepareError;
use super::run::Driver;
use super::vm::Vm;
use super::{scratch, space, translate, triage};

impl Driver<'_> {
    pub(super) fn take(&mut self, input: Input) {
        match input {
            Input::Stop(signal) => self.handle(Event::CancelRequested { signal }),
            Input::Prepared(result) => self.prepared(result),
            Input::GivenUp => self.handle(Event::QemuEnded(ProcessEnd::NeverStarted)),
            Input::Vm(number, input) => {
                if self.vm.as_ref().is_some_and(|vm| vm.number == number) {
                    self.take_from_vm(input);
                }
            }
        }
    }

    fn prepared(&mut self, result: Result<(Box<Vm>, HostFacts), PrepareError>) {
        self.preparing = None;
        let is_awaited = self.intake.machine.state() == State::Preparing;
        match result {
            Ok((mut vm, _)) if !is_awaited => {
                // It was given up and came all the same: it is ended like any other.
                vm.listen(&self.inputs);
                self.vm = Some(vm);
                self.consoles_open += 1;
                self.perform(Effect::EndQemu(EndMode::Kill));
            }
            Err(_) if !is_awaited => self.handle(Event::QemuEnded(ProcessEnd::NeverStarted)),
            Ok((mut vm, host)) => {
                vm.listen(&self.inputs);
                let fact = Fact::Prepared {
                    accelerator: host.accelerator.clone(),
                    why: host.accelerator_why.clone(),
                    scale_percent: host.scale_percent,
                    serial: vm.serial_file.clone(),
                };
                self.sight.console(vm.console.clone());
                vm.tasks.others.push(self.watch_host(vm.number));
                self.vm = Some(vm);
                self.consoles_open += 1;
                self.host = Some(host);
                self.hand_in(fact);
            }
            Err(error) => {
                self.take_stderr();
                self.handle(Event::PreparationFailed {
                    cause: error.cause,
                    detail: error.detail,
                });
            }
        }
    }

    /// Watches the disks that the run writes to, while this machine runs.
    fn watch_host(&self, number: u64) -> AbortHandle {
        let places = vec![self.run.path().to_owned(), self.run.path().join(scratch::DISKS)];
        let watch = space::watch(number, places, self.plan.host.reserve, self.inputs.clone());
        tokio::spawn(watch).abort_handle()
    }

    fn take_from_vm(&mut self, input: VmInput) {
        match input {
            VmInput::Qmp(notice) => self.take_qmp(notice),
            VmInput::Serial(notice) => self.take_serial(notice),
            VmInput::Found { file, found } => self.take_match(file, found),
            VmInput::Exited(report) => {
                self.take_stderr();
                self.handle(Event::QemuEnded(translate::process_end(&report)));
            }
            VmInput::Status(status) => self.handle(Event::StatusObserved(status)),
            VmInput::Silent { stopped_by_signal } => self.handle(Event::QmpSilent { stopped_by_signal }),
            VmInput::Probe(probe) => self.take_probe(&probe),
            VmInput::Command(CommandInput::Event(event)) => self.handle(*event),
            VmInput::Saved(event) | VmInput::Host(event) | VmInput::Told(event) => self.handle(event),
            VmInput::Command(CommandInput::Output {
                file,
                offset,
                length,
                hits,
            }) => self.hand_in(Fact::Output {
                file,
                offset,
                length,
                hits,
            }),
            VmInput::Command(CommandInput::OutputEnded { hits }) => self.hand_in(Fact::OutputEnded { hits }),
            VmInput::Looked(look) => self.hand_in(look_fact(look)),
            VmInput::Command(CommandInput::Note { what, detail }) | VmInput::Note { what, detail } => {
                self.note(what, detail);
            }
            VmInput::ScreenShows { text } => self.handle(Event::ScreenShows { text }),
            VmInput::Typed(Ok(())) => self.handle(Event::AnswerTyped),
            VmInput::Typed(Err(why)) => self.note("answer-not-sent", why),
            VmInput::Captured { missing } => self.handle(Event::Captured { missing }),
            VmInput::Journal { missing } => self.handle(Event::JournalCollected { missing }),
            VmInput::Saving(progress) => {
                self.queue_note("checkpoint", progress.to_string());
                self.handle(Event::CheckpointProgressed {
                    done_bytes: progress.done_bytes,
                    total_bytes: progress.total_bytes,
                });
            }
            VmInput::Hold(HoldAsk::Release) => self.handle(Event::HoldReleased),
            VmInput::Hold(HoldAsk::Extend(limit)) => self.extend_hold(limit),
            VmInput::Released(Ok(())) => self.handle(Event::ImagesReleased),
            VmInput::Released(Err(detail)) => self.handle(Event::ImageLocked { detail }),
        }
    }

    fn take_qmp(&mut self, notice: QmpNotice) {
        match notice {
            QmpNotice::Event(event) => {
                let data = event.data().clone();
                self.hand_in(Fact::Qmp { name: event.name, data });
            }
            QmpNotice::Lost(loss) => self.handle(Event::QmpLost {
                detail: loss.to_string(),
            }),
            QmpNotice::Note(note) => self.hand_in(Fact::QmpNote {
                detail: note.to_string(),
            }),
            QmpNotice::Ready { .. } => {}
        }
    }

    fn take_serial(&mut self, notice: SerialNotice) {
        match notice {
            SerialNotice::FirstByte { .. } => self.handle(Event::ConsoleSpoke),
            SerialNotice::Match(found) => {
                let file = self.vm.as_ref().map(|vm| vm.serial_file.clone()).unwrap_or_default();
                self.take_match(file, found);
            }
            SerialNotice::LogFailed { error } => self.note("console-log-failed", error.to_string()),
            closed @ SerialNotice::Closed(_) => self.take_serial_end(closed),
        }
    }

    fn take_match(&mut self, file: String, found: Match) {
        self.hand_in(Fact::Match {
            file,
            id: found.id.clone(),
            offset: found.match_offset,
            found: Some(found),
        });
    }

    /// What QEMU said before it ended by itself, so that its end can be explained.
    fn take_stderr(&mut self) {
        let machine = &self.intake.machine;
        let is_asked_to_end = matches!(machine.state(), State::Exiting | State::Discarding);
        if machine.verdict().is_none() && !is_asked_to_end {
            let text = triage::read_stderr(self.run.path());
            self.hand_in(Fact::QemuSaid { text });
        }
    }

    fn take_probe(&mut self, probe: &Probe) {
        if let (ProbeOutcome::LoggedIn(facts), Some(vm)) = (&probe.outcome, &mut self.vm) {
            vm.ssh.pin.pin_first(&facts.host_key);
        }
        self.hand_in(Fact::Probe(ProbeFact::of(&probe.outcome)));
    }

    /// Takes note of what was due at `due`, and lets it pass.
    pub(super) fn pass_deadline(&mut self, due: Instant) {
        let due_us = self.recorder.t_us(due);
        self.hand_in(Fact::Deadline { due_us });
    }

    fn note(&mut self, what: &str, detail: String) {
        let what = what.to_owned();
        self.hand_in(Fact::Note { what, detail });
    }

    /// Notes a console's end.
    pub(super) fn take_serial_end(&mut self, notice: SerialNotice) {
        if let SerialNotice::Closed(summary) = notice {
            let file = self.vm.as_ref().map(|vm| vm.serial_file.clone()).unwrap_or_default();
            self.consoles.push((file, summary));
            self.consoles_open = self.consoles_open.saturating_sub(1);
        }
    }
}

fn look_fact(look: Look) -> Fact {
    Fact::Look {
        file: look.file,
        silent_us: micros(look.sample.silent),
        console_bytes: look.sample.console_bytes,
        block_operations: look.sample.block_operations,
        busy_us: micros(look.sample.busy),
        line: Some(look.line),
    }
}
