//! A command in the guest that outlives the connection: its output and its end are kept in files there.

use std::time::Duration;

use uuid::Uuid;

use super::client::Session;
use super::exec::ExecError;
use super::follow::Follower;
use super::outcome::BootId;
use super::shell::{KILL, RUN, START, answer, command_line, strip};

/// Bytes of a command line: Linux takes no longer argument (`MAX_ARG_STRLEN` is 128 KiB).
pub const COMMAND_BYTES_MAX: usize = 64 * 1024;
/// Bytes kept of what the following script says about itself.
pub(super) const REPORT_BYTES_MAX: usize = 4 * 1024;

/// A command to run detached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// The run; part of the directory's name in the guest.
    pub run: Uuid,
    /// The stage; the directory's name. A command is started once per run and stage, however often it is asked for.
    pub stage: String,
    /// The command line, run by `sh -c`.
    pub command: String,
    /// Directories in the guest in which a private directory may be made, the most wanted first.
    pub directories: Vec<String>,
}

impl JobSpec {
    /// A command that keeps its files under `/run`, or under `/tmp` if that can't be written.
    pub fn new(run: Uuid, stage: impl Into<String>, command: impl Into<String>) -> Self {
        Self {
            run,
            stage: stage.into(),
            command: command.into(),
            directories: vec!["/run".into(), "/tmp".into()],
        }
    }
}

/// A command that was started in the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    /// The directory of its files in the guest.
    pub directory: String,
    /// The boot that it runs in.
    pub boot_id: BootId,
    /// True if it had been started before, by a call whose answer was lost.
    pub resumed: bool,
}

/// Why a detached command can't be started, followed or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DetachedError {
    /// The connection or the server failed. The command itself goes on.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The guest has no directory to keep the command's files in.
    #[error("no directory in the guest can be written to keep the command's output in (tried {0})")]
    NoDirectory(String),
    /// The command line is too long.
    #[error("the command line has {size_bytes} bytes; the longest possible has {COMMAND_BYTES_MAX}")]
    TooLong {
        /// Its size.
        size_bytes: usize,
    },
    /// The guest could not start it: its disk is full, or a tool (`mkfifo`, `mv`, `wc`) is missing.
    #[error("the guest could not prepare the command's files (disk full, or no mkfifo)")]
    NotPrepared,
    /// A script in the guest gave no answer.
    #[error("the guest's shell did not answer as a POSIX shell would; it said: {0}")]
    NoAnswer(String),
    /// The guest was rebooted, and the command is gone with its files.
    #[error("the guest was rebooted while the command ran: its boot id was {before}, now it is {after}")]
    GuestRebooted {
        /// The boot in which the command was started.
        before: BootId,
        /// The boot that answers now.
        after: BootId,
    },
    /// The directory of the command is gone.
    #[error("the command's files in the guest are gone ({0})")]
    Gone(String),
    /// What watched over the command in the guest was killed, so that nobody knows how the command ended.
    #[error("the shell that watched over the command in the guest was killed; how the command ended is unknown")]
    Vanished,
    /// The end of the output can't be read, because its file was cut short or the guest has no `tail`.
    #[error("the command gave {size_bytes} bytes of output, but no more than {offset} of them can be read")]
    Torn {
        /// Its size when the command ended.
        size_bytes: u64,
        /// Bytes that were read.
        offset: u64,
    },
}

impl Detached {
    /// Starts a command, or finds it started already.
    pub async fn start(session: &Session, spec: &JobSpec) -> Result<Self, DetachedError> {
        let size_bytes = spec.command.len();
        if size_bytes > COMMAND_BYTES_MAX {
            return Err(DetachedError::TooLong { size_bytes });
        }
        let (name, ticket) = (format!("bootgate-{}", spec.run), Uuid::new_v4().to_string());
        let (size, runner) = (size_bytes.to_string(), strip(RUN));
        let mut arguments = vec![name.as_str(), &spec.stage, &ticket, &size, &runner];
        arguments.extend(spec.directories.iter().map(String::as_str));
        let command = command_line(START, &arguments);
        let limit = session.deadlines.exec;
        let reply = session
            .call(command, spec.command.as_bytes(), limit, |reply| {
                answer(&reply.stdout, "start").is_some()
            })
            .await?;
        let words = answer(&reply.stdout, "start").unwrap_or_default();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            [how @ ("started" | "resumed"), boot, ref said @ ..] => {
                // What the guest says goes no further than choosing among our own words.
                let mut possible = spec
                    .directories
                    .iter()
                    .map(|base| format!("{base}/{name}/{}", spec.stage));
                let directory = possible.find(|path| path.split_ascii_whitespace().eq(said.iter().copied()));
                let (Some(directory), Ok(boot)) = (directory, boot.parse()) else {
                    return Err(no_answer(&reply.stdout));
                };
                Ok(Self {
                    directory,
                    boot_id: BootId(boot),
                    resumed: how == "resumed",
                })
            }
            ["no-directory"] => Err(DetachedError::NoDirectory(spec.directories.join(", "))),
            ["write"] => Err(DetachedError::NotPrepared),
            // The connection ended while the command line was on its way.
            ["short", ..] => Err(ExecError::Lost("the command line arrived in part".into()).into()),
            _ => Err(no_answer(&reply.stderr)),
        }
    }

    /// Ends the command and its process group: SIGTERM, after `grace` SIGKILL. Returns when it has ended.
    pub async fn kill(&self, session: &Session, grace: Duration) -> Result<(), DetachedError> {
        let seconds = grace.as_millis().div_ceil(1000).to_string();
        let command = command_line(KILL, &[&self.directory, &seconds]);
        let limit = grace + session.deadlines.exec;
        let reply = session.call(command, tokio::io::empty(), limit, |_| false).await?;
        match answer(&reply.stdout, "kill")
            .unwrap_or_default()
            .first()
            .map(String::as_str)
        {
            Some("ended") => Ok(()),
            Some("gone") => Err(DetachedError::Gone(self.directory.clone())),
            _ => Err(no_answer(&reply.stderr)),
        }
    }

    /// Follows the command's output from byte `offset` on.
    pub fn follow<'a>(&'a self, session: &'a Session, offset: u64) -> Follower<'a> {
        Follower::new(session, self, offset)
    }
}

pub(super) fn no_answer(stderr: &[u8]) -> DetachedError {
    DetachedError::NoAnswer(stderr[..stderr.len().min(REPORT_BYTES_MAX)].escape_ascii().to_string())
}
