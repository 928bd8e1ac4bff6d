//! The installed disk on its own: BootingDisk, Unlocking, Verifying.

use statig::Outcome::{Handled, Super};

use crate::machine::boot::STATUS_RUNNING;
use crate::machine::gate::{Gate, Outbox, Reason, Step};
use crate::machine::install::exit_words;
use crate::machine::{
    Cause, CommandExit, DeadlineKind, Effect, Event, EvidenceRef, GuestStatus, Mark, Sighting, State,
};
use crate::plan::{Evidence, StageKind};

impl Gate {
    /// Whether a passphrase is expected, and whether a login must confirm the target.
    fn installed_wants(&self) -> (bool, bool) {
        match &self.plan_stage().kind {
            StageKind::InstalledBoot { unlock, verify_ssh, .. } => (unlock.is_some(), *verify_ssh),
            StageKind::Boot | StageKind::Command { .. } => (false, false),
        }
    }

    pub(super) fn booting_disk(&mut self, event: &Event, out: &mut Outbox) -> Step {
        const STATE: State = State::BootingDisk;
        let (wants_passphrase, _) = self.installed_wants();
        if self.asks_elsewhere(event) {
            return Handled;
        }
        match event {
            Event::ConsoleMatched(Sighting { mark, evidence }) | Event::ScreenMatched(Sighting { mark, evidence }) => {
                match mark {
                    Mark::Kernel if wants_passphrase => {
                        self.saw_kernel(out, STATE, evidence);
                        Handled
                    }
                    Mark::Kernel => {
                        self.saw_kernel(out, STATE, evidence);
                        self.await_confirmation(out, evidence);
                        Handled
                    }
                    Mark::UnlockPrompt => self.passphrase_asked(out, event, evidence),
                    // A quiet kernel: user space speaks first.
                    Mark::Target | Mark::LoginPrompt => {
                        self.saw_kernel(out, STATE, evidence);
                        self.await_confirmation(out, evidence);
                        self.boot.login_prompt |= *mark == Mark::LoginPrompt;
                        if *mark == Mark::Target {
                            self.boot.target_seen = Some(evidence.clone());
                        }
                        Handled
                    }
                    _ => Super,
                }
            }
            Event::StatusObserved(GuestStatus::Running) => match self.boot.pending.take() {
                Some(evidence) => {
                    let reason = Reason::event("installed-kernel-seen")
                        .confirmed(format!("{STATUS_RUNNING}; the image is detached"))
                        .evidence(&evidence);
                    if self.plan_stage().claims <= Evidence::InstalledKernel {
                        return self.complete_stage(out, reason);
                    }
                    self.go(out, State::Verifying, reason)
                }
                None => Handled,
            },
            Event::DeadlinePassed(DeadlineKind::Stage) => {
                let (cause, detail) = match (self.boot.kernel_seen, self.boot.spoke) {
                    (true, _) if self.boot.picture => (
                        Cause::WaitingForInput,
                        "the screen shows a picture without text, and a graphical splash can ask there for the passphrase; \
                         with `plymouth.enable=0` on the kernel's command line it asks in text",
                    ),
                    (true, _) => (
                        Cause::PassphraseNotAsked,
                        "the kernel runs, the passphrase prompt did not come",
                    ),
                    (false, true) => (
                        Cause::InstalledSilent,
                        "only firmware or a boot loader wrote to the console",
                    ),
                    (false, false) => (Cause::InstalledSilent, "not one byte came over the serial console"),
                };
                let reason = Reason::event("deadline-stage").detail(detail);
                self.fail(out, STATE, cause, reason)
            }
            _ => Super,
        }
    }

    fn saw_kernel(&mut self, out: &mut Outbox, state: State, evidence: &EvidenceRef) {
        if !self.boot.kernel_seen {
            out.note(state, "installed-kernel-seen", "", Some(evidence));
        }
        self.boot.kernel_seen = true;
        self.boot.kernel_since_reset = true;
        self.reach(Evidence::InstalledKernel);
    }

    pub(super) fn enter_verifying(&mut self, out: &mut Outbox) {
        if self.installed_wants().1 {
            out.ask(Effect::WatchSsh { stage: self.stage });
        }
        if let Some(evidence) = self.boot.target_seen.take() {
            self.await_confirmation(out, &evidence);
        }
        if self.boot.login_prompt {
            self.login_came_first(out);
        }
    }

    /// A login prompt stands before the target. The console may have said its last word: once a login prompt has had it
    /// for five seconds, systemd tells nothing more there (`manager_dispatch_idle_pipe_fd` of its `manager.c`), so the
    /// installed system is asked.
    fn login_came_first(&mut self, out: &mut Outbox) {
        let StageKind::InstalledBoot {
            login_settle,
            target_check,
            ..
        } = &self.plan_stage().kind
        else {
            return;
        };
        let (limit, asks) = (*login_settle, target_check.is_some() && !self.boot.target_asked);
        self.arm(out, DeadlineKind::LoginSettle, limit);
        if asks {
            self.boot.target_asked = true;
            out.ask(Effect::CheckTarget { stage: self.stage });
        }
    }

    /// What the installed system says of its target: no is no proof, since it may be on its way.
    fn target_checked(&mut self, out: &mut Outbox, exit: &CommandExit, evidence: &EvidenceRef) -> Step {
        if self.boot.target_confirmed || self.boot.pending.is_some() {
            return Handled;
        }
        if *exit != CommandExit::Status(0) {
            out.note(State::Verifying, "target-not-told", exit_words(exit), Some(evidence));
            return Handled;
        }
        let detail = "the installed system says so; its console no longer does";
        out.note(State::Verifying, "target-told", detail, Some(evidence));
        self.deadlines.disarm(DeadlineKind::LoginSettle);
        self.await_confirmation(out, evidence);
        Handled
    }

    pub(super) fn verifying(&mut self, event: &Event, out: &mut Outbox) -> Step {
        const STATE: State = State::Verifying;
        if self.asks_elsewhere(event) {
            return Handled;
        }
        match event {
            Event::ConsoleMatched(Sighting { mark, evidence }) | Event::ScreenMatched(Sighting { mark, evidence }) => {
                match mark {
                    Mark::Target => {
                        self.deadlines.disarm(DeadlineKind::LoginSettle);
                        if self.boot.pending.is_none() && !self.boot.target_confirmed {
                            out.note(STATE, "target-seen", "", Some(evidence));
                            self.await_confirmation(out, evidence);
                        }
                        Handled
                    }
                    Mark::UnlockPrompt => self.asked_while_verifying(out, event, evidence),
                    Mark::LoginPrompt => {
                        out.note(
                            STATE,
                            "login-prompt-seen",
                            "a login prompt is not the target",
                            Some(evidence),
                        );
                        if !self.boot.target_confirmed && self.boot.pending.is_none() {
                            self.login_came_first(out);
                        }
                        Handled
                    }
                    _ => Super,
                }
            }
            Event::StatusObserved(GuestStatus::Running)
                if self.boot.pending.is_some() && !self.boot.target_confirmed =>
            {
                self.target_confirmed(out)
            }
            Event::TargetChecked { exit, evidence } => self.target_checked(out, exit, evidence),
            Event::SshProbed(_) | Event::SshBecameStable(_) | Event::SshIdentityFault(_) => {
                self.on_ssh(event, out, STATE)
            }
            Event::DeadlinePassed(DeadlineKind::LoginSettle) => {
                let reason = Reason::event("deadline-login-settle");
                self.fail(out, STATE, Cause::StoppedAtLoginPrompt, reason)
            }
            Event::DeadlinePassed(kind @ (DeadlineKind::SshAppear | DeadlineKind::SshStable)) => {
                self.ssh_gave_up(out, STATE, *kind)
            }
            Event::DeadlinePassed(DeadlineKind::Stage) => self.verifying_timed_out(out),
            _ => Super,
        }
    }

    fn verifying_timed_out(&mut self, out: &mut Outbox) -> Step {
        if self.boot.target_confirmed {
            return self.ssh_gave_up(out, State::Verifying, DeadlineKind::Stage);
        }
        let reason = Reason::event("deadline-stage");
        self.fail(out, State::Verifying, Cause::TargetNotReached, reason)
    }

    fn target_confirmed(&mut self, out: &mut Outbox) -> Step {
        let (wants_passphrase, _) = self.installed_wants();
        if wants_passphrase && !self.boot.passphrase_asked {
            let reason = Reason::event("target-seen").confirmed(STATUS_RUNNING);
            return self.fail(out, State::Verifying, Cause::PassphraseNotAsked, reason);
        }
        self.boot.target_confirmed = true;
        self.deadlines.disarm(DeadlineKind::Confirm);
        if let Some(ssh) = &self.plan.ssh {
            let (appear, stable) = (ssh.appear_within, ssh.stable_within);
            if self.installed_wants().1 && !self.boot.ssh.stable {
                out.ask(Effect::ProbeSshNow);
                let (kind, limit) = if self.boot.ssh.answered {
                    (DeadlineKind::SshStable, stable)
                } else {
                    (DeadlineKind::SshAppear, appear)
                };
                self.arm(out, kind, limit);
            }
        }
        self.verified_if_complete(out)
    }

    /// The installed boot is proved when the target was seen and, where asked for, a login confirms it.
    pub(super) fn verified_if_complete(&mut self, out: &mut Outbox) -> Step {
        let (_, wants_login) = self.installed_wants();
        if !self.boot.target_confirmed || (wants_login && !self.boot.ssh.stable) {
            return Handled;
        }
        self.reach(Evidence::Target);
        let confirmed = if wants_login {
            format!("{STATUS_RUNNING}; stable logins on the installed system")
        } else {
            STATUS_RUNNING.to_owned()
        };
        let mut reason = Reason::event("target-reached").confirmed(confirmed);
        reason.evidence = self.boot.pending.take();
        self.complete_stage(out, reason)
    }
}
