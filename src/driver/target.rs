//! Asks the installed system over SSH whether it has reached its target, where its console may say no more.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::evidence::{RunDir, write_atomically};
use crate::machine::{Event, EvidenceRef};
use crate::plan::StageKind;
use crate::ssh::{Exit, HostKeyPin, Login, Output, PhaseTimes, Session};
use crate::text::{Redactor, Untrusted};

use super::input::VmInput;
use super::run::Driver;
use super::translate;

/// How much of what the check prints is kept, in bytes.
const PRINTED_BYTES_MAX: usize = 64 * 1024;
const PIECES_MAX: usize = 16;

/// A question to the installed system.
struct Question {
    login: Login,
    pin: HostKeyPin,
    uuid: uuid::Uuid,
    command: String,
    retry_every: Duration,
}

impl Driver<'_> {
    /// Asks in a task of its own until there is an answer; the machine's deadlines bound it.
    pub(super) fn check_target(&mut self, stage: usize) {
        let StageKind::InstalledBoot {
            target_check: Some(command),
            ..
        } = &self.plan.stages[stage].kind
        else {
            return;
        };
        let login = self.vm.as_ref().and_then(|vm| self.login(vm, stage));
        let (Some(vm), Some(login), Some(ssh)) = (&self.vm, login, &self.plan.ssh) else {
            return;
        };
        let question = Question {
            login,
            pin: vm.ssh.pin.clone(),
            uuid: vm.machine.uuid,
            command: command.clone(),
            retry_every: ssh.retry_every,
        };
        let name = self.plan.stages[stage].name.clone();
        let (run, redactor) = (self.run.clone(), self.intake.redactor.clone());
        self.with_qmp(|number, _| async move {
            let (exit, printed) = question.answer().await;
            let evidence = keep(
                &run,
                &name,
                &question.command,
                exit,
                &redactor.redact(&printed),
                &redactor,
            );
            let exit = translate::command_exit(exit);
            Some((number, VmInput::Told(Event::TargetChecked { exit, evidence })))
        });
    }
}

impl Question {
    /// How the check ended, and what it printed. A server that is not up yet, or a connection that breaks, is tried again.
    async fn answer(&self) -> (Exit, Vec<u8>) {
        loop {
            if let Ok(answer) = self.ask().await {
                return answer;
            }
            // There is no event that says that a server came up behind the forward.
            tokio::time::sleep(self.retry_every).await;
        }
    }

    async fn ask(&self) -> Result<(Exit, Vec<u8>), ()> {
        let mut times = PhaseTimes::default();
        let connected = Session::connect(&self.login, &self.pin, Some(self.uuid), &mut times).await;
        let (session, _) = connected.map_err(drop)?;
        let (pieces, mut received) = mpsc::channel(PIECES_MAX);
        let gather = async {
            let mut printed = Vec::new();
            while let Some(Output::Stdout(piece) | Output::Stderr(piece)) = received.recv().await {
                let room = PRINTED_BYTES_MAX - printed.len();
                printed.extend_from_slice(&piece[..piece.len().min(room)]);
            }
            printed
        };
        let (ended, printed) = tokio::join!(session.stream(self.command.clone(), pieces), gather);
        session.close().await;
        Ok((Exit::from_shell(ended.map_err(drop)?), printed))
    }
}

/// Writes question and answer to the run. The guest printed it, so it is quoted as untrusted.
fn keep(run: &RunDir, stage: &str, command: &str, exit: Exit, printed: &[u8], redactor: &Redactor) -> EvidenceRef {
    let file = format!("ssh/{stage}.target.txt");
    let mut text = format!("$ {command}\n").into_bytes();
    text.extend_from_slice(printed);
    let mut end = String::new();
    let _ = writeln!(end, "({exit})");
    text.extend_from_slice(end.as_bytes());
    // What can't be written is missing; the answer counts all the same.
    if let Ok(path) = run.file(&file) {
        let _ = run
            .reserve()
            .retry_evidence(|| write_atomically(&path, &redactor.redact(&text)));
    }
    let last = printed.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
    EvidenceRef {
        file,
        offset_bytes: None,
        quote: last.map(|line| Untrusted::new(line.to_vec())),
    }
}
