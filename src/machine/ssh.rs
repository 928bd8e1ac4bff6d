//! What the results of login attempts mean, in every state that watches them.

use statig::Outcome::Handled;

use crate::machine::event::IdentityFault;
use crate::machine::gate::{Gate, Outbox, Reason, Step};
use crate::machine::{Cause, DeadlineKind, Event, ProbeClass, State};
use crate::plan::Evidence;
use crate::units::human_span;

/// A server may turn a login down while its account database is still being set up; this many in a row are an answer.
const REJECTIONS_IN_A_ROW: u32 = 3;

impl Gate {
    pub(super) fn on_ssh(&mut self, event: &Event, out: &mut Outbox, state: State) -> Step {
        match event {
            Event::SshProbed(class) => self.on_probe(*class, out, state),
            Event::SshBecameStable(stability) => {
                self.boot.ssh.stable = true;
                let identity = if stability.uuid_proved {
                    "the machine's own UUID"
                } else {
                    "its UUID not readable"
                };
                let by = format!(
                    "{} logins in a row over {}, one boot id, {identity}",
                    stability.logins,
                    human_span(stability.window)
                );
                self.on_stable(out, state, by)
            }
            Event::SshIdentityFault(fault) => {
                let (cause, detail) = match fault {
                    IdentityFault::HostKeyChanged(detail) => (Cause::HostKeyChanged, detail),
                    IdentityFault::WrongMachine(detail) => (Cause::WrongMachine, detail),
                    IdentityFault::HostKeyCopied(detail) => (Cause::HostKeyCopied, detail),
                };
                self.fail(out, state, cause, Reason::event("ssh-identity-fault").detail(detail))
            }
            _ => Handled,
        }
    }

    fn on_stable(&mut self, out: &mut Outbox, state: State, by: String) -> Step {
        self.deadlines.disarm(DeadlineKind::SshAppear);
        self.deadlines.disarm(DeadlineKind::SshStable);
        if state == State::Verifying {
            return self.verified_if_complete(out);
        }
        self.reach(Evidence::Login);
        let mut event = "ssh-stable";
        if !self.boot.marker_seen && !self.plan.console.markers.is_empty() {
            event = "ssh-stable-before-marker";
            self.remark("SSH was stable before any marker was seen on the console: the stage passed on SSH alone");
        }
        self.go(out, State::SshStable, Reason::event(event).confirmed(by))
    }

    fn on_probe(&mut self, class: ProbeClass, out: &mut Outbox, state: State) -> Step {
        let ssh = &mut self.boot.ssh;
        if ssh.last_logged_in && class != ProbeClass::LoggedIn {
            ssh.flaps += 1;
        }
        ssh.last_logged_in = class == ProbeClass::LoggedIn;
        let count = |yes: bool, n: u32| if yes { n + 1 } else { 0 };
        ssh.rejected_in_a_row = count(class == ProbeClass::AuthRejected, ssh.rejected_in_a_row);
        ssh.not_ssh_in_a_row = count(class == ProbeClass::NotSsh, ssh.not_ssh_in_a_row);
        ssh.no_answer += u32::from(class == ProbeClass::NoAnswer);
        let first_answer = !ssh.answered && !matches!(class, ProbeClass::NoAnswer | ProbeClass::NotSsh);
        ssh.answered |= first_answer;
        if ssh.rejected_in_a_row >= REJECTIONS_IN_A_ROW {
            let reason = Reason::event("ssh-auth-rejected").detail(format!("{REJECTIONS_IN_A_ROW} times in a row"));
            return self.fail(out, state, Cause::SshAuthRejected, reason);
        }
        if ssh.not_ssh_in_a_row >= REJECTIONS_IN_A_ROW {
            let reason = Reason::event("not-an-ssh-server").detail(format!("{REJECTIONS_IN_A_ROW} times in a row"));
            return self.fail(out, state, Cause::SshNotAnSshServer, reason);
        }
        if first_answer && self.deadlines.is_armed(DeadlineKind::SshAppear) {
            out.note(state, "ssh-answered", "an SSH server answers", None);
            self.deadlines.disarm(DeadlineKind::SshAppear);
            if let Some(ssh) = &self.plan.ssh {
                let limit = ssh.stable_within;
                self.arm(out, DeadlineKind::SshStable, limit);
            }
        }
        Handled
    }

    /// SSH did not become stable in time: the attempts say why.
    pub(super) fn ssh_gave_up(&mut self, out: &mut Outbox, state: State, kind: DeadlineKind) -> Step {
        let ssh = &self.boot.ssh;
        let (cause, detail) = if !ssh.answered {
            let detail = format!("{} attempts, none was answered by an SSH server", ssh.no_answer);
            (Cause::SshNotListening, detail)
        } else if ssh.rejected_in_a_row > 0 {
            (Cause::SshAuthRejected, "the last attempt was turned down".to_owned())
        } else if ssh.flaps > 0 {
            (Cause::SshFlapping, format!("logins broke off {} times", ssh.flaps))
        } else {
            (Cause::SshUnstable, "no row of logins was long enough".to_owned())
        };
        let event = match kind {
            DeadlineKind::SshAppear => "deadline-ssh-appear",
            DeadlineKind::SshStable => "deadline-ssh-stable",
            _ => "deadline-stage",
        };
        self.fail(out, state, cause, Reason::event(event).detail(detail))
    }
}
