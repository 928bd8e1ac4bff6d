//! Bringing up the machine of a stage: command line, spawn, consoles, QMP negotiated.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, mpsc};

use crate::evidence::{RunDir, TranscriptLog};
use crate::machine::{BootFrom, Cause};
use crate::plan::{DiskFormat, Plan};
use crate::qemu::argv::{self, BootSpec, DiskSpec, FirmwareSpec, MachineSpec};
use crate::qemu::disk;
use crate::qemu::process::{InheritedSocket, Running, SpawnRequest, Spawner};
use crate::qmp::{Direction, Qmp, QmpError, QmpNotice, RunState, Transcript};
use crate::serial::raw_log::{LogLayout, RawLog, SERIAL_LOG_HEAD_BYTES, SERIAL_LOG_TAIL_BYTES};
use crate::serial::tap;
use crate::text::terminal_line;
use crate::triage::Rules;

use super::host::{Host, HostFacts};
use super::spec::{RunPlace, Sockets, has_firmware_console, images, machine_spec};
use super::vm::{SshSide, Tasks, Vm};
use super::watch;

/// How long QEMU may take to answer on QMP.
const GREETING_WITHIN: Duration = Duration::from_secs(30);
/// How long QEMU may take to exit after its end of QMP is gone.
const EXIT_AFTER_LOSS_WITHIN: Duration = Duration::from_secs(2);
/// How long a short QMP command may take while the guest is not running yet.
const COMMAND_WITHIN: Duration = Duration::from_secs(10);
/// How much of QEMU's complaint is quoted, in characters.
const COMPLAINT_CHARS_MAX: usize = 400;

/// Why a machine could not be brought up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PrepareError {
    pub(super) cause: Cause,
    pub(super) detail: String,
}

impl PrepareError {
    pub(super) fn new(cause: Cause, detail: impl std::fmt::Display) -> Self {
        Self {
            cause,
            detail: detail.to_string(),
        }
    }
}

/// What every machine of the run is brought up from.
pub(super) struct Workshop {
    pub(super) plan: Arc<Plan>,
    pub(super) run: Arc<RunDir>,
    pub(super) transcript: Arc<Mutex<TranscriptLog>>,
    pub(super) started: Instant,
    pub(super) host: OnceCell<Host>,
    pub(super) rules: Arc<Rules>,
}

impl Workshop {
    /// Brings up machine number `number` for a stage.
    pub(super) async fn bring_up(
        &self,
        number: u64,
        stage: usize,
        boot: BootFrom,
    ) -> Result<(Box<Vm>, HostFacts), PrepareError> {
        let host = self.host.get_or_try_init(|| self.find_host()).await?;
        let socket = || InheritedSocket::pair().map_err(|e| PrepareError::new(Cause::Internal, e));
        let (qmp, serial) = (socket()?, socket()?);
        let firmware = has_firmware_console(&self.plan).then(socket).transpose()?;
        let sockets = Sockets {
            qmp: qmp.child.number(),
            serial: serial.child.number(),
            firmware: firmware.as_ref().map(|socket| socket.child.number()),
        };
        let spec = machine_spec(&self.plan, (stage, boot), &host.parts, &self.place(), sockets);
        check_boot_code(&spec)?;
        let arguments = argv::build(&spec).map_err(|e| PrepareError::new(Cause::QemuWillNotStart, e))?;
        self.write_argv(number, &host.parts.qemu.binary, &arguments)
            .map_err(|e| PrepareError::new(Cause::HostTooSmall, e))?;
        let mut inherited = vec![qmp.child, serial.child];
        let firmware = firmware.map(|socket| {
            inherited.push(socket.child);
            socket.ours
        });
        let running = Arc::new(self.spawn(host, arguments, inherited).await?);
        let (qmp, mut notices) = crate::qmp::attach(qmp.ours, self.transcript());
        let watch_error = |e| PrepareError::new(Cause::Internal, e);
        let serial_file = log_name("serial", number);
        let watch = watch::of_stage(&self.plan, stage, &self.rules).map_err(watch_error)?;
        let (console, sightings) = tap::attach(serial.ours, watch, self.raw_log(&serial_file)?);
        let firmware = match firmware {
            Some(stream) => {
                let watch = watch::of_firmware(&self.rules).map_err(watch_error)?;
                let file = log_name("firmware", number);
                let (_, sightings) = tap::attach(stream, watch, self.raw_log(&file)?);
                Some((file, sightings))
            }
            None => None,
        };
        greeted(&qmp, &mut notices, &running).await?;
        let ssh_address = if spec.ssh_forward {
            Some(forwarded_port(&qmp).await?)
        } else {
            None
        };
        let vm = Vm {
            number,
            running,
            qmp,
            notices: Some(notices),
            console,
            sightings: Some(sightings),
            serial_file,
            firmware,
            ssh_address,
            images: images(&spec),
            ssh: SshSide::default(),
            tasks: Tasks::default(),
        };
        Ok((Box::new(vm), host.facts.clone()))
    }

    pub(super) fn place(&self) -> RunPlace<'_> {
        RunPlace {
            directory: self.run.path(),
            id: &self.run.info().id,
            uuid: self.run.info().uuid,
        }
    }

    async fn spawn(
        &self,
        host: &Host,
        arguments: Vec<String>,
        inherited: Vec<crate::qemu::process::InheritedFd>,
    ) -> Result<Running, PrepareError> {
        let request = SpawnRequest {
            program: host.parts.qemu.binary.clone(),
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
            .record_qemu(running.identity())
            .map_err(|e| PrepareError::new(Cause::HostTooSmall, e))?;
        Ok(running)
    }

    fn write_argv(&self, number: u64, binary: &Path, arguments: &[String]) -> std::io::Result<()> {
        let path = self.run.path().join("argv.txt");
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        let mut words = vec![binary.display().to_string()];
        words.extend_from_slice(arguments);
        writeln!(file, "# machine {number}\n{}\n", argv::shell_quoted(&words))
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

/// A BIOS that is given an empty boot sector says nothing, so it is not even asked. QEMU alone can look into a qcow2 file,
/// and UEFI names what it misses by itself.
fn check_boot_code(spec: &MachineSpec) -> Result<(), PrepareError> {
    if spec.boot != BootSpec::TargetDisk || spec.firmware != FirmwareSpec::Bios {
        return Ok(());
    }
    let raw = |disk: &&DiskSpec| disk.target && disk.format == DiskFormat::Raw;
    for disk in spec.disks.iter().filter(raw) {
        let found = disk::has_boot_code(&disk.path).map_err(|e| PrepareError::new(Cause::HostIoError, e))?;
        if !found {
            let detail = format!("the boot code of disk `{}` is empty (440 bytes of zero)", disk.name);
            return Err(PrepareError::new(Cause::NoBootLoader, detail));
        }
    }
    Ok(())
}

fn log_name(stem: &str, number: u64) -> String {
    if number == 1 {
        format!("{stem}.log")
    } else {
        format!("{stem}-{number}.log")
    }
}

/// Waits until QMP is negotiated and the guest stands before its first instruction, or says how QEMU ended instead. The
/// greeting alone proves nothing: QEMU sends it before it has carried out its command line.
async fn greeted(qmp: &Qmp, notices: &mut mpsc::Receiver<QmpNotice>, running: &Running) -> Result<(), PrepareError> {
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
        Ok(RunState::prelaunch) => Ok(()),
        Ok(other) => {
            let detail = format!("the guest was to wait for its first instruction, but it is in state {other:?}");
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
