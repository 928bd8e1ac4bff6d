//! The stage's command: its output is kept, searched line by line, and told as events.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

use crate::machine::{Event, EvidenceRef};
use crate::plan::{StageKind, StagePlan};
use crate::ssh::{
    CommandNotice, CommandSpec, Detached, HostKeyPin, JobSpec, Login, ReconnectRule, Uploaded, run_command,
};
use crate::text::Redactor;
use crate::units::MIB;

use super::input::{Input, VmInput};
use super::search::{Hit, Search};
use super::sight::Sight;
use super::translate;

/// How much of a command's output is kept, in bytes. What comes after is searched, not kept.
const OUTPUT_LOG_BYTES_MAX: u64 = 64 * MIB;
/// Chunks of output that may wait to be searched. The rest waits in a file in the guest.
pub(super) const CHUNKS_MAX: usize = 64;

/// What the command's task tells the driver.
pub(super) enum CommandInput {
    /// An event for the machine.
    Event(Box<Event>),
    /// The command printed something.
    Output {
        /// Where it is kept.
        file: String,
        offset: u64,
        length: u64,
        /// What was found in the lines that it ends.
        hits: Vec<Hit>,
    },
    /// The output has ended.
    OutputEnded {
        /// What was found in its last line.
        hits: Vec<Hit>,
    },
    /// Something for the trace.
    Note { what: &'static str, detail: String },
}

/// Everything that a command needs.
pub(super) struct CommandTask {
    pub(super) number: u64,
    pub(super) login: Login,
    pub(super) pin: HostKeyPin,
    pub(super) run: uuid::Uuid,
    pub(super) retry_every: Duration,
    pub(super) give_up_after: Duration,
    pub(super) redactor: Redactor,
    pub(super) sight: Sight,
    pub(super) inputs: mpsc::Sender<Input>,
    /// The command is to be ended.
    pub(super) end: Arc<Notify>,
}

/// The task of a command. It stops following the command when this is dropped.
pub(super) struct CommandHandle {
    pub(super) task: AbortHandle,
    /// Tells it to end the command in the guest.
    pub(super) end: Arc<Notify>,
}

impl Drop for CommandHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl CommandTask {
    /// Runs the command of a stage to its end.
    pub(super) async fn run(self, stage: StagePlan, search: Search, log: std::path::PathBuf, file: String) {
        let StageKind::Command {
            uploads,
            command,
            only_tests_if,
            ..
        } = &stage.kind
        else {
            return;
        };
        let reader = match Reader::new(search, &log, &file) {
            Ok(reader) => reader,
            Err(detail) => return self.tell(Event::CommandUnreachable { detail }).await,
        };
        let mut spec = CommandSpec {
            job: JobSpec::new(self.run, &stage.name, command),
            uploads: uploads.clone(),
        };
        if let Some(condition) = only_tests_if {
            // What is uploaded may be what it asks with.
            let uploads = std::mem::take(&mut spec.uploads);
            if let Err(detail) = self.check(&stage.name, condition, uploads).await {
                return self.tell(Event::CommandUnreachable { detail }).await;
            }
        }
        let (notices, received) = mpsc::channel(CHUNKS_MAX);
        let (job, over) = (OnceLock::new(), Notify::new());
        // The search owns the receiver; when the command ends, its sender is dropped and the search drains and ends.
        let ended = async {
            let ended = run_command(&self.login, &self.pin, Some(self.run), &spec, &notices, self.rule()).await;
            drop(notices);
            over.notify_one();
            ended
        };
        let search = self.search(reader, &file, received, &job);
        let (ended, (), ()) = tokio::join!(ended, search, self.end_when_told(&job, &over));
        let event = match ended {
            Ok(end) => Event::CommandEnded {
                exit: translate::command_exit(end.exit),
                evidence: EvidenceRef {
                    file,
                    offset_bytes: Some(end.output_bytes),
                    quote: None,
                },
            },
            Err(error) => Event::CommandUnreachable {
                detail: self.clean(&error.to_string()),
            },
        };
        self.tell(event).await;
    }

    pub(super) fn rule(&self) -> ReconnectRule {
        ReconnectRule {
            retry_every: self.retry_every,
            give_up_after: self.give_up_after,
        }
    }

    async fn search(
        &self,
        mut reader: Reader,
        file: &str,
        mut received: mpsc::Receiver<CommandNotice>,
        job: &OnceLock<Detached>,
    ) {
        while let Some(notice) = received.recv().await {
            match notice {
                CommandNotice::Connected(_) => {}
                CommandNotice::Uploaded(uploaded) => self.uploaded(&uploaded).await,
                CommandNotice::Started(started) => {
                    let _ = job.set(started);
                    self.tell(Event::CommandStarted).await;
                }
                CommandNotice::Output { bytes, .. } => {
                    let bytes = bytes.as_bytes();
                    self.sight.output(bytes);
                    let (offset, hits) = reader.take(bytes);
                    let (file, length) = (file.to_owned(), bytes.len() as u64);
                    self.send(CommandInput::Output {
                        file,
                        offset,
                        length,
                        hits,
                    })
                    .await;
                }
                CommandNotice::ConnectionLost { why } => {
                    self.note("connection-broke", self.clean(&why)).await;
                    self.tell(Event::ConnectionLost).await;
                }
                CommandNotice::Reattached { .. } => self.tell(Event::CommandReattached).await,
            }
        }
        let hits = reader.search.finish();
        self.send(CommandInput::OutputEnded { hits }).await;
    }

    pub(super) async fn uploaded(&self, uploaded: &Uploaded) {
        let detail = format!("{} ({})", uploaded.path, uploaded.size_bytes);
        self.note("uploaded", detail).await;
    }

    pub(super) async fn tell(&self, event: Event) {
        self.send(CommandInput::Event(Box::new(event))).await;
    }

    pub(super) fn clean(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.redactor.redact(text.as_bytes())).into_owned()
    }

    pub(super) async fn note(&self, what: &'static str, detail: String) {
        self.send(CommandInput::Note { what, detail }).await;
    }

    async fn send(&self, input: CommandInput) {
        let _ = self.inputs.send(Input::Vm(self.number, VmInput::Command(input))).await;
    }
}

/// Keeps and searches the output.
struct Reader {
    search: Search,
    log: File,
    room_bytes: u64,
    /// How many bytes came.
    offset: u64,
}

impl Reader {
    fn new(search: Search, log: &Path, file: &str) -> Result<Self, String> {
        let mut options = File::options();
        let log = options.write(true).create_new(true).mode(0o600).open(log);
        let log = log.map_err(|error| format!("its output can't be kept in {file}: {error}"))?;
        Ok(Self {
            search,
            log,
            room_bytes: OUTPUT_LOG_BYTES_MAX,
            offset: 0,
        })
    }

    /// Where the bytes stand in the output, and what was found in the lines that they end.
    fn take(&mut self, bytes: &[u8]) -> (u64, Vec<Hit>) {
        let kept = bytes.len().min(usize::try_from(self.room_bytes).unwrap_or(usize::MAX));
        // A full host disk shows as a BLOCK_IO_ERROR of the guest or in the journal; the search goes on regardless.
        if self.log.write_all(&bytes[..kept]).is_ok() {
            self.room_bytes -= kept as u64;
        }
        let offset = self.offset;
        self.offset += bytes.len() as u64;
        (offset, self.search.take(bytes, Instant::now()))
    }
}
