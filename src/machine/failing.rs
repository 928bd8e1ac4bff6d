//! The verdict is a failure: Stopping, Capturing, Saving, Held, Discarding, Finished.

use std::time::Duration;

use statig::Outcome::{Handled, Super};

use crate::machine::effect::EndMode;
use crate::machine::gate::{Gate, Outbox, Reason, Step};
use crate::machine::{Cause, Class, DeadlineKind, Effect, Event, Finding, GuestStatus, Mark, Sighting, State};
use crate::plan::FailurePolicy;
use crate::units::ByteSize;

/// A cancelled run must be gone within 5 s, so its capture gets less time.
const CANCELLED_STOP: Duration = Duration::from_secs(1);
const CANCELLED_CAPTURE: Duration = Duration::from_millis(1500);
/// After these nobody in the guest answers any more, or may be asked: it would go on writing.
const GUEST_STANDS_STILL: [Cause; 10] = [
    Cause::KernelPanic,
    Cause::GuestPoweredOff,
    Cause::UnexpectedReset,
    Cause::ResetLoop,
    Cause::HostDiskFull,
    Cause::HostDiskNearlyFull,
    Cause::HostIoError,
    Cause::QemuInternalError,
    Cause::QemuKilled,
    Cause::GuestPausedByOthers,
];

impl Gate {
    fn cancelled(&self) -> bool {
        self.verdict
            .as_ref()
            .is_some_and(|verdict| verdict.class == Class::Cancelled)
    }

    fn arm_shorter_if_cancelled(&mut self, out: &Outbox, kind: DeadlineKind, shorter: Duration) {
        let limit = if self.cancelled() { shorter } else { kind.fixed_limit() };
        self.arm(out, kind, limit);
    }

    /// The guest stands still at once, unless it has something left to say: what follows a fatal line, or, if the failure
    /// leaves it running and it lets us in, its journal.
    pub(super) fn enter_stopping(&mut self, out: &mut Outbox) {
        if std::mem::take(&mut self.last_words) {
            self.arm_fixed(out, DeadlineKind::LastWords);
        } else if self.guest_answers() {
            self.ask_for_journal(out);
        } else {
            self.stop_guest(out);
        }
    }

    fn ask_for_journal(&mut self, out: &mut Outbox) {
        self.arm_fixed(out, DeadlineKind::Journal);
        out.ask(Effect::CollectJournal);
    }

    fn guest_answers(&self) -> bool {
        let runs = self
            .verdict
            .as_ref()
            .is_some_and(|verdict| !GUEST_STANDS_STILL.iter().any(|cause| cause.id() == verdict.cause));
        runs && self.boot.ssh.stable && !self.cancelled()
    }

    fn stop_guest(&mut self, out: &mut Outbox) {
        self.deadlines.disarm(DeadlineKind::LastWords);
        self.deadlines.disarm(DeadlineKind::Journal);
        self.arm_shorter_if_cancelled(out, DeadlineKind::Stop, CANCELLED_STOP);
        out.ask(Effect::StopGuest);
    }

    pub(super) fn stopping(&mut self, event: &Event, out: &mut Outbox) -> Step {
        match event {
            // The answer to a question from before.
            Event::StatusObserved(GuestStatus::Running) => Handled,
            Event::JournalCollected { missing } if self.deadlines.is_armed(DeadlineKind::Journal) => {
                if let Some(why) = missing {
                    out.note(State::Stopping, "journal-missing", why, None);
                }
                self.stop_guest(out);
                Handled
            }
            Event::DeadlinePassed(DeadlineKind::Journal) => {
                out.note(
                    State::Stopping,
                    "journal-missing",
                    "the guest did not hand it out in time",
                    None,
                );
                self.stop_guest(out);
                Handled
            }
            // A shell may wait on the console where it ended.
            Event::DeadlinePassed(DeadlineKind::LastWords) => {
                self.ask_for_journal(out);
                Handled
            }
            // By itself: QEMU pauses a guest that panics.
            Event::GuestStopped
                if self.deadlines.is_armed(DeadlineKind::LastWords)
                    || self.deadlines.is_armed(DeadlineKind::Journal) =>
            {
                self.stop_guest(out);
                Handled
            }
            Event::StatusObserved(status) => {
                let by = format!("query-status: {}", status.as_str());
                self.confirm_verdict(by.clone());
                self.go(out, State::Capturing, Reason::event("guest-stopped").confirmed(by))
            }
            Event::DeadlinePassed(DeadlineKind::Stop) => {
                self.go(out, State::Discarding, Reason::event("deadline-stop"))
            }
            _ => Super,
        }
    }

    pub(super) fn enter_capturing(&mut self, out: &mut Outbox) {
        self.arm_shorter_if_cancelled(out, DeadlineKind::Capture, CANCELLED_CAPTURE);
        out.ask(Effect::Capture);
    }

    pub(super) fn capturing(&mut self, event: &Event, out: &mut Outbox) -> Step {
        match event {
            Event::Captured { missing } => {
                let mut reason = Reason::event("captured");
                if !missing.is_empty() {
                    reason = reason.detail(format!("without {}", missing.join(", ")));
                }
                let to = match self.plan.on_failure {
                    _ if self.cancelled() => State::Discarding,
                    Some(FailurePolicy::Hold) if !self.hold.is_zero() => State::Held,
                    Some(FailurePolicy::Bundle) => State::Saving,
                    _ => State::Discarding,
                };
                self.go(out, to, reason)
            }
            Event::DeadlinePassed(DeadlineKind::Capture) => {
                self.go(out, State::Discarding, Reason::event("deadline-capture"))
            }
            _ => Super,
        }
    }

    pub(super) fn enter_saving(&mut self, out: &mut Outbox) {
        self.arm_fixed(out, DeadlineKind::Save);
        self.arm_fixed(out, DeadlineKind::SaveProgress);
        out.ask(Effect::SaveCheckpoint);
    }

    pub(super) fn saving(&mut self, event: &Event, out: &mut Outbox) -> Step {
        match event {
            Event::CheckpointProgressed { .. } => {
                self.arm_fixed(out, DeadlineKind::SaveProgress);
                Handled
            }
            Event::CheckpointSaved { size_bytes } => {
                let size = ByteSize(*size_bytes).to_string();
                let reason = Reason::event("checkpoint-saved").confirmed("QMP MIGRATION: completed");
                self.go(out, State::Discarding, reason.detail(size))
            }
            Event::CheckpointFailed { detail } => {
                self.not_saved(detail);
                self.go(
                    out,
                    State::Discarding,
                    Reason::event("checkpoint-failed").detail(detail.clone()),
                )
            }
            Event::DeadlinePassed(kind @ (DeadlineKind::Save | DeadlineKind::SaveProgress)) => {
                let (event, detail) = match kind {
                    DeadlineKind::Save => ("deadline-save", "it was not saved in time"),
                    _ => ("deadline-save-progress", "saving it came to a standstill"),
                };
                self.not_saved(detail);
                out.ask(Effect::AbandonCheckpoint);
                self.go(out, State::Discarding, Reason::event(event).detail(detail))
            }
            _ => Super,
        }
    }

    /// The verdict stands; that the machine can't be opened again is told beside it.
    fn not_saved(&mut self, why: &str) {
        self.remark(format!("the machine could not be saved: {why}"));
    }

    pub(super) fn enter_held(&mut self, out: &mut Outbox) {
        let hold = self.hold;
        self.arm(out, DeadlineKind::Hold, hold);
        out.ask(Effect::OpenHold);
    }

    pub(super) fn held(&mut self, event: &Event, out: &mut Outbox) -> Step {
        match event {
            Event::DeadlinePassed(DeadlineKind::Hold) => {
                self.go(out, State::Discarding, Reason::event("deadline-hold"))
            }
            Event::HoldReleased => self.go(out, State::Discarding, Reason::event("hold-released")),
            Event::HoldExtended { limit } => {
                self.hold = *limit;
                self.arm(out, DeadlineKind::Hold, *limit);
                Handled
            }
            // How whoever waits at the terminal ends it; QEMU is well and gets its ladder.
            Event::CancelRequested { signal } => {
                let reason = Reason::event("hold-released").detail(signal.name());
                self.go(out, State::Discarding, reason)
            }
            // A person who lets the guest go on sees what it does; the verdict is decided.
            Event::GuestPanicked | Event::GuestShutDown { .. } | Event::ConsoleMatched(_) => Handled,
            _ => Super,
        }
    }

    pub(super) fn enter_discarding(&mut self, out: &mut Outbox) {
        self.deadlines.disarm(DeadlineKind::QmpGone);
        self.arm_fixed(out, DeadlineKind::Discard);
        let mode = match (self.kill, self.cancelled()) {
            (true, _) => EndMode::Kill,
            (false, true) => EndMode::Quick,
            (false, false) => EndMode::Ladder,
        };
        out.ask(Effect::EndQemu(mode));
    }

    pub(super) fn discarding(&mut self, event: &Event, out: &mut Outbox) -> Step {
        match event {
            Event::QemuEnded(_) => self.go(out, State::Finished, Reason::event("qemu-ended")),
            Event::DeadlinePassed(DeadlineKind::Discard) => {
                self.remark("QEMU was still there when the run ended: `bootgate reap` ends it");
                self.go(out, State::Finished, Reason::event("deadline-discard"))
            }
            Event::CancelRequested { .. } => {
                out.ask(Effect::EndQemu(EndMode::Kill));
                Handled
            }
            Event::QmpLost { .. } | Event::QmpSilent { .. } => Handled,
            _ => Super,
        }
    }

    /// What all failing states answer: the verdict stands, the rest can only agree with it or end it sooner.
    pub(super) fn failing(&mut self, event: &Event, out: &mut Outbox) -> Step {
        match event {
            Event::CancelRequested { signal } => {
                self.kill = true;
                let reason = Reason::event("cancelled-again").detail(signal.name());
                self.go(out, State::Discarding, reason)
            }
            Event::QemuEnded(_) => self.go(out, State::Discarding, Reason::event("qemu-ended")),
            Event::QmpLost { .. } | Event::QmpSilent { .. } => {
                self.go(out, State::Discarding, Reason::event("qmp-gone"))
            }
            Event::GuestPanicked => {
                self.corroborate("kernel-panic", "QMP GUEST_PANICKED");
                Handled
            }
            Event::GuestShutDown { .. } => {
                self.corroborate("guest-powered-off", "QMP SHUTDOWN");
                Handled
            }
            Event::ConsoleMatched(Sighting {
                mark: Mark::Rule(rule, led_by),
                evidence,
            }) => {
                let finding = Finding {
                    rule: rule.clone(),
                    evidence: evidence.clone(),
                    led_by: led_by.clone(),
                };
                self.corroborate_by_rule(out, "console", finding);
                Handled
            }
            Event::OutputRuleMatched(finding) => {
                self.corroborate_by_rule(out, "output", finding.clone());
                Handled
            }
            // The stage has ended.
            Event::ProspectsChanged(_) => Handled,
            _ => Super,
        }
    }

    fn corroborate(&mut self, cause: &str, signal: &str) {
        if self.verdict.as_ref().is_some_and(|verdict| verdict.cause == cause) {
            self.confirm_verdict(signal.to_owned());
        }
    }

    /// A rule that comes late can agree with the verdict, and tell why if nothing has.
    fn corroborate_by_rule(&mut self, out: &mut Outbox, from: &str, finding: Finding) {
        let rule = &finding.rule;
        self.corroborate(&rule.cause, &format!("{from} rule `{}`", rule.id));
        self.found(out, "late-rule", finding);
    }

    fn confirm_verdict(&mut self, by: String) {
        if let Some(verdict) = &mut self.verdict
            && !verdict.confirmed_by.contains(&by)
        {
            verdict.confirmed_by.push(by);
        }
    }

    pub(super) fn enter_finished(&mut self, _out: &mut Outbox) {
        self.deadlines = crate::machine::Deadlines::default();
    }
}
