//! What each input means to the machine.

use std::time::Instant;

use crate::machine::{Effect, EndMode, Event, IdentityFault, ProbeClass, ProcessEnd, SshStability, State};
use crate::qmp::QmpNotice;
use crate::serial::marker::Match;
use crate::serial::tap::SerialNotice;
use crate::ssh::{KeyAcrossBoots, Probe, ProbeOutcome, ProbeSummary};
use crate::triage::{Source, probe_line, qmp_line};

use super::command::CommandInput;
use super::host::HostFacts;
use super::input::{Input, VmInput};
use super::prepare::PrepareError;
use super::run::Driver;
use super::triage::{Stream, mark_line};
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
            Err(error) => {
                self.take_stderr();
                self.handle(&Event::PreparationFailed {
                    cause: error.cause,
                    detail: error.detail,
                });
            }
        }
    }

    fn take_from_vm(&mut self, input: VmInput) {
        match input {
            VmInput::Qmp(notice) => self.take_qmp(notice),
            VmInput::Serial(notice) => self.take_serial(notice),
            VmInput::Firmware { file, found } => self.take_console(&found, &file),
            VmInput::Exited(report) => {
                self.take_stderr();
                self.handle(&Event::QemuEnded(translate::process_end(&report)));
            }
            VmInput::Status(status) => self.handle(&Event::StatusObserved(status)),
            VmInput::Silent { stopped_by_signal } => self.handle(&Event::QmpSilent { stopped_by_signal }),
            VmInput::Probe(probe) => self.take_probe(&probe),
            VmInput::Command(CommandInput::Event(event)) => self.handle(&event),
            VmInput::Command(CommandInput::Matched { file, found }) => {
                let events = self.triage.take(&found, &file, Stream::Output);
                self.handle_all(events.unwrap_or_default());
            }
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
                let events = self.triage.take_line(Source::Qmp, &qmp_line(&event.name, event.data()));
                self.handle_all(events);
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
                self.take_console(&found, &file);
            }
            SerialNotice::LogFailed { error } => self.note("console-log-failed", error.to_string()),
            closed @ SerialNotice::Closed(_) => self.take_serial_end(closed),
        }
    }

    fn handle_all(&mut self, events: Vec<Event>) {
        for event in events {
            self.handle(&event);
        }
    }

    /// Something was found on the console or on the firmware's debug port.
    fn take_console(&mut self, found: &Match, file: &str) {
        if let Some(events) = self.triage.take(found, file, Stream::Console) {
            return self.handle_all(events);
        }
        if let Some(sighting) = watch::sighting(&self.plan, found, file, &self.redactor) {
            let line = mark_line(&sighting.mark);
            self.handle(&Event::ConsoleMatched(sighting));
            let events = line.map(|line| self.triage.take_line(Source::Mark, &line));
            self.handle_all(events.unwrap_or_default());
        }
    }

    /// What QEMU said before it ended by itself, so that its end can be explained.
    fn take_stderr(&mut self) {
        let is_asked_to_end = matches!(self.machine.state(), State::Exiting | State::Discarding);
        if self.machine.verdict().is_none() && !is_asked_to_end {
            let events = self.triage.take_stderr(self.run.path());
            self.handle_all(events);
        }
    }

    fn take_probe(&mut self, probe: &Probe) {
        let class = probe.outcome.class();
        let line = probe_line(class.as_str(), class.meaning());
        let events = self.triage.take_line(Source::Ssh, &line);
        self.handle_all(events);
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
