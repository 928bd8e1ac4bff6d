//! From power-on to a stable login: Preparing, Booting, MarkerSeen, SshStable.

use statig::Outcome::{Handled, Super};

use crate::machine::effect::BootFrom;
use crate::machine::gate::{BootFacts, Gate, Outbox, Reason, Step};
use crate::machine::{Cause, DeadlineKind, Effect, Event, GuestStatus, Mark, Sighting, State};
use crate::plan::{Evidence, StageKind};

/// The words for the signal that confirms most sightings.
pub(super) const STATUS_RUNNING: &str = "query-status: running";

impl Gate {
    pub(super) fn enter_preparing(&mut self, out: &mut Outbox) {
        self.boot = BootFacts::default();
        let stage = self.stage;
        self.begin_stage(out, stage);
        self.arm_fixed(out, DeadlineKind::Prepare);
        let boot = match self.restored_from() {
            Some(_) => BootFrom::Checkpoint,
            None => BootFrom::of(self.plan_stage()),
        };
        out.ask(Effect::Prepare { stage, boot });
    }

    pub(super) fn preparing(&mut self, event: &Event, out: &mut Outbox) -> Step {
        match event {
            Event::Prepared {
                accelerator,
                scale_percent,
            } => {
                self.scale_percent = *scale_percent;
                self.reach(Evidence::Process);
                self.arm_stage(out);
                if let Some(left) = self.restored_from().cloned() {
                    return self.restored(out, &left);
                }
                let to = if self.boots_installed() {
                    State::BootingDisk
                } else {
                    State::Booting
                };
                let reason = Reason::event("prepared")
                    .confirmed("QMP negotiated; query-status: prelaunch")
                    .detail(format!("accelerator {accelerator}, deadlines × {scale_percent} %"));
                self.go(out, to, reason)
            }
            Event::PreparationFailed { cause, detail } => {
                let reason = Reason::event("preparation-failed").detail(detail);
                self.fail_dead(out, State::Preparing, *cause, reason)
            }
            Event::DeadlinePassed(DeadlineKind::Prepare) => {
                let reason = Reason::event("deadline-prepare");
                self.fail_dead(out, State::Preparing, Cause::PrepareTimeout, reason)
            }
            // QEMU's end during the preparation is told by the preparation itself, which has stderr at hand.
            Event::QemuEnded(_) | Event::QmpLost { .. } => Handled,
            _ => Super,
        }
    }

    pub(super) fn enter_booting(&mut self, out: &mut Outbox) {
        out.ask(Effect::Continue);
        // Before the image has let us in, an SSH server that is there would turn us down.
        if self.plan.ssh.is_some() && self.serial_login().is_none() {
            out.ask(Effect::WatchSsh { stage: self.stage });
        }
    }

    pub(super) fn booting(&mut self, event: &Event, out: &mut Outbox) -> Step {
        match event {
            Event::ConsoleMatched(Sighting {
                mark: Mark::Marker(name),
                evidence,
            }) => {
                if self.boot.pending.is_none() {
                    out.note(
                        State::Booting,
                        "marker-seen",
                        format!("marker `{name}`"),
                        Some(evidence),
                    );
                    self.await_confirmation(out, evidence);
                }
                Handled
            }
            Event::ConsoleMatched(Sighting {
                mark: Mark::LoginPrompt,
                evidence,
            }) if self.prompt_is_marker() => {
                if self.boot.pending.is_none() {
                    self.await_confirmation(out, evidence);
                }
                Handled
            }
            Event::StatusObserved(GuestStatus::Running) => match self.boot.pending.take() {
                Some(evidence) if self.prompt_is_marker() => {
                    self.reach(Evidence::Userspace);
                    let reason = Reason::event("login-prompt-seen").confirmed(STATUS_RUNNING);
                    self.go(out, State::MarkerSeen, reason.evidence(&evidence))
                }
                Some(evidence) => {
                    self.boot.marker_seen = true;
                    self.reach(Evidence::Marker);
                    let reason = Reason::event("marker-seen")
                        .confirmed(STATUS_RUNNING)
                        .evidence(&evidence);
                    if self.claims_at_most(Evidence::Marker) {
                        return self.complete_stage(out, reason);
                    }
                    self.go(out, State::MarkerSeen, reason)
                }
                None => Handled,
            },
            Event::SshProbed(_) | Event::SshBecameStable(_) | Event::SshIdentityFault(_) => {
                self.on_ssh(event, out, State::Booting)
            }
            Event::DeadlinePassed(DeadlineKind::Stage) => {
                let (cause, detail) = self.boot_timeout_cause();
                let reason = Reason::event("deadline-stage").detail(detail);
                self.fail(out, State::Booting, cause, reason)
            }
            _ => Super,
        }
    }

    /// Remembers a sighting and asks whether the guest really runs.
    pub(super) fn await_confirmation(&mut self, out: &mut Outbox, evidence: &crate::machine::EvidenceRef) {
        self.boot.pending = Some(evidence.clone());
        self.arm_fixed(out, DeadlineKind::Confirm);
        out.ask(Effect::QueryStatus);
    }

    fn claims_at_most(&self, level: Evidence) -> bool {
        let stage = self.plan_stage();
        matches!(stage.kind, StageKind::Boot) && stage.claims <= level
    }

    /// The stage's time ran out while booting: says what is known, since "timeout" explains nothing.
    fn boot_timeout_cause(&self) -> (Cause, String) {
        let heard = match (self.boot.spoke, self.boot.kernel_seen) {
            (false, _) => "not one byte came over the serial console",
            (true, false) => "the firmware or boot loader wrote to the console, a kernel did not",
            (true, true) => "the kernel wrote to the console",
        };
        let cause = if !self.boot.spoke && !self.boot.ssh.answered {
            Cause::NoSerialConsole
        } else if self.boot.kernel_seen && !self.plan.console.markers.is_empty() {
            Cause::NoMarker
        } else {
            Cause::BootTimeout
        };
        (cause, heard.to_owned())
    }

    pub(super) fn enter_marker_seen(&mut self, out: &mut Outbox) {
        if self.begin_access(out) {
            return;
        }
        self.await_ssh(out);
    }

    pub(super) fn await_ssh(&mut self, out: &mut Outbox) {
        let Some(ssh) = &self.plan.ssh else { return };
        let (appear, stable) = (ssh.appear_within, ssh.stable_within);
        if self.boot.ssh.answered {
            self.arm(out, DeadlineKind::SshStable, stable);
        } else {
            self.arm(out, DeadlineKind::SshAppear, appear);
        }
        out.ask(Effect::ProbeSshNow);
    }

    pub(super) fn marker_seen(&mut self, event: &Event, out: &mut Outbox) -> Step {
        match event {
            Event::AccessOpened { .. } | Event::AccessRefused { .. } => self.on_access(event, out),
            Event::DeadlinePassed(kind @ (DeadlineKind::Access | DeadlineKind::Stage)) if self.is_opening() => {
                self.access_gave_up(out, *kind)
            }
            Event::SshProbed(_) | Event::SshBecameStable(_) | Event::SshIdentityFault(_) => {
                self.on_ssh(event, out, State::MarkerSeen)
            }
            Event::DeadlinePassed(kind @ (DeadlineKind::SshAppear | DeadlineKind::SshStable | DeadlineKind::Stage)) => {
                self.ssh_gave_up(out, State::MarkerSeen, *kind)
            }
            _ => Super,
        }
    }

    pub(super) fn enter_ssh_stable(&mut self, out: &mut Outbox) {
        out.ask(Effect::UnwatchSsh);
        self.arm_fixed(out, DeadlineKind::Confirm);
        out.ask(Effect::QueryStatus);
    }

    pub(super) fn ssh_stable(&mut self, event: &Event, out: &mut Outbox) -> Step {
        match event {
            Event::StatusObserved(GuestStatus::Running) => {
                if matches!(self.plan_stage().kind, StageKind::Boot) {
                    let reason = Reason::event("stage-completed").confirmed(STATUS_RUNNING);
                    return self.complete_stage(out, reason);
                }
                let reason = Reason::event("ready-for-command").confirmed(STATUS_RUNNING);
                self.go(out, State::Installing, reason)
            }
            Event::DeadlinePassed(DeadlineKind::Stage) => {
                let reason = Reason::event("deadline-stage");
                self.fail(out, State::SshStable, Cause::BootTimeout, reason)
            }
            _ => Super,
        }
    }
}
