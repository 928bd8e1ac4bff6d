//! What is typed at the shell: short lines, each of which says at its end how it went.

use super::{LoginScript, Obstacle};

/// How often a line is typed whose answer does not come: a message of the kernel may have torn the answer.
const TRIES_MAX: u32 = 3;
/// Units that serve SSH, the best first.
const UNITS: &str = "ssh.service sshd.service ssh.socket sshd.socket";

/// What follows from a line of the shell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    None,
    Type(String),
    Opened(String),
    Refused(Obstacle, String),
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// Show that a shell is there.
    Probe,
    /// Who are we?
    Identify,
    /// May we become root?
    AskRoot,
    /// Become root.
    BecomeRoot,
    /// Put the key in place.
    PlaceKey,
    /// Which unit serves SSH?
    FindUnit,
    /// Start it.
    Start,
}

/// The shell's side of a conversation.
#[derive(Debug)]
pub(super) struct Shell {
    script: LoginScript,
    task: Task,
    /// Counts what was typed, so that a late answer is not taken for a new one.
    number: u32,
    tries: u32,
    typed: String,
    became_root: bool,
    unit: String,
}

impl Shell {
    pub(super) fn new(script: &LoginScript) -> Self {
        Self {
            script: script.clone(),
            task: Task::Probe,
            number: 0,
            tries: 0,
            typed: String::new(),
            became_root: false,
            unit: String::new(),
        }
    }

    /// The line that makes a shell show itself.
    pub(super) fn probe(&mut self) -> String {
        self.begin(Task::Probe)
    }

    /// The line that is typed again if nothing has come for long.
    pub(super) fn again(&mut self) -> Option<String> {
        self.tries += 1;
        (self.tries < TRIES_MAX).then(|| self.typed.clone())
    }

    /// A line has ended; `before` is the one before it.
    pub(super) fn at_line(&mut self, line: &str, before: &str) -> Answer {
        let tag = format!("{}-{} ", self.script.nonce, self.number);
        let Some(value) = line.find(&tag).map(|at| &line[at + tag.len()..]) else {
            return Answer::None;
        };
        let value = value.split_whitespace().next().unwrap_or_default().to_owned();
        let is_good = value == "0";
        match self.task {
            Task::Probe | Task::BecomeRoot => Answer::Type(self.begin(Task::Identify)),
            Task::Identify if is_good => Answer::Type(self.begin(Task::PlaceKey)),
            Task::Identify if self.became_root => Answer::Refused(Obstacle::Root, format!("user id {value}")),
            Task::Identify => Answer::Type(self.begin(Task::AskRoot)),
            Task::AskRoot if is_good => {
                self.became_root = true;
                Answer::Type(self.begin(Task::BecomeRoot))
            }
            Task::AskRoot => Answer::Refused(Obstacle::Root, format!("`sudo -n` ended with status {value}")),
            Task::PlaceKey if !is_good => {
                let detail = format!("no key could be put in place for user `{}`", self.script.ssh_user);
                Answer::Refused(Obstacle::Login, detail)
            }
            Task::PlaceKey if self.script.start.is_some() => Answer::Type(self.begin(Task::Start)),
            Task::PlaceKey => Answer::Type(self.begin(Task::FindUnit)),
            Task::FindUnit if value == "none" => Answer::Refused(Obstacle::NoServer, format!("no unit of {UNITS}")),
            Task::FindUnit => {
                self.unit = value;
                Answer::Type(self.begin(Task::Start))
            }
            Task::Start if is_good => Answer::Opened(self.told()),
            Task::Start if value == "127" && self.script.start.is_some() => {
                Answer::Refused(Obstacle::NoServer, format!("the start command is not there: {before}"))
            }
            Task::Start => {
                let what = self.script.start.as_deref().unwrap_or(&self.unit);
                Answer::Refused(Obstacle::ServerFailed, format!("`{what}` ended with status {value}"))
            }
        }
    }

    fn told(&self) -> String {
        let by = if self.became_root { " by way of sudo" } else { "" };
        let what = self.script.start.as_deref().unwrap_or(&self.unit);
        format!("serial login as `{}`{by}; started: {what}", self.script.user)
    }

    fn begin(&mut self, task: Task) -> String {
        self.task = task;
        self.number += 1;
        self.tries = 0;
        let tag = format!("{}-'{}'", self.script.nonce, self.number);
        let user = &self.script.ssh_user;
        let keys = format!("~{user}/.ssh");
        self.typed = match task {
            Task::Probe => format!("echo {tag} 0"),
            Task::Identify => format!("echo {tag} $(id -u)"),
            Task::AskRoot => format!("sudo -n true; echo {tag} $?"),
            // The new shell speaks before it reads its first line.
            Task::BecomeRoot => format!("exec sudo -n sh -c \"echo {tag} 0; exec sh\""),
            Task::PlaceKey => format!(
                "[ -d ~{user} ] && mkdir -p {keys} && echo '{key}' >>{keys}/authorized_keys && chmod 700 {keys} && \
                 chmod 600 {keys}/authorized_keys && chown -R {user} {keys}; echo {tag} $?",
                key = self.script.public_key
            ),
            Task::FindUnit => {
                format!("for u in {UNITS} none; do systemctl cat $u >/dev/null 2>&1 && break; done; echo {tag} $u")
            }
            Task::Start => match &self.script.start {
                Some(start) => format!("{start}; echo {tag} $?"),
                None => format!(
                    "ssh-keygen -A >/dev/null 2>&1; systemctl start {unit} && systemctl is-active {unit} >/dev/null; \
                     echo {tag} $?",
                    unit = self.unit
                ),
            },
        };
        self.typed.clone()
    }
}
