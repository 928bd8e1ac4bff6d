//! A command in the guest from the first login to its end, across lost connections.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::sleep_until;
use uuid::Uuid;

use super::client::Session;
use super::detached::{Detached, DetachedError, JobSpec};
use super::exec::ExecError;
use super::exit::Exit;
use super::follow::Followed;
use super::hostkey::HostKeyPin;
use super::login::{Login, PhaseTimes};
use super::outcome::{Facts, ProbeClass, ProbeOutcome};
use super::upload::{UploadError, Uploaded, upload};
use crate::plan::Upload;
use crate::text::Untrusted;

/// What to run.
#[derive(Debug, Clone)]
pub struct CommandSpec {
    /// The command.
    pub job: JobSpec,
    /// Files to copy to the guest first.
    pub uploads: Vec<Upload>,
}

/// How to come back after a lost connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconnectRule {
    /// Time between the beginnings of two attempts. There is no event that says that the guest is reachable again.
    pub retry_every: Duration,
    /// How long to try, from the moment of the loss.
    pub give_up_after: Duration,
}

/// What happens while a command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandNotice {
    /// The first login succeeded.
    Connected(Facts),
    /// A file is in the guest.
    Uploaded(Uploaded),
    /// The command was started, or was found started already.
    Started(Detached),
    /// The next bytes of its output.
    Output {
        /// The bytes.
        bytes: Untrusted,
        /// Where the first of them stands, from the beginning of the output.
        offset: u64,
    },
    /// The connection was lost; the command goes on in the guest.
    ConnectionLost {
        /// Why, in a few words.
        why: String,
    },
    /// A new login succeeded.
    Reattached {
        /// How long the connection was gone.
        after: Duration,
        /// How much of the output was read before.
        offset: u64,
    },
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandEnd {
    /// How it ended.
    pub exit: Exit,
    /// The size of its whole output.
    pub output_bytes: u64,
    /// How often the connection was lost and found again.
    pub reattached: u32,
}

/// Why it is not known how a command ended, or why it never began.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A login failed in a way that no other attempt can mend.
    #[error("the login for the command failed: {}", .0.class().meaning())]
    Login(ProbeOutcome),
    /// No login succeeded in time.
    #[error("the guest could not be reached for {}: {}", crate::units::human_span(*.gone), .last.class().meaning())]
    Unreachable {
        /// How long it was tried.
        gone: Duration,
        /// What the last attempt came to.
        last: ProbeOutcome,
    },
    /// A file could not be copied to the guest.
    #[error(transparent)]
    Upload(UploadError),
    /// The command could not be started or followed.
    #[error(transparent)]
    Detached(DetachedError),
    /// Nobody listens to the notices any more.
    #[error("the command was given up; it may still run in the guest")]
    Abandoned,
}

/// What ends work on one connection.
enum Stop {
    /// The connection; another may do.
    Lost(String),
    /// The whole command.
    Over(CommandError),
}

impl From<mpsc::error::SendError<CommandNotice>> for Stop {
    fn from(_: mpsc::error::SendError<CommandNotice>) -> Self {
        Self::Over(CommandError::Abandoned)
    }
}

impl From<DetachedError> for Stop {
    fn from(error: DetachedError) -> Self {
        match error {
            DetachedError::Exec(lost @ (ExecError::Lost(_) | ExecError::Silent(_))) => Self::Lost(lost.to_string()),
            other => Self::Over(CommandError::Detached(other)),
        }
    }
}

impl From<UploadError> for Stop {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Exec(lost @ (ExecError::Lost(_) | ExecError::Silent(_))) => Self::Lost(lost.to_string()),
            other => Self::Over(CommandError::Upload(other)),
        }
    }
}

/// Runs a command in the guest: logs in, uploads, starts it detached, and follows its output to the end, coming back
/// as often as the connection is lost. Output is exact: no byte is lost or given twice.
///
/// A full `notices` channel pauses reading; the output waits in a file in the guest. Dropping the future stops
/// following, and the command goes on; [`Detached::kill`] over a session of its own ends it.
pub async fn run_command(
    login: &Login,
    pin: &HostKeyPin,
    expected: Option<Uuid>,
    spec: &CommandSpec,
    notices: &mpsc::Sender<CommandNotice>,
    rule: ReconnectRule,
) -> Result<CommandEnd, CommandError> {
    let mut run = Run {
        login,
        pin: pin.clone(),
        expected,
        spec,
        notices,
        rule,
        uploaded: 0,
        job: None,
        offset: 0,
        attached: 0,
        next_attempt: tokio::time::Instant::now(),
    };
    let mut gone_since = Instant::now();
    loop {
        let session = run.attach(gone_since).await?;
        match run.work(&session).await {
            Ok(exit) => {
                session.close().await;
                return Ok(CommandEnd {
                    exit,
                    output_bytes: run.offset,
                    reattached: run.attached - 1,
                });
            }
            Err(Stop::Over(error)) => return Err(error),
            Err(Stop::Lost(why)) => {
                gone_since = Instant::now();
                run.tell(CommandNotice::ConnectionLost { why }).await?;
            }
        }
    }
}

struct Run<'a> {
    login: &'a Login,
    pin: HostKeyPin,
    expected: Option<Uuid>,
    spec: &'a CommandSpec,
    notices: &'a mpsc::Sender<CommandNotice>,
    rule: ReconnectRule,
    uploaded: usize,
    job: Option<Detached>,
    offset: u64,
    attached: u32,
    next_attempt: tokio::time::Instant,
}

impl Run<'_> {
    async fn tell(&self, notice: CommandNotice) -> Result<(), CommandError> {
        let told = self.notices.send(notice).await;
        told.map_err(|_| CommandError::Abandoned)
    }

    async fn attach(&mut self, gone_since: Instant) -> Result<Session, CommandError> {
        loop {
            sleep_until(self.next_attempt).await;
            self.next_attempt = tokio::time::Instant::now() + self.rule.retry_every;
            let mut times = PhaseTimes::default();
            let connected = Session::connect(self.login, &self.pin, self.expected, &mut times).await;
            let gone = gone_since.elapsed();
            let last = match connected {
                Ok((session, facts)) => {
                    self.pin.pin_first(&facts.host_key);
                    self.attached += 1;
                    let offset = self.offset;
                    self.tell(match self.attached {
                        1 => CommandNotice::Connected(facts),
                        _ => CommandNotice::Reattached { after: gone, offset },
                    })
                    .await?;
                    return Ok(session);
                }
                Err(outcome) => outcome,
            };
            // A server that has let this user in does not forget the password.
            if last.class().is_final() || last.class() == ProbeClass::AuthRejected {
                return Err(CommandError::Login(last));
            }
            if gone >= self.rule.give_up_after {
                return Err(CommandError::Unreachable { gone, last });
            }
        }
    }

    async fn work(&mut self, session: &Session) -> Result<Exit, Stop> {
        for file in &self.spec.uploads[self.uploaded..] {
            let uploaded = upload(session, file).await?;
            self.uploaded += 1;
            self.notices.send(CommandNotice::Uploaded(uploaded)).await?;
        }
        let job = if let Some(job) = self.job.clone() {
            job
        } else {
            let job = Detached::start(session, &self.spec.job).await?;
            self.notices.send(CommandNotice::Started(job.clone())).await?;
            self.job.insert(job).clone()
        };
        let mut follower = job.follow(session, self.offset);
        loop {
            match follower.next().await? {
                Followed::Output(bytes) => {
                    let offset = self.offset;
                    self.offset = follower.offset();
                    self.notices.send(CommandNotice::Output { bytes, offset }).await?;
                }
                Followed::End(exit) => return Ok(exit),
            }
        }
    }
}
