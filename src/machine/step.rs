//! One stage as a run of its own: Resuming where another run has left off, Pausing and Checkpointing for the next one.

use statig::Outcome::{Handled, Super};

use crate::machine::boot::STATUS_RUNNING;
use crate::machine::gate::{Gate, Outbox, Reason, Step};
use crate::machine::{
    Cause, DeadlineKind, Effect, Event, EvidenceRef, GuestStatus, Handed, Left, ProbeClass, State, Verdict,
};
use crate::plan::{Evidence, VmUse};
use crate::units::ByteSize;

impl Gate {
    /// What another run has left, if this one goes on with the machine itself.
    pub(super) fn restored_from(&self) -> Option<&Left> {
        self.part.left().filter(|_| self.plan_stage().vm == VmUse::Same)
    }

    /// What is left for the next run when the current stage has passed.
    pub(super) fn hands_on(&self) -> Option<Handed> {
        self.part.hands_on(&self.plan, self.stage)
    }

    /// The machine is restored and paused: what was known of its guest is known again, but for that it answers.
    pub(super) fn restored(&mut self, out: &mut Outbox, left: &Left) -> Step {
        self.boot.spoke = true;
        self.boot.kernel_seen = true;
        self.boot.marker_seen = left.marker_seen;
        let reached = &mut self.reports[self.stage].reached;
        *reached = (*reached).max(left.reached);
        let reason = Reason::event("restored")
            .confirmed("QMP MIGRATION: completed; query-status: paused")
            .detail(format!("restored from checkpoint: run {}", left.run));
        if self.serial_login().is_none() {
            return self.go(out, State::Resuming, reason);
        }
        // The key that opened it went with its run: it is had to let us in anew.
        out.ask(Effect::Continue);
        self.go(out, State::MarkerSeen, reason)
    }

    pub(super) fn enter_resuming(&mut self, out: &mut Outbox) {
        out.ask(Effect::Continue);
        if let Some(ssh) = &self.plan.ssh {
            let limit = ssh.stable_within;
            self.arm(out, DeadlineKind::SshStable, limit);
        }
        out.ask(Effect::WatchSsh { stage: self.stage });
    }

    /// The restored guest must let us in, by the host key and in the boot that it was left with.
    pub(super) fn resuming(&mut self, event: &Event, out: &mut Outbox) -> Step {
        const STATE: State = State::Resuming;
        match event {
            Event::SshProbed(class) => {
                let is_in = *class == ProbeClass::LoggedIn;
                if is_in && self.boot.pending.is_none() {
                    self.await_confirmation(out, &EvidenceRef::default());
                }
                self.on_ssh(event, out, STATE)
            }
            Event::StatusObserved(GuestStatus::Running) => match self.boot.pending.take() {
                Some(_) => self.resumed(out),
                None => Handled,
            },
            Event::SshIdentityFault(_) => self.on_ssh(event, out, STATE),
            Event::DeadlinePassed(DeadlineKind::SshStable | DeadlineKind::Stage) => {
                let detail = format!("{} login attempts were not answered", self.boot.ssh.no_answer);
                let reason = Reason::event("deadline-ssh-stable").detail(detail);
                self.fail(out, STATE, Cause::RestoredSilent, reason)
            }
            _ => Super,
        }
    }

    fn resumed(&mut self, out: &mut Outbox) -> Step {
        let reason = Reason::event("resumed");
        if !self.part.left().is_some_and(|left| left.ssh_stable) {
            return self.go(out, State::MarkerSeen, reason.confirmed(STATUS_RUNNING));
        }
        self.boot.ssh.stable = true;
        self.reach(Evidence::Login);
        let by = format!("{STATUS_RUNNING}; a login by the host key and in the boot of the checkpoint");
        self.go(out, State::SshStable, reason.confirmed(by))
    }

    pub(super) fn enter_pausing(&mut self, out: &mut Outbox) {
        self.arm_fixed(out, DeadlineKind::Stop);
        out.ask(Effect::StopGuest);
    }

    /// The stage has passed, and the next one goes on in this machine.
    pub(super) fn pausing(&mut self, event: &Event, out: &mut Outbox) -> Step {
        const STATE: State = State::Pausing;
        match event {
            // The answer to a question from before.
            Event::StatusObserved(GuestStatus::Running) => Handled,
            Event::StatusObserved(GuestStatus::Paused) => {
                let reason = Reason::event("guest-stopped").confirmed("query-status: paused");
                self.go(out, State::Checkpointing, reason)
            }
            Event::StatusObserved(status) => {
                let reason = Reason::event("status-observed").confirmed(format!("query-status: {}", status.as_str()));
                self.fail(
                    out,
                    STATE,
                    Cause::CheckpointFailed,
                    reason.detail("the guest has stopped by itself"),
                )
            }
            Event::BlockIoFailed { node, no_space } => self.block_io_failed(out, STATE, node, *no_space),
            Event::HostSpaceLow { .. } => self.host_space_low(out, STATE, event),
            Event::DeadlinePassed(DeadlineKind::Stop) => {
                let reason = Reason::event("deadline-stop").detail("the guest was not stopped in time");
                self.fail_dead(out, STATE, Cause::CheckpointFailed, reason)
            }
            _ => Super,
        }
    }

    pub(super) fn enter_checkpointing(&mut self, out: &mut Outbox) {
        self.arm_fixed(out, DeadlineKind::Save);
        self.arm_fixed(out, DeadlineKind::SaveProgress);
        out.ask(match self.hands_on() {
            Some(Handed::Machine) => Effect::SaveCheckpoint,
            Some(Handed::Disks) | None => Effect::SaveDisks,
        });
    }

    /// What the next stage goes on with is saved: a machine that stands still, or the disks of one that is gone.
    pub(super) fn checkpointing(&mut self, event: &Event, out: &mut Outbox) -> Step {
        const STATE: State = State::Checkpointing;
        match event {
            Event::CheckpointProgressed { .. } => {
                self.arm_fixed(out, DeadlineKind::SaveProgress);
                Handled
            }
            Event::CheckpointSaved { size_bytes } => {
                let reason = Reason::event("checkpoint-saved").detail(ByteSize(*size_bytes).to_string());
                if self.hands_on() == Some(Handed::Machine) {
                    let reason = reason.confirmed("QMP MIGRATION: completed");
                    return self.go(out, State::Exiting, reason);
                }
                self.finish_passed(out, STATE, reason.confirmed("QEMU has ended; its files have digests"))
            }
            Event::CheckpointFailed { detail } => {
                let reason = Reason::event("checkpoint-failed").detail(detail);
                self.fail_dead(out, STATE, Cause::CheckpointFailed, reason)
            }
            Event::DeadlinePassed(kind @ (DeadlineKind::Save | DeadlineKind::SaveProgress)) => {
                let (event, detail) = match kind {
                    DeadlineKind::Save => ("deadline-save", "it was not saved in time"),
                    _ => ("deadline-save-progress", "saving it came to a standstill"),
                };
                let reason = Reason::event(event).detail(detail);
                self.fail_dead(out, STATE, Cause::CheckpointFailed, reason)
            }
            _ => Super,
        }
    }

    /// Nothing failed. What was not tested is told, so that nobody takes it for proved.
    pub(super) fn finish_passed(&mut self, out: &mut Outbox, state: State, reason: Reason) -> Step {
        let stages = self.plan.stages.iter().zip(&self.reports);
        let untested = stages.filter_map(|(stage, report)| {
            let reason = report.not_tested.as_ref()?;
            Some(format!("stage `{}`: {reason}", stage.name))
        });
        let untested: Vec<_> = untested.collect();
        let cause = match (untested.is_empty(), self.part.only_stage()) {
            (false, _) => Cause::NotEverythingTested,
            (true, None) => Cause::EveryClaimProved,
            (true, Some(_)) => Cause::StageProved,
        };
        let verdict = Verdict::of(cause, untested.join("; "), self.stage, state);
        self.decide(out, verdict, &reason);
        self.go(out, State::Finished, reason)
    }
}
