//! Having an untouched image let us in: the conversation with its console, on the wires.

use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use crate::machine::{AccessRefusal, Event, EvidenceRef};
use crate::plan::{OpenBy, SerialLogin};
use crate::serial::console::Console;
use crate::serial::login::{Conversation, LoginScript, Move, Obstacle, Quote};
use crate::text::{Redactor, Untrusted};

use super::input::{Input, VmInput};
use super::run::Driver;

/// A console that says nothing for this long is spoken to again; times the scale of the guest's deadlines. What was typed
/// may be lost (a getty empties its input when it starts), and nothing tells of it.
const QUIET: Duration = Duration::from_secs(2);

/// How long a password prompt stands before it is answered; times the same scale. Some programs ask first and turn the
/// echo off afterwards (busybox does), and what is typed in between is shown, and recorded.
const ECHO_OFF: Duration = Duration::from_millis(300);

impl Driver<'_> {
    pub(super) fn open_access(&mut self) {
        let ssh = self.plan.ssh.as_ref();
        let Some(OpenBy::SerialLogin(login)) = ssh.and_then(|ssh| ssh.open_by.as_ref()) else {
            return;
        };
        let (Some(vm), Some(ssh), Some(key)) = (&mut self.vm, ssh, self.secrets.run_key()) else {
            return;
        };
        let script = script(login, &ssh.user, &key.public, self.secrets.console_password());
        let scale = self.host.as_ref().map_or(100, |host| host.scale_percent).max(100);
        let talk = Talk {
            console: vm.console.clone(),
            file: vm.serial_file.clone(),
            redactor: self.intake.redactor.clone(),
            quiet: QUIET * scale / 100,
            echo_off: ECHO_OFF * scale / 100,
        };
        let (number, inputs) = (vm.number, self.inputs.clone());
        let task = tokio::spawn(async move {
            if let Some(event) = talk.run(script).await {
                let _ = inputs.send(Input::Vm(number, VmInput::Told(event))).await;
            }
        });
        vm.tasks.access = Some(task.abort_handle());
    }

    pub(super) fn abandon_access(&mut self) {
        if let Some(task) = self.vm.as_mut().and_then(|vm| vm.tasks.access.take()) {
            task.abort();
        }
    }
}

fn script(login: &SerialLogin, ssh_user: &str, public_key: &str, password: Option<crate::plan::Secret>) -> LoginScript {
    LoginScript {
        user: login.user.clone(),
        password,
        ssh_user: ssh_user.to_owned(),
        public_key: public_key.to_owned(),
        start: login.start.clone(),
        nonce: format!("bg{}", &Uuid::new_v4().simple().to_string()[..12]),
    }
}

/// A conversation with one console.
struct Talk {
    console: Console,
    file: String,
    redactor: Redactor,
    quiet: Duration,
    echo_off: Duration,
}

impl Talk {
    /// Talks until the image is open or it is clear that it can't be. `None`: the console was closed, which is told by
    /// others.
    async fn run(&self, script: LoginScript) -> Option<Event> {
        let (offset, recent, mut live) = self.console.attach_at();
        let (mut conversation, mut moves) = Conversation::begin(script, offset, &recent);
        loop {
            for next in moves.drain(..) {
                match next {
                    // A guest that does not read is spoken to again when it has been quiet.
                    Move::Type(text) => {
                        let _ = self.console.send_line(text.as_str());
                    }
                    Move::TypePassword(password) => {
                        tokio::time::sleep(self.echo_off).await;
                        let _ = self.console.send_line(password);
                    }
                    Move::Opened(detail, quote) => {
                        let evidence = self.evidence(&quote);
                        return Some(Event::AccessOpened { detail, evidence });
                    }
                    Move::Refused(obstacle, detail, quote) => {
                        return Some(Event::AccessRefused {
                            why: refusal(obstacle),
                            detail: self.clean(&detail),
                            evidence: self.evidence(&quote),
                        });
                    }
                }
            }
            moves = match tokio::time::timeout(self.quiet, live.recv()).await {
                Ok(Ok(bytes)) => conversation.hear(&bytes),
                // A line that is lost is asked for again.
                Ok(Err(RecvError::Lagged(_))) => Vec::new(),
                Ok(Err(RecvError::Closed)) => return None,
                Err(_) => conversation.quiet(),
            };
        }
    }

    fn evidence(&self, quote: &Quote) -> EvidenceRef {
        EvidenceRef {
            file: self.file.clone(),
            offset_bytes: Some(quote.offset),
            quote: Some(Untrusted::new(self.redactor.redact(quote.text.as_bytes()))),
        }
    }

    fn clean(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.redactor.redact(text.as_bytes())).into_owned()
    }
}

fn refusal(obstacle: Obstacle) -> AccessRefusal {
    match obstacle {
        Obstacle::Login => AccessRefusal::Login,
        Obstacle::Shell => AccessRefusal::Shell,
        Obstacle::Root => AccessRefusal::Root,
        Obstacle::NoServer => AccessRefusal::NoServer,
        Obstacle::ServerFailed => AccessRefusal::ServerFailed,
    }
}
