//! What each input means to the machine.

use std::time::Instant;

use crate::machine::{Effect, EndMode, Event, EvidenceRef, IdentityFault, ProbeClass, ProcessEnd, SshStability, State};
use crate::qmp::QmpNotice;
use crate::serial::tap::SerialNotice;
use crate::ssh::{KeyAcrossBoots, Probe, ProbeOutcome, ProbeSummary};
use crate::text::Untrusted;

use super::command::CommandInput;
use super::host::HostFacts;
use super::idle::Look;
use super::input::{Input, VmInput};
use super::prepare::PrepareError;
use super::run::Driver;
use super::vm::Vm;
use super::{translate, watch};

impl Driver<'_> {
    pub(super) fn take(&mut self, input: Input) {
        match input {
            Input::Stop(signal) => self.handle(&Event::CancelRequested { signal }),
            Input::Prepared(result) => self.prepared(result),
            Input::GivenUp => self.handle(&Event::QemuEnded(ProcessEnd::NeverStarted)),
            Input::Vm(number, input) => {
                if self.vm.as_ref().is_some_and(|vm| vm.number == number) {
                    self.take_from_vm(input);
                }
            }
        }
    }

    fn prepared(&mut self, result: Result<(Box<Vm>, HostFacts), PrepareError>) {
        self.preparing = None;
        let is_awaited = self.machine.state() == State::Preparing;
        match result {
            Ok((mut vm, _)) if !is_awaited => {
                // It was given up and came all the same: it is ended like any other.
                vm.listen(&self.inputs);
                self.vm = Some(vm);
                self.consoles_open += 1;
                self.perform(Effect::EndQemu(EndMode::Kill));
            }
            Err(_) if !is_awaited => self.handle(&Event::QemuEnded(ProcessEnd::NeverStarted)),
            Ok((mut vm, host)) => {
                vm.listen(&self.inputs);
                self.note("accelerator", host.accelerator_why.clone());
                let event = Event::Prepared {
                    accelerator: host.accelerator.clone(),
                    scale_percent: host.scale_percent,
                };
                self.vm = Some(vm);
                self.consoles_open += 1;
                self.host = Some(host);
                self.handle(&event);
            }
            Err(error) => self.handle(&Event::PreparationFailed {
                cause: error.cause,
                detail: error.detail,
            }),
        }
    }

    fn take_from_vm(&mut self, input: VmInput) {
        match input {
            VmInput::Qmp(notice) => self.take_qmp(notice),
            VmInput::Serial(notice) => self.take_serial(notice),
            VmInput::Firmware { file, found } => {
                if let Some(sighting) = watch::sighting(&self.plan, &found, &file, &self.redactor) {
                    self.handle(&Event::ConsoleMatched(sighting));
                }
            }
            VmInput::Exited(report) => self.handle(&Event::QemuEnded(translate::process_end(&report))),
            VmInput::Status(status) => self.handle(&Event::StatusObserved(status)),
            VmInput::Silent { stopped_by_signal } => self.handle(&Event::QmpSilent { stopped_by_signal }),
            VmInput::Probe(probe) => self.take_probe(&probe),
            VmInput::Command(CommandInput::Event(event)) => {
                if let (Event::CommandProgressed, Some(vm)) = (&event, &mut self.vm) {
                    vm.questions.command_spoke(Instant::now());
                }
                self.handle(&event);
            }
            VmInput::Looked(look) => self.take_look(&look),
            VmInput::Command(CommandInput::Note { what, detail }) | VmInput::Note { what, detail } => {
                self.note(what, detail);
            }
            VmInput::Captured { missing } => self.handle(&Event::Captured { missing }),
            VmInput::Released(Ok(())) => self.handle(&Event::ImagesReleased),
            VmInput::Released(Err(detail)) => self.handle(&Event::ImageLocked { detail }),
        }
    }

    fn take_qmp(&mut self, notice: QmpNotice) {
        match notice {
            QmpNotice::Event(event) => {
                if let Some(event) = translate::qmp_event(&event) {
                    self.handle(&event);
                }
            }
            QmpNotice::Lost(loss) => self.handle(&Event::QmpLost {
                detail: loss.to_string(),
            }),
            QmpNotice::Note(note) => {
                // Events were dropped: only the status can tell what they said.
                self.note("qmp-protocol", note.to_string());
                self.perform(Effect::QueryStatus);
            }
            QmpNotice::Ready { .. } => {}
        }
    }

    fn take_serial(&mut self, notice: SerialNotice) {
        match notice {
            SerialNotice::FirstByte { .. } => self.handle(&Event::ConsoleSpoke),
            SerialNotice::Match(found) => {
                let file = self.vm.as_ref().map(|vm| vm.serial_file.clone()).unwrap_or_default();
                if let Some(sighting) = watch::sighting(&self.plan, &found, &file, &self.redactor) {
                    self.handle(&Event::ConsoleMatched(sighting));
                }
            }
            SerialNotice::LogFailed { error } => self.note("console-log-failed", error.to_string()),
            closed @ SerialNotice::Closed(_) => self.take_serial_end(closed),
        }
    }

    fn take_look(&mut self, look: &Look) {
        let Some(vm) = &mut self.vm else { return };
        if vm.questions.hold_up(&self.machine, &self.plan, look) {
            let evidence = EvidenceRef {
                file: vm.serial_file.clone(),
                offset_bytes: Some(look.line.offset),
                quote: Some(Untrusted::new(self.redactor.redact(look.line.text.as_bytes()))),
            };
            self.handle(&Event::InputAwaited { evidence });
        }
    }

    fn take_probe(&mut self, probe: &Probe) {
        let Some(vm) = &mut self.vm else { return };
        let now = Instant::now();
        let progress = vm
            .ssh
            .stability
            .as_mut()
            .map(|s| s.observe(now, &ProbeSummary::from(&probe.outcome)));
        let mut copied = None;
        if let ProbeOutcome::LoggedIn(facts) = &probe.outcome {
            vm.ssh.pin.pin_first(&facts.host_key);
            vm.ssh.key = Some(facts.host_key.clone());
            let installed = matches!(self.machine.state(), State::Verifying);
            match &self.live_key {
                Some(live) if installed && KeyAcrossBoots::compare(live, &facts.host_key) == KeyAcrossBoots::Copied => {
                    copied = Some(facts.host_key.to_string());
                }
                _ if !installed => self.live_key = Some(facts.host_key.clone()),
                _ => {}
            }
        }
        let (class, fault) = translate::probe(&probe.outcome);
        if class != ProbeClass::NoAnswer {
            self.note("ssh-probe", probe.outcome.class().to_string());
        }
        self.handle(&Event::SshProbed(class));
        let fault = fault.or(copied.map(IdentityFault::HostKeyCopied));
        if let Some(fault) = fault {
            self.handle(&Event::SshIdentityFault(fault));
        } else if let Some(progress) = progress.filter(|progress| progress.stable) {
            let window = progress
                .since
                .map(|since| now.saturating_duration_since(since))
                .unwrap_or_default();
            let logins = progress.streak;
            let uuid_proved = matches!(&probe.outcome, ProbeOutcome::LoggedIn(facts) if facts.uuid.is_some());
            self.handle(&Event::SshBecameStable(SshStability {
                logins,
                window,
                uuid_proved,
            }));
        }
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
