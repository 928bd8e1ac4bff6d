//! The passphrase of the installed disk: where it is asked for, its answer, and whether that was accepted.

use statig::Outcome::{Handled, Super};

use crate::machine::gate::{Gate, Outbox, Reason, Step};
use crate::machine::{Cause, DeadlineKind, Effect, Event, EvidenceRef, Mark, Sighting, State};
use crate::plan::{Evidence, PromptChannel, SCREEN_LOOK_EVERY, StageKind};

impl Gate {
    /// Where the stage's passphrase may be asked for.
    fn unlock_channel(&self) -> Option<PromptChannel> {
        match &self.plan_stage().kind {
            StageKind::InstalledBoot { unlock, .. } => unlock.as_ref().map(|unlock| unlock.channel),
            StageKind::Boot | StageKind::Command { .. } => None,
        }
    }

    /// True if the screen of this state's machine tells something: until the passphrase was asked for on the serial console.
    pub(super) fn watches_screen(&self) -> bool {
        matches!(self.current, State::BootingDisk | State::Unlocking | State::Verifying)
            && self
                .unlock_channel()
                .is_some_and(|channel| channel != PromptChannel::Serial)
            && (self.boot.asked_on_screen || !self.boot.passphrase_asked)
            && !self.boot.target_confirmed
    }

    /// A question that stands on the other channel than the one that counts.
    pub(super) fn asks_elsewhere(&self, event: &Event) -> bool {
        match event {
            Event::ConsoleMatched(Sighting {
                mark: Mark::UnlockPrompt,
                ..
            }) => {
                let waits = self.boot.asked_on_screen && !self.boot.answer_typed;
                waits || self.unlock_channel() == Some(PromptChannel::Screen)
            }
            Event::ScreenMatched(_) => !self.watches_screen(),
            _ => false,
        }
    }

    /// The passphrase is asked for: on to its answer, on the channel that asks.
    pub(super) fn passphrase_asked(&mut self, out: &Outbox, event: &Event, evidence: &EvidenceRef) -> Step {
        let mut reason = Reason::event("passphrase-asked").evidence(evidence);
        self.boot.asked_on_screen = matches!(event, Event::ScreenMatched(_));
        if self.boot.asked_on_screen {
            // Where no event exists there is a poll, and the trace tells how often.
            let apart = SCREEN_LOOK_EVERY.as_millis();
            let stands = format!("it stands unchanged on two looks at the screen, {apart} ms apart");
            reason = reason.confirmed(stands).detail("on the screen");
        }
        self.go(out, State::Unlocking, reason)
    }

    pub(super) fn enter_unlocking(&mut self, out: &mut Outbox) {
        self.boot.passphrase_asked = true;
        self.arm_fixed(out, DeadlineKind::Unlock);
        let stage = self.stage;
        out.ask(if self.boot.asked_on_screen {
            Effect::TypeAnswer { stage }
        } else {
            Effect::AnswerPrompt { stage }
        });
    }

    pub(super) fn unlocking(&mut self, event: &Event, out: &mut Outbox) -> Step {
        const STATE: State = State::Unlocking;
        // Keys take their time: what the guest says before the last of them is no answer to them.
        let answered = !self.boot.asked_on_screen || self.boot.answer_typed;
        if self.asks_elsewhere(event) {
            return Handled;
        }
        match event {
            Event::ConsoleMatched(Sighting { mark, evidence }) | Event::ScreenMatched(Sighting { mark, evidence }) => {
                match mark {
                    Mark::Userspace | Mark::Target | Mark::LoginPrompt | Mark::UnlockPrompt if !answered => Handled,
                    Mark::Userspace | Mark::Target | Mark::LoginPrompt => {
                        let reason = Reason::event("passphrase-accepted")
                            .confirmed("the boot went on and the passphrase was not asked for again")
                            .evidence(evidence);
                        if *mark == Mark::Target {
                            self.boot.target_seen = Some(evidence.clone());
                        }
                        self.boot.login_prompt |= *mark == Mark::LoginPrompt;
                        self.reach(Evidence::InstalledKernel);
                        self.go(out, State::Verifying, reason)
                    }
                    Mark::UnlockPrompt => {
                        let reason = Reason::event("passphrase-asked-again").evidence(evidence);
                        self.fail(out, STATE, Cause::PassphraseRejected, reason)
                    }
                    Mark::PassphraseRefused if answered => {
                        let reason = Reason::event("passphrase-refused").evidence(evidence);
                        self.fail(out, STATE, Cause::PassphraseRejected, reason)
                    }
                    _ => Super,
                }
            }
            Event::AnswerTyped => {
                self.boot.answer_typed = true;
                out.note(STATE, "answer-typed", "", None);
                Handled
            }
            Event::AnswerNotTypable { position } => {
                let detail = format!("its character {position} is not on a US keyboard; nothing was typed");
                let reason = Reason::event("answer-not-typable").detail(detail);
                self.fail(out, STATE, Cause::PassphraseNotTypable, reason)
            }
            Event::DeadlinePassed(DeadlineKind::Unlock | DeadlineKind::Stage) => {
                let reason = Reason::event("deadline-unlock").detail("nothing followed the passphrase");
                self.fail(out, STATE, Cause::TargetNotReached, reason)
            }
            _ => Super,
        }
    }

    /// The boot had gone on, and the passphrase is asked for: again, or anew after a reset.
    pub(super) fn asked_while_verifying(&mut self, out: &mut Outbox, event: &Event, evidence: &EvidenceRef) -> Step {
        if !self.boot.passphrase_asked {
            return self.passphrase_asked(out, event, evidence);
        }
        let reason = Reason::event("passphrase-asked-again").evidence(evidence);
        self.fail(out, State::Verifying, Cause::PassphraseRejected, reason)
    }
}
