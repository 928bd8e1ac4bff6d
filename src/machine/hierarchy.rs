//! How statig sees the gate: which handler serves which state, and what entering and leaving does.
//!
//! statig's macro is not used: the traits are small, and without it each state's handler can live in a file of its
//! own. Only `after_transition` is used for the trace: statig 0.4.1 hands `before_transition` its arguments swapped.

use statig::blocking::IntoStateMachine;
use statig::{Outcome, StateOrSuperstate};

use crate::machine::gate::{Gate, Outbox, Step};
use crate::machine::record::Record;
use crate::machine::{Effect, Event, State, Superstate};

impl IntoStateMachine for Gate {
    type Event<'evt> = Event;
    type Context<'ctx> = Outbox;
    type State = State;
    type Superstate<'sub> = Superstate;

    fn initial() -> State {
        State::Preparing
    }

    /// A deadline that is being handled is no longer armed, whatever the handler does about it.
    fn before_dispatch(&mut self, place: StateOrSuperstate<'_, State, Superstate>, event: &Event, _out: &mut Outbox) {
        if !matches!(place, StateOrSuperstate::State(_)) {
            return;
        }
        match event {
            Event::DeadlinePassed(kind) => self.deadlines.disarm(*kind),
            Event::DeadlineNear(kind) => self.deadlines.warned(*kind),
            _ => {}
        }
    }

    fn after_transition(&mut self, source: &State, target: &State, out: &mut Outbox) {
        let (reason, deadline_left) = self.reason.take().unwrap_or_default();
        let transition = Record::Transition {
            stage: self.stage,
            from: *source,
            to: *target,
            event: reason.event,
            confirmed_by: reason.confirmed_by,
            detail: reason.detail,
            evidence: reason.evidence,
            deadline_left,
        };
        // A stage begins when its first state is entered, so its record follows that of the transition.
        let begins = |record: &Record| matches!(record, Record::StageBegan { .. });
        let at = out.records.iter().position(begins).unwrap_or(out.records.len());
        out.records.insert(at, transition);
    }
}

impl statig::blocking::State<Gate> for State {
    fn call_handler(&mut self, gate: &mut Gate, event: &Event, out: &mut Outbox) -> Step {
        match self {
            Self::Preparing => gate.preparing(event, out),
            Self::Resuming => gate.resuming(event, out),
            Self::Booting => gate.booting(event, out),
            Self::MarkerSeen => gate.marker_seen(event, out),
            Self::SshStable => gate.ssh_stable(event, out),
            Self::Installing => gate.installing(event, out),
            Self::Triaged => gate.triaged(event, out),
            Self::Pausing => gate.pausing(event, out),
            Self::Checkpointing => gate.checkpointing(event, out),
            Self::PoweringDown => gate.powering_down(event, out),
            Self::Exiting => gate.exiting(event, out),
            Self::Releasing => gate.releasing(event, out),
            Self::BootingDisk => gate.booting_disk(event, out),
            Self::Unlocking => gate.unlocking(event, out),
            Self::Verifying => gate.verifying(event, out),
            Self::Stopping => gate.stopping(event, out),
            Self::Capturing => gate.capturing(event, out),
            Self::Saving => gate.saving(event, out),
            Self::Held => gate.held(event, out),
            Self::Discarding => gate.discarding(event, out),
            Self::Finished => Outcome::Handled,
        }
    }

    fn call_entry_action(&mut self, gate: &mut Gate, out: &mut Outbox) {
        gate.current = *self;
        match self {
            Self::Preparing => gate.enter_preparing(out),
            Self::Resuming => gate.enter_resuming(out),
            Self::Booting => gate.enter_booting(out),
            Self::MarkerSeen => gate.enter_marker_seen(out),
            Self::SshStable => gate.enter_ssh_stable(out),
            Self::Installing => gate.enter_installing(out),
            Self::Triaged => gate.enter_triaged(out),
            Self::Pausing => gate.enter_pausing(out),
            Self::Checkpointing => gate.enter_checkpointing(out),
            Self::PoweringDown => gate.enter_powering_down(out),
            Self::Exiting => gate.enter_exiting(out),
            Self::Releasing => gate.enter_releasing(out),
            Self::BootingDisk => out.ask(Effect::Continue),
            Self::Unlocking => gate.enter_unlocking(out),
            Self::Verifying => gate.enter_verifying(out),
            Self::Stopping => gate.enter_stopping(out),
            Self::Capturing => gate.enter_capturing(out),
            Self::Saving => gate.enter_saving(out),
            Self::Held => gate.enter_held(out),
            Self::Discarding => gate.enter_discarding(out),
            Self::Finished => gate.enter_finished(out),
        }
    }

    fn call_exit_action(&mut self, gate: &mut Gate, out: &mut Outbox) {
        gate.deadlines.leave_state();
        if *self == Self::Checkpointing {
            out.ask(Effect::AbandonCheckpoint);
        }
    }

    fn superstate(&mut self) -> Option<Superstate> {
        Some(self.parent())
    }
}

impl statig::blocking::Superstate<Gate> for Superstate {
    fn call_handler(&mut self, gate: &mut Gate, event: &Event, out: &mut Outbox) -> Step {
        match self {
            Self::Run => gate.run(event, out),
            Self::Live => gate.live(event, out),
            Self::Handover | Self::InstalledBoot => Outcome::Super,
            Self::Failing => gate.failing(event, out),
        }
    }

    fn call_exit_action(&mut self, gate: &mut Gate, out: &mut Outbox) {
        if *self == Self::Live {
            out.ask(Effect::UnwatchSsh);
            out.ask(Effect::AbandonCommand);
            if gate.is_opening() {
                out.ask(Effect::AbandonAccess);
            }
        }
    }

    fn superstate(&mut self) -> Option<Superstate> {
        self.parent()
    }
}
