//! An image that starts no SSH server by itself is had to let us in: after the marker, on its serial console.

use serde::{Deserialize, Serialize};
use statig::Outcome::Handled;

use crate::machine::gate::{Access, Gate, Outbox, Reason, Step};
use crate::machine::{Cause, DeadlineKind, Effect, Event, State};
use crate::plan::{OpenBy, SerialLogin};

/// What keeps an image from letting us in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AccessRefusal {
    /// The login was turned down.
    Login,
    /// No shell answered behind the login.
    Shell,
    /// The user is not root, and `sudo` asks for a password or is not there.
    Root,
    /// The image has no SSH server.
    NoServer,
    /// The SSH server can't be started.
    ServerFailed,
}

impl Gate {
    /// How the gate logs in on the console, if it does.
    pub(super) fn serial_login(&self) -> Option<&SerialLogin> {
        match self.plan.ssh.as_ref()?.open_by.as_ref()? {
            OpenBy::SerialLogin(login) => Some(login),
            OpenBy::Credentials(_) => None,
        }
    }

    /// True if a login prompt says that the live system is up, because the gate names no marker and logs in there.
    pub(super) fn prompt_is_marker(&self) -> bool {
        self.plan.console.markers.is_empty() && self.serial_login().is_some()
    }

    /// True while the image is being asked to let us in.
    pub(super) fn is_opening(&self) -> bool {
        self.boot.access == Access::Opening
    }

    /// Has the image asked to let us in, if the gate wants that and it was not done in this boot.
    pub(super) fn begin_access(&mut self, out: &mut Outbox) -> bool {
        let Some(within) = self.serial_login().map(|login| login.within) else {
            return false;
        };
        if self.boot.access == Access::Open {
            return false;
        }
        self.boot.access = Access::Opening;
        self.arm(out, DeadlineKind::Access, within);
        out.ask(Effect::OpenAccess { stage: self.stage });
        true
    }

    pub(super) fn on_access(&mut self, event: &Event, out: &mut Outbox) -> Step {
        match event {
            Event::AccessOpened { detail, evidence } if self.is_opening() => {
                self.boot.access = Access::Open;
                self.deadlines.disarm(DeadlineKind::Access);
                out.note(State::MarkerSeen, "access-opened", detail, Some(evidence));
                out.ask(Effect::WatchSsh { stage: self.stage });
                self.await_ssh(out);
                Handled
            }
            Event::AccessRefused { why, detail, evidence } if self.is_opening() => {
                let cause = match why {
                    AccessRefusal::Login => Cause::AccessLoginRefused,
                    AccessRefusal::Shell => Cause::AccessNoShell,
                    AccessRefusal::Root => Cause::AccessNotRoot,
                    AccessRefusal::NoServer => Cause::AccessNoServer,
                    AccessRefusal::ServerFailed => Cause::AccessServerFailed,
                };
                let reason = Reason::event("access-refused").detail(detail).evidence(evidence);
                self.fail(out, State::MarkerSeen, cause, reason)
            }
            _ => Handled,
        }
    }

    /// The image was not open in time.
    pub(super) fn access_gave_up(&mut self, out: &mut Outbox, kind: DeadlineKind) -> Step {
        let event = match kind {
            DeadlineKind::Access => "deadline-access",
            _ => "deadline-stage",
        };
        self.fail(out, State::MarkerSeen, Cause::AccessTimeout, Reason::event(event))
    }
}
