//! One machine makes way for the next: PoweringDown, Exiting, Releasing.

use statig::Outcome::{Handled, Super};

use crate::machine::effect::EndMode;
use crate::machine::gate::{Gate, Outbox, Reason, Step};
use crate::machine::{Cause, DeadlineKind, Effect, Event, GuestStatus, Handed, State};

impl Gate {
    pub(super) fn enter_powering_down(&mut self, out: &mut Outbox) {
        self.arm_fixed(out, DeadlineKind::PowerDown);
        out.ask(Effect::PowerDown);
    }

    pub(super) fn powering_down(&mut self, event: &Event, out: &mut Outbox) -> Step {
        const STATE: State = State::PoweringDown;
        match event {
            Event::GuestShutDown { reason, .. } => {
                let reason = Reason::event("guest-shut-down").detail(reason);
                self.go(out, State::Exiting, reason)
            }
            Event::StatusObserved(GuestStatus::Shutdown) => self.go(
                out,
                State::Exiting,
                Reason::event("guest-shut-down").confirmed("query-status: shutdown"),
            ),
            Event::DeadlinePassed(DeadlineKind::PowerDown) => {
                self.remark("the guest did not power down when asked; its disk may hold unwritten data");
                self.go(out, State::Exiting, Reason::event("deadline-power-down"))
            }
            Event::GuestPanicked => {
                let reason = Reason::event("guest-panicked").detail("while it was powering down");
                self.fail(out, STATE, Cause::KernelPanic, reason)
            }
            Event::BlockIoFailed { node, no_space } => self.block_io_failed(out, STATE, node, *no_space),
            Event::HostSpaceLow { .. } => self.host_space_low(out, STATE, event),
            // The end of the guest takes its network along, and STOP follows SHUTDOWN.
            Event::GuestStopped | Event::GuestReset { .. } => {
                out.ask(Effect::QueryStatus);
                Handled
            }
            _ => Super,
        }
    }

    pub(super) fn enter_exiting(&mut self, out: &mut Outbox) {
        self.deadlines.disarm(DeadlineKind::QmpGone);
        self.arm_fixed(out, DeadlineKind::Exit);
        out.ask(Effect::EndQemu(EndMode::Ladder));
    }

    pub(super) fn exiting(&mut self, event: &Event, out: &mut Outbox) -> Step {
        match event {
            Event::QemuEnded(_) => self.go(out, State::Releasing, Reason::event("qemu-ended")),
            Event::QmpLost { .. } | Event::QmpSilent { .. } => Handled,
            Event::DeadlinePassed(DeadlineKind::Exit) => {
                let reason = Reason::event("deadline-exit");
                self.fail_dead(out, State::Exiting, Cause::QemuWillNotExit, reason)
            }
            _ => Super,
        }
    }

    pub(super) fn enter_releasing(&mut self, out: &mut Outbox) {
        self.arm_fixed(out, DeadlineKind::Release);
        out.ask(Effect::CheckRelease);
    }

    pub(super) fn releasing(&mut self, event: &Event, out: &mut Outbox) -> Step {
        const STATE: State = State::Releasing;
        match event {
            Event::ImagesReleased => {
                let reason = Reason::event("images-released");
                if self.hands_on() == Some(Handed::Disks) {
                    return self.go(out, State::Checkpointing, reason);
                }
                if self.stage + 1 < self.part.stages(&self.plan).end {
                    self.stage += 1;
                    return self.go(out, State::Preparing, reason);
                }
                self.finish_passed(out, STATE, reason)
            }
            Event::ImageLocked { detail } => {
                let reason = Reason::event("image-locked").detail(detail);
                self.fail_dead(out, STATE, Cause::ImageLocked, reason)
            }
            Event::DeadlinePassed(DeadlineKind::Release) => {
                let reason = Reason::event("deadline-release");
                self.fail_dead(out, STATE, Cause::ImageLocked, reason)
            }
            Event::QemuEnded(_) | Event::QmpLost { .. } | Event::QmpSilent { .. } => Handled,
            _ => Super,
        }
    }
}
