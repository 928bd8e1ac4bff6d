//! Starting one QEMU: spawn, consoles, QMP negotiated, the guest before its first instruction.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::evidence::{RunDir, TranscriptLog};
use crate::machine::Cause;
use crate::qemu::argv::{self, MachineSpec};
use crate::qemu::process::{InheritedFd, InheritedSocket, Running, SpawnRequest, Spawner};
use crate::qmp::{Direction, Qmp, QmpError, QmpNotice, RunState, Transcript};
use crate::serial::cast::Cast;
use crate::serial::console::Console;
use crate::serial::marker::Watch;
use crate::serial::raw_log::{LogLayout, RawLog, SERIAL_LOG_HEAD_BYTES, SERIAL_LOG_TAIL_BYTES};
use crate::serial::tap::{self, SerialNotice};
use crate::text::terminal_line;
use crate::triage::Rules;

use super::prepare::PrepareError;
use super::recorder::Recorder;
use super::spec::{Sockets, images};
use super::vm::{SshSide, Tasks, Vm};
use super::watch;

/// How the logs of the firmware's debug port are named.
pub(super) const FIRMWARE_LOG: &str = "firmware";
/// How long QEMU may take to answer on QMP.
const GREETING_WITHIN: Duration = Duration::from_secs(30);
/// How long QEMU may take to exit after its end of QMP is gone.
const EXIT_AFTER_LOSS_WITHIN: Duration = Duration::from_secs(2);
/// How long a short QMP command may take while the guest is not running yet.
const COMMAND_WITHIN: Duration = Duration::from_secs(10);
/// How much of QEMU's complaint is quoted, in characters.
pub(super) const COMPLAINT_CHARS_MAX: usize = 400;

/// The socket pairs by which a QEMU is reached.
pub(super) struct Channels {
    qmp: InheritedSocket,
    serial: InheritedSocket,
    firmware: Option<InheritedSocket>,
}

impl Channels {
    /// Makes them.
    pub(super) fn open(firmware_console: bool) -> Result<Self, PrepareError> {
        let socket = || InheritedSocket::pair().map_err(|e| PrepareError::new(Cause::Internal, e));
        Ok(Self {
            qmp: socket()?,
            serial: socket()?,
            firmware: firmware_console.then(socket).transpose()?,
        })
    }

    /// The numbers of QEMU's ends.
    pub(super) fn numbers(&self) -> Sockets {
        Sockets {
            qmp: self.qmp.child.number(),
            serial: self.serial.child.number(),
            firmware: self.firmware.as_ref().map(|socket| socket.child.number()),
        }
    }
}

/// Where a QEMU is started.
pub(super) struct Launcher<'a> {
    pub(super) run: &'a RunDir,
    pub(super) rules: &'a Rules,
    /// Where what the consoles say is written down with its times, if the run is to be replayed.
    pub(super) recorder: Option<&'a Recorder>,
    pub(super) transcript: &'a Arc<Mutex<TranscriptLog>>,
    /// The run's clock began then.
    pub(super) started: Instant,
    pub(super) qemu: &'a Path,
}

impl Launcher<'_> {
    /// Starts machine number `number`. The console is searched for what `watch` holds; `ready` is the state in which the guest
    /// waits to be let go.
    pub(super) async fn launch(
        &self,
        number: u64,
        spec: MachineSpec,
        channels: Channels,
        watch: Watch,
        ready: RunState,
    ) -> Result<Box<Vm>, PrepareError> {
        let arguments = argv::build(&spec).map_err(|e| PrepareError::new(Cause::QemuWillNotStart, e))?;
        self.write_argv(number, &arguments)
            .map_err(|e| PrepareError::new(Cause::HostTooSmall, e))?;
        let Channels { qmp, serial, firmware } = channels;
        let mut inherited = vec![qmp.child, serial.child];
        let firmware = firmware.map(|socket| {
            inherited.push(socket.child);
            socket.ours
        });
        let running = Arc::new(self.spawn(arguments.clone(), inherited, spec.uuid).await?);
        let (qmp, mut notices) = crate::qmp::attach(qmp.ours, self.transcript());
        let serial_file = log_name("serial", number);
        let cast = self.cast(number);
        let (console, sightings) = self.tap(serial.ours, watch, &serial_file, cast)?;
        let firmware = match firmware {
            Some(stream) => {
                let watch = watch::of_firmware(self.rules);
                let watch = watch.map_err(|e| PrepareError::new(Cause::Internal, e))?;
                let file = log_name(FIRMWARE_LOG, number);
                let (_, sightings) = self.tap(stream, watch, &file, None)?;
                Some((file, sightings))
            }
            None => None,
        };
        greeted(&qmp, &mut notices, &running, ready).await?;
        let ssh_address = if spec.ssh_forward {
            Some(forwarded_port(&qmp).await?)
        } else {
            None
        };
        Ok(Box::new(Vm {
            number,
            running,
            qmp,
            notices: Some(notices),
            console,
            sightings: Some(sightings),
            serial_file,
            firmware,
            screen: None,
            ssh_address,
            images: images(&spec),
            machine: spec,
            argv: arguments,
            ssh: SshSide::default(),
            tasks: Tasks::default(),
            hold: None,
        }))
    }

    async fn spawn(
        &self,
        arguments: Vec<String>,
        inherited: Vec<InheritedFd>,
        machine: uuid::Uuid,
    ) -> Result<Running, PrepareError> {
        let request = SpawnRequest {
            program: self.qemu.to_owned(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            inherited,
            stderr: self.run.path().join("qemu.stderr"),
            directory: self.run.path().to_owned(),
        };
        let running = Spawner::global()
            .spawn(request)
            .await
            .map_err(|e| PrepareError::new(Cause::QemuWillNotStart, e))?;
        self.run
            .record_qemu(running.identity(), machine)
            .map_err(|e| PrepareError::new(Cause::HostTooSmall, e))?;
        Ok(running)
    }

    fn write_argv(&self, number: u64, arguments: &[String]) -> std::io::Result<()> {
        let path = self.run.path().join("argv.txt");
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        let mut words = vec![self.qemu.display().to_string()];
        words.extend_from_slice(arguments);
        writeln!(file, "# machine {number}\n{}\n", argv::shell_quoted(&words))
    }

    pub(super) fn tap<S>(
        &self,
        stream: S,
        watch: Watch,
        file: &str,
        cast: Option<Cast>,
    ) -> Result<(Console, mpsc::Receiver<SerialNotice>), PrepareError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let log = self.raw_log(file)?;
        Ok(match self.recorder {
            Some(recorder) => tap::attach_heard(stream, watch, log, recorder.console(file, cast)),
            None => tap::attach(stream, watch, log),
        })
    }

    /// The recording of a machine's console. A run goes on without it.
    fn cast(&self, number: u64) -> Option<Cast> {
        self.recorder?;
        let name = numbered("serial", number, "cast");
        let began_s = jiff::Timestamp::now().as_second() - self.started.elapsed().as_secs().cast_signed();
        let title = format!("{}: machine {number}", self.run.info().id);
        Cast::create(&self.run.path().join(name), &title, self.started, began_s)
            .inspect_err(|error| tracing::warn!(%error, "the console is not recorded for players"))
            .ok()
    }

    fn raw_log(&self, file: &str) -> Result<RawLog, PrepareError> {
        let path = self.run.path().join(file);
        let layout = LogLayout::new(path, SERIAL_LOG_HEAD_BYTES, SERIAL_LOG_TAIL_BYTES);
        let reserve = self.run.reserve();
        RawLog::create_with_room(layout, Box::new(move || reserve.make_room()))
            .map_err(|e| PrepareError::new(Cause::HostTooSmall, e))
    }

    fn transcript(&self) -> RunTranscript {
        RunTranscript {
            log: self.transcript.clone(),
            started: self.started,
        }
    }
}

pub(super) fn log_name(stem: &str, number: u64) -> String {
    numbered(stem, number, "log")
}

fn numbered(stem: &str, number: u64, kind: &str) -> String {
    if number == 1 {
        format!("{stem}.{kind}")
    } else {
        format!("{stem}-{number}.{kind}")
    }
}

/// Waits until QMP is negotiated and the guest stands before its first instruction, or says how QEMU ended instead. The
/// greeting alone proves nothing: QEMU sends it before it has carried out its command line.
async fn greeted(
    qmp: &Qmp,
    notices: &mut mpsc::Receiver<QmpNotice>,
    running: &Running,
    wanted: RunState,
) -> Result<(), PrepareError> {
    let ready = async {
        while let Some(notice) = notices.recv().await {
            match notice {
                QmpNotice::Ready { .. } => return Ok(()),
                QmpNotice::Lost(loss) => return Err(loss.to_string()),
                QmpNotice::Event(_) | QmpNotice::Note(_) => {}
            }
        }
        Err("the connection was given up".to_owned())
    };
    match tokio::time::timeout(GREETING_WITHIN, ready).await {
        Ok(Ok(())) => {}
        Ok(Err(loss)) => return Err(ended(running, loss).await),
        Err(_) => return Err(PrepareError::new(Cause::QemuUnresponsive, "no QMP greeting came")),
    }
    match qmp.query_status(COMMAND_WITHIN).await {
        Ok(state) if state == wanted => Ok(()),
        Ok(other) => {
            let detail = format!("the guest was to wait in state {wanted:?}, but it is in state {other:?}");
            Err(PrepareError::new(Cause::QemuWillNotStart, detail))
        }
        Err(QmpError::Lost(loss)) => Err(ended(running, loss.to_string()).await),
        Err(error) => Err(PrepareError::new(Cause::QemuUnresponsive, error)),
    }
}

/// Mostly QEMU has ended when QMP is lost, and how it ended says more than the loss.
async fn ended(running: &Running, loss: String) -> PrepareError {
    let Ok(report) = tokio::time::timeout(EXIT_AFTER_LOSS_WITHIN, running.wait()).await else {
        return PrepareError::new(Cause::QmpLost, loss);
    };
    let complaint = terminal_line(report.stderr_tail.as_bytes(), COMPLAINT_CHARS_MAX);
    PrepareError::new(
        Cause::QemuWillNotStart,
        format!("{}; it said: {complaint}", report.status),
    )
}

/// The loopback port that the kernel chose for the forward.
async fn forwarded_port(qmp: &Qmp) -> Result<SocketAddr, PrepareError> {
    let error = |detail: String| PrepareError::new(Cause::QemuWillNotStart, detail);
    let table = qmp
        .human("info usernet", COMMAND_WITHIN)
        .await
        .map_err(|e| error(e.to_string()))?;
    let port = host_port(&table).ok_or_else(|| error(format!("no SSH forward in `info usernet`:\n{table}")))?;
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// `  TCP[HOST_FORWARD]  12  127.0.0.1  40187  10.0.2.15  22  0  0`
fn host_port(table: &str) -> Option<u16> {
    let line = table.lines().find(|line| line.contains("TCP[HOST_FORWARD]"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// The QMP transcript of the run, on the run's clock.
struct RunTranscript {
    log: Arc<Mutex<TranscriptLog>>,
    started: Instant,
}

impl Transcript for RunTranscript {
    fn record(&mut self, direction: Direction, line: &[u8]) {
        let t_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let direction = match direction {
            Direction::Received => "rx",
            Direction::Sent => "tx",
        };
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.append(t_us, direction, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_table() {
        let table = "Hub -1 (net0):\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\n  \
                     TCP[HOST_FORWARD]  13       127.0.0.1 41241       10.0.2.15    22     0     0\n";
        assert_eq!(host_port(table), Some(41241));
        assert_eq!(host_port("nothing"), None);
    }
}
