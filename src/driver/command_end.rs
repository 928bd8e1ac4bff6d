//! What is done in the guest around the stage's command: its condition before it, and its end where a line ends it.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use crate::machine::Event;
use crate::plan::{Condition, Upload};
use crate::ssh::{CommandNotice, CommandSpec, Detached, JobSpec, PhaseTimes, Session, run_command};

use super::command::{CHUNKS_MAX, CommandTask};
use super::translate;

/// How long a command may take to end by SIGTERM before it is killed.
const END_GRACE: Duration = Duration::from_secs(5);

impl CommandTask {
    /// Asks in the guest whether the stage can test what it is for. What the condition's command prints is not kept.
    pub(super) async fn check(&self, stage: &str, condition: &Condition, uploads: Vec<Upload>) -> Result<(), String> {
        let spec = CommandSpec {
            // No stage has a dot in its name.
            job: JobSpec::new(self.run, format!("{stage}.condition"), &condition.command),
            uploads,
        };
        let (notices, mut received) = mpsc::channel(CHUNKS_MAX);
        let ended = async {
            let ended = run_command(&self.login, &self.pin, Some(self.run), &spec, &notices, self.rule()).await;
            drop(notices);
            ended
        };
        let told = async {
            while let Some(notice) = received.recv().await {
                if let CommandNotice::Uploaded(uploaded) = notice {
                    self.uploaded(&uploaded).await;
                }
            }
        };
        let (ended, ()) = tokio::join!(ended, told);
        let ended = ended.map_err(|error| self.clean(&format!("its condition: {error}")))?;
        let exit = translate::command_exit(ended.exit);
        self.tell(Event::ConditionChecked { exit }).await;
        Ok(())
    }

    /// Ends the command in the guest when it is told to, until the command is `over`.
    pub(super) async fn end_when_told(&self, job: &OnceLock<Detached>, over: &Notify) {
        tokio::select! {
            () = over.notified() => return,
            () = self.end.notified() => {}
        }
        // A line was printed, so the command was started.
        let Some(job) = job.get() else { return };
        let gone = over.notified();
        tokio::pin!(gone);
        loop {
            let mut times = PhaseTimes::default();
            let connecting = Session::connect(&self.login, &self.pin, Some(self.run), &mut times);
            let why = match connecting.await {
                Ok((session, _)) => match job.kill(&session, END_GRACE).await {
                    Ok(()) => {
                        session.close().await;
                        return self.note("command-ended", "with its process group".to_owned()).await;
                    }
                    Err(error) => error.to_string(),
                },
                Err(outcome) => outcome.class().meaning().to_owned(),
            };
            self.note("command-not-ended", self.clean(&why)).await;
            // There is no event that says that the guest can be reached again; the machine's deadline ends this.
            tokio::select! {
                () = &mut gone => return,
                () = tokio::time::sleep(self.retry_every) => {}
            }
        }
    }
}
