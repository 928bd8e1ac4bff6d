//! What every state answers (Run), and what every state with a running guest answers (Live).

use std::time::Duration;

use statig::Outcome::{Handled, Super};

use crate::machine::event::{GuestStatus, ProcessEnd};
use crate::machine::gate::{Gate, Outbox, Reason, Step};
use crate::machine::{
    Cause, DeadlineKind, Effect, Event, EvidenceRef, Finding, Mark, Record, Sighting, State, StopSignal, Verdict,
};
use crate::plan::Evidence;
use crate::units::ByteSize;

/// A guest's reset arrives as two RESET events (firmware resets once more): events this close are one reset.
const RESET_DEBOUNCE: Duration = Duration::from_millis(500);
/// Firmware and boot loader may reset on the way up; more than this many before a kernel speaks are a loop.
const RESETS_MAX: u32 = 3;
/// A booted kernel may reset once (first-boot relabelling); a second time is a loop.
const KERNEL_RESETS_MAX: u32 = 1;
/// A host stall gives back at most this much time.
const STALL_MAX: Duration = Duration::from_secs(600);

impl Gate {
    pub(super) fn run(&mut self, event: &Event, out: &mut Outbox) -> Step {
        // The state is told by the record of the transition; here it is only a place in the verdict.
        let state = self.place();
        match event {
            Event::CancelRequested { signal } => self.cancel(*signal, out),
            Event::QemuEnded(end) => self.qemu_ended(end, out),
            Event::QmpLost { detail } => {
                out.note(state, "qmp-lost", detail, None);
                self.qmp_lost = Some(detail.clone());
                self.arm_fixed(out, DeadlineKind::QmpGone);
                Handled
            }
            Event::DeadlinePassed(DeadlineKind::QmpGone) => {
                let detail = self.qmp_lost.clone().unwrap_or_default();
                let evidence = EvidenceRef::file("qmp.jsonl");
                let reason = Reason::event("qmp-lost").detail(detail).evidence(&evidence);
                self.fail_dead(out, state, Cause::QmpLost, reason)
            }
            Event::QmpSilent { stopped_by_signal } => {
                let (cause, by) = if *stopped_by_signal {
                    (Cause::QemuStopped, "the process is in state T (stopped)")
                } else {
                    (Cause::QemuUnresponsive, "query-yank out of band is not answered either")
                };
                // It would hear neither `quit` nor SIGTERM.
                self.kill = true;
                self.fail_dead(out, state, cause, Reason::event("qmp-silent").confirmed(by))
            }
            Event::HostStalled { gap } => {
                out.note(state, "host-stalled", crate::units::human_span(*gap), None);
                self.deadlines.extend_guest_facing((*gap).min(STALL_MAX));
                Handled
            }
            Event::ProspectsChanged(prospects) => {
                self.prospects.clone_from(prospects);
                Handled
            }
            Event::HostMemoryShort { percent } => {
                let detail = format!("all tasks of the host waited for memory for {percent} % of the last ten seconds");
                out.note(state, "host-memory-short", detail.as_str(), None);
                self.remark(detail);
                Handled
            }
            // It explains an end that is about to be told.
            Event::RuleMatched(finding) | Event::OutputRuleMatched(finding) => {
                self.found(out, "rule-matched", finding.clone());
                Handled
            }
            Event::DeadlineNear(kind) => {
                let left = self.deadlines.left(*kind, out.now).unwrap_or_default();
                out.records.push(Record::DeadlineNear {
                    state,
                    kind: *kind,
                    left,
                });
                Handled
            }
            _ => Handled,
        }
    }

    fn cancel(&mut self, signal: StopSignal, out: &mut Outbox) -> Step {
        let reason = Reason::event("cancelled").detail(signal.name());
        let mut verdict = Verdict::of(Cause::Cancelled, signal.name().to_owned(), self.stage, self.place());
        verdict.signal = Some(signal);
        let guest_runs = !matches!(
            self.place(),
            State::Preparing | State::Checkpointing | State::Exiting | State::Releasing
        );
        self.decide(out, verdict, &reason);
        self.go(
            out,
            if guest_runs { State::Stopping } else { State::Discarding },
            reason,
        )
    }

    fn qemu_ended(&mut self, end: &ProcessEnd, out: &mut Outbox) -> Step {
        let (cause, detail) = match end {
            ProcessEnd::Exited { code } => (Cause::QemuExited, format!("exit code {code}")),
            ProcessEnd::Signalled {
                name,
                out_of_memory: Some(evidence),
                ..
            } => (Cause::OutOfMemory, format!("{name}; {evidence}")),
            ProcessEnd::Signalled { name, .. } => (Cause::QemuKilled, name.clone()),
            ProcessEnd::NeverStarted => (Cause::QemuWillNotStart, String::new()),
        };
        let evidence = EvidenceRef::file("qemu.stderr");
        let mut reason = Reason::event("qemu-ended").detail(detail).evidence(&evidence);
        if self.qmp_lost.is_some() {
            reason = reason.confirmed("the QMP connection ended as well");
        }
        self.fail_dead(out, self.place(), cause, reason)
    }

    pub(super) fn live(&mut self, event: &Event, out: &mut Outbox) -> Step {
        let state = self.place();
        match event {
            Event::ConsoleSpoke => {
                self.boot.spoke = true;
                self.reach(Evidence::Firmware);
                Handled
            }
            Event::ConsoleMatched(sighting) | Event::ScreenMatched(sighting) => self.on_sighting(sighting, out),
            Event::ScreenShows { text } => {
                self.boot.picture = !text;
                Handled
            }
            Event::InputAwaited { evidence } => self.on_question(evidence, out),
            Event::RuleMatched(finding) => self.on_rule(out, "rule-matched", finding.clone()),
            Event::GuestShutDown { by_guest, reason } => self.on_shut_down(*by_guest, reason, out),
            Event::GuestReset { by_guest } => self.on_reset(*by_guest, out),
            Event::GuestPanicked => {
                let reason = Reason::event("guest-panicked").evidence(&EvidenceRef::file("qmp.jsonl"));
                self.fail(out, state, Cause::KernelPanic, reason)
            }
            Event::BlockIoFailed { node, no_space } => self.block_io_failed(out, state, node, *no_space),
            Event::HostSpaceLow { .. } => self.host_space_low(out, state, event),
            // STOP alone says only that the guest stands still; its status says why.
            Event::GuestStopped => {
                out.ask(Effect::QueryStatus);
                Handled
            }
            Event::StatusObserved(status) => self.on_status(*status, out),
            Event::SshProbed(_) | Event::SshBecameStable(_) => Handled,
            Event::SshIdentityFault(_) => self.on_ssh(event, out, state),
            Event::DeadlinePassed(DeadlineKind::IoCause) => {
                let reason = Reason::event("deadline-io-cause").confirmed("query-status: io-error");
                self.fail(out, state, Cause::HostIoError, reason)
            }
            Event::DeadlinePassed(DeadlineKind::Confirm) => {
                let reason = Reason::event("deadline-confirm").detail("query-status was not answered");
                self.fail_dead(out, state, Cause::QemuUnresponsive, reason)
            }
            _ => Super,
        }
    }

    fn on_shut_down(&mut self, by_guest: bool, reason: &str, out: &mut Outbox) -> Step {
        // QEMU's `ShutdownCause` (qapi/run-state.json): all that begins with `host-` is no doing of the image.
        let (who, cause) = match (by_guest, reason) {
            (true, _) => ("by the guest", Cause::GuestPoweredOff),
            (false, "host-signal") => ("from outside", Cause::QemuKilled),
            (false, "host-error") => ("from outside", Cause::QemuInternalError),
            (false, _) => ("from outside", Cause::GuestPausedByOthers),
        };
        let reason = Reason::event("guest-shut-down").detail(format!("{who}: {reason}"));
        self.fail(out, self.place(), cause, reason)
    }

    fn on_status(&mut self, status: GuestStatus, out: &mut Outbox) -> Step {
        let cause = match status {
            GuestStatus::Running => return Handled,
            GuestStatus::IoError => {
                self.arm_fixed(out, DeadlineKind::IoCause);
                return Handled;
            }
            GuestStatus::Shutdown => Cause::GuestPoweredOff,
            GuestStatus::Panicked => Cause::KernelPanic,
            GuestStatus::InternalError => Cause::QemuInternalError,
            GuestStatus::Paused | GuestStatus::Prelaunch | GuestStatus::Other => Cause::GuestPausedByOthers,
        };
        let reason = Reason::event("status-observed").confirmed(format!("query-status: {}", status.as_str()));
        self.fail(out, self.place(), cause, reason)
    }

    fn on_sighting(&mut self, sighting: &Sighting, out: &mut Outbox) -> Step {
        let Sighting { mark, evidence } = sighting;
        let state = self.place();
        match mark {
            Mark::Kernel => {
                if !self.boot.kernel_seen {
                    out.note(state, "kernel-seen", "", Some(evidence));
                }
                self.boot.kernel_seen = true;
                self.boot.kernel_since_reset = true;
                self.reach(Evidence::Kernel);
            }
            Mark::Userspace => self.reach(Evidence::Userspace),
            Mark::Marker(name) => {
                if !self.boot.marker_seen {
                    self.boot.marker_seen = true;
                    out.note(state, "marker-seen-late", format!("marker `{name}`"), Some(evidence));
                }
            }
            Mark::LoginPrompt | Mark::UnlockPrompt | Mark::PassphraseRefused | Mark::Target => {}
            Mark::Forbidden(pattern) => {
                let reason = Reason::event("forbidden-line-on-console")
                    .detail(pattern)
                    .evidence(evidence);
                self.last_words = true;
                return self.fail(out, state, Cause::ForbiddenLine, reason);
            }
            Mark::Rule(rule, led_by) => {
                self.last_words = rule.fatal;
                let finding = Finding {
                    rule: rule.clone(),
                    evidence: evidence.clone(),
                    led_by: led_by.clone(),
                };
                return self.on_rule(out, "console-rule", finding);
            }
        }
        Handled
    }

    /// A question matters only where the guest is waited for; a guest that answers elsewhere is not held up by it.
    fn on_question(&mut self, evidence: &EvidenceRef, out: &mut Outbox) -> Step {
        if !self.awaits_guest() {
            return Handled;
        }
        let reason = Reason::event("input-awaited")
            .confirmed("no disk is used and the virtual CPUs are idle")
            .evidence(evidence);
        self.fail(out, self.place(), Cause::WaitingForInput, reason)
    }

    fn on_reset(&mut self, by_guest: bool, out: &mut Outbox) -> Step {
        let state = self.place();
        let echo = self
            .boot
            .last_reset
            .is_some_and(|last| out.now.saturating_duration_since(last) < RESET_DEBOUNCE);
        self.boot.last_reset = Some(out.now);
        // A reset from outside is QEMU's own at start.
        if echo || !by_guest {
            return Handled;
        }
        self.boot.resets += 1;
        self.boot.kernel_resets += u32::from(std::mem::take(&mut self.boot.kernel_since_reset));
        let count = format!("reset number {} of this machine", self.boot.resets);
        let reason = Reason::event("guest-reset")
            .detail(count.clone())
            .evidence(&EvidenceRef::file("qmp.jsonl"));
        let on_the_way_up = match state {
            State::Booting | State::BootingDisk => true,
            State::Verifying => !self.boot.target_confirmed,
            _ => false,
        };
        if !on_the_way_up {
            return self.fail(out, state, Cause::UnexpectedReset, reason);
        }
        if self.boot.resets > RESETS_MAX || self.boot.kernel_resets > KERNEL_RESETS_MAX {
            return self.fail(out, state, Cause::ResetLoop, reason);
        }
        self.boot.begin_anew();
        self.deadlines.disarm(DeadlineKind::Confirm);
        self.deadlines.disarm(DeadlineKind::LoginSettle);
        out.note(state, "guest-reset", count.clone(), None);
        self.remark(format!("the guest reset on the way up ({count})"));
        out.ask(Effect::QueryStatus);
        Handled
    }

    pub(super) fn block_io_failed(&mut self, out: &mut Outbox, state: State, node: &str, no_space: bool) -> Step {
        let cause = if no_space {
            Cause::HostDiskFull
        } else {
            Cause::HostIoError
        };
        let reason = Reason::event("block-io-failed")
            .detail(format!("node `{node}`"))
            .evidence(&EvidenceRef::file("qmp.jsonl"));
        self.fail(out, state, cause, reason)
    }

    /// Before a write fails: the guest is stopped while there is room for its evidence.
    pub(super) fn host_space_low(&mut self, out: &mut Outbox, state: State, event: &Event) -> Step {
        let Event::HostSpaceLow {
            place,
            free_bytes,
            reserve_bytes,
            bytes_per_second,
        } = event
        else {
            return Handled;
        };
        let [free, reserve, rate] = [free_bytes, reserve_bytes, bytes_per_second].map(|bytes| ByteSize(*bytes));
        let detail = format!("{free} left in {place}, of which {reserve} must stay free; {rate}/s were written last");
        let reason = Reason::event("host-space-low").detail(detail);
        self.fail(out, state, Cause::HostDiskNearlyFull, reason)
    }
}
