//! Bringing up the machine of a stage: preflight, disks, firmware, accelerator, spawn, QMP negotiated.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, mpsc};

use crate::evidence::{RunDir, TranscriptLog};
use crate::machine::{BootFrom, Cause};
use crate::plan::{Firmware, ImageSource, Plan};
use crate::qemu::accelerator;
use crate::qemu::argv;
use crate::qemu::binary::Qemu;
use crate::qemu::disk::{self, DiskError};
use crate::qemu::feature::Accel;
use crate::qemu::firmware::{self, UefiFiles};
use crate::qemu::process::{InheritedSocket, Running, SpawnRequest, Spawner};
use crate::qmp::{Direction, Qmp, QmpNotice, Transcript};
use crate::serial::raw_log::{LogLayout, RawLog, SERIAL_LOG_HEAD_BYTES, SERIAL_LOG_TAIL_BYTES};
use crate::serial::tap;
use crate::text::terminal_line;
use crate::units::{ByteSize, MIB};

use super::spec::{HostParts, RunPlace, Sockets, images, machine_spec};
use super::vm::{SshSide, Tasks, Vm};
use super::watch;

/// Free space in bytes below which no run is begun: evidence and a first write must fit.
pub const FREE_BYTES_MIN: u64 = 64 * MIB;
/// How long QEMU may take to answer on QMP.
const GREETING_WITHIN: Duration = Duration::from_secs(30);
/// How long a short QMP command may take while the guest is not running yet.
const COMMAND_WITHIN: Duration = Duration::from_secs(10);
/// Guest-facing deadlines under TCG, in percent of what the gate file says: measured boots are four times slower.
const TCG_SCALE_PERCENT: u32 = 400;
/// How much of QEMU's complaint is quoted, in characters.
const COMPLAINT_CHARS_MAX: usize = 400;

/// What the run found on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// The QEMU binary.
    pub qemu: PathBuf,
    /// Its version.
    pub qemu_version: String,
    /// `kvm` or `tcg`.
    pub accelerator: String,
    /// Why that one.
    pub accelerator_why: String,
    /// The CPU model.
    pub cpu_model: String,
    /// The firmware and where it was found.
    pub firmware: String,
    /// The factor on guest-facing deadlines, in percent.
    pub scale_percent: u32,
}

/// Why a machine could not be brought up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PrepareError {
    pub(super) cause: Cause,
    pub(super) detail: String,
}

impl PrepareError {
    fn new(cause: Cause, detail: impl std::fmt::Display) -> Self {
        Self {
            cause,
            detail: detail.to_string(),
        }
    }
}

/// What is found once and used for every machine of the run.
pub(super) struct Host {
    parts: HostParts,
    facts: HostFacts,
}

/// What every machine of the run is brought up from.
pub(super) struct Workshop {
    pub(super) plan: Arc<Plan>,
    pub(super) run: Arc<RunDir>,
    pub(super) transcript: Arc<Mutex<TranscriptLog>>,
    pub(super) started: Instant,
    pub(super) host: OnceCell<Host>,
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
        let internal = |error: &dyn std::fmt::Display| PrepareError::new(Cause::Internal, error);
        let qmp_socket = InheritedSocket::pair().map_err(|e| internal(&e))?;
        let serial_socket = InheritedSocket::pair().map_err(|e| internal(&e))?;
        let sockets = Sockets {
            qmp: qmp_socket.child.number(),
            serial: serial_socket.child.number(),
            firmware: None,
        };
        let spec = machine_spec(&self.plan, (stage, boot), &host.parts, &self.place(), sockets);
        let arguments = argv::build(&spec).map_err(|e| PrepareError::new(Cause::QemuWillNotStart, e))?;
        self.write_argv(number, &host.parts.qemu.binary, &arguments)
            .map_err(|e| internal(&e))?;
        let inherited = vec![qmp_socket.child, serial_socket.child];
        let running = Arc::new(self.spawn(host, arguments, inherited).await?);
        let (qmp, mut notices) = crate::qmp::attach(qmp_socket.ours, self.transcript());
        let serial_file = if number == 1 {
            "serial.log".to_owned()
        } else {
            format!("serial-{number}.log")
        };
        let layout = LogLayout::new(
            self.run.path().join(&serial_file),
            SERIAL_LOG_HEAD_BYTES,
            SERIAL_LOG_TAIL_BYTES,
        );
        let log = RawLog::create(layout).map_err(|e| PrepareError::new(Cause::HostTooSmall, e))?;
        let watch = watch::of_stage(&self.plan, stage).map_err(|e| internal(&e))?;
        let (console, sightings) = tap::attach(serial_socket.ours, watch, log);
        greeted(&mut notices, &running).await?;
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
            ssh_address,
            images: images(&spec),
            ssh: SshSide::default(),
            tasks: Tasks::default(),
        };
        Ok((Box::new(vm), host.facts.clone()))
    }

    async fn find_host(&self) -> Result<Host, PrepareError> {
        let machine = &self.plan.machine;
        self.check_space()?;
        let qemu = Qemu::find(&machine.qemu, machine.qemu_data.clone())
            .await
            .map_err(|e| PrepareError::new(Cause::Preflight, format!("{e}; {}", e.mend())))?;
        let chosen = accelerator::choose(&qemu, machine.accelerator, machine.cpu_model.as_deref())
            .await
            .map_err(|e| PrepareError::new(Cause::AcceleratorMissing, format!("{e}; {}", e.mend())))?;
        let uefi = match machine.firmware {
            Firmware::Bios => None,
            Firmware::Uefi => Some(self.uefi(&qemu)?),
        };
        self.check_digest().await?;
        self.create_disks(&qemu).await?;
        let scale_percent = scale_percent(self.plan.timeout_scale, chosen.accel);
        let facts = HostFacts {
            qemu: qemu.binary.clone(),
            qemu_version: qemu.features.version_line.clone(),
            accelerator: chosen.accel.as_str().to_owned(),
            accelerator_why: chosen.why.clone(),
            cpu_model: chosen.cpu_model.clone(),
            firmware: match &uefi {
                Some(files) => format!("UEFI {} ({})", files.code.path.display(), files.source),
                None => "SeaBIOS".to_owned(),
            },
            scale_percent,
        };
        let parts = HostParts {
            qemu,
            accel: chosen.accel,
            cpu_model: chosen.cpu_model,
            uefi,
        };
        Ok(Host { parts, facts })
    }

    fn check_space(&self) -> Result<(), PrepareError> {
        let free = disk::free_bytes(self.run.path()).map_err(|e| PrepareError::new(Cause::Preflight, e))?;
        if free >= FREE_BYTES_MIN {
            return Ok(());
        }
        let detail = format!(
            "{} free in {}, at least {} are needed",
            ByteSize(free),
            self.run.path().display(),
            ByteSize(FREE_BYTES_MIN)
        );
        Err(PrepareError::new(Cause::HostTooSmall, detail))
    }

    fn uefi(&self, qemu: &Qemu) -> Result<UefiFiles, PrepareError> {
        let error = |detail: String| PrepareError::new(Cause::FirmwareMissing, detail);
        let files = firmware::find(qemu, self.plan.machine.arch).map_err(|e| error(format!("{e}; {}", e.mend())))?;
        files
            .copy_vars(&self.place().uefi_vars())
            .map_err(|e| error(format!("its variables can't be copied: {e}")))?;
        Ok(files)
    }

    /// A pinned image is read before anything starts.
    async fn check_digest(&self) -> Result<(), PrepareError> {
        let (Some(pinned), Some(path)) = (self.plan.image.sha256.clone(), image_path(&self.plan)) else {
            return Ok(());
        };
        let path = path.to_owned();
        let digest = tokio::task::spawn_blocking(move || disk::digest(&path, |_| std::ops::ControlFlow::Continue(())))
            .await
            .map_err(|e| PrepareError::new(Cause::Internal, e))?
            .map_err(|e| PrepareError::new(Cause::Preflight, e))?
            .to_string();
        if digest == pinned {
            return Ok(());
        }
        let detail = format!("it has {digest}, the gate file pins {pinned}");
        Err(PrepareError::new(Cause::ImageDigestMismatch, detail))
    }

    async fn create_disks(&self, qemu: &Qemu) -> Result<(), PrepareError> {
        // Makes the directory as well.
        self.run
            .file("disks/image.qcow2")
            .map_err(|e| PrepareError::new(Cause::Preflight, e))?;
        let failed = |e: DiskError| PrepareError::new(Cause::Preflight, format!("{e}; {}", e.mend()));
        let place = self.place();
        if let ImageSource::Disk { path, format } = &self.plan.image.source {
            disk::create_overlay(&qemu.binary, &place.overlay(), path, *format)
                .await
                .map_err(failed)?;
        }
        for plan in &self.plan.disks {
            disk::create(&qemu.binary, &place.disk(plan), plan.format, plan.size_bytes)
                .await
                .map_err(failed)?;
        }
        Ok(())
    }

    fn place(&self) -> RunPlace<'_> {
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

    fn transcript(&self) -> RunTranscript {
        RunTranscript {
            log: self.transcript.clone(),
            started: self.started,
        }
    }
}

/// The one file that is the image, if it is one file.
pub(super) fn image_path(plan: &Plan) -> Option<&Path> {
    match &plan.image.source {
        ImageSource::Iso(path) | ImageSource::Disk { path, .. } => Some(path),
        ImageSource::Kernel { .. } => None,
    }
}

fn scale_percent(wanted: Option<f64>, accel: Accel) -> u32 {
    match (wanted, accel) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a checked gate file has a factor between 0.01 and 1000"
        )]
        (Some(factor), _) => (factor * 100.0).round() as u32,
        (None, Accel::Kvm) => 100,
        (None, Accel::Tcg) => TCG_SCALE_PERCENT,
    }
}

/// Waits until QMP is negotiated, or says how QEMU ended instead.
async fn greeted(notices: &mut mpsc::Receiver<QmpNotice>, running: &Running) -> Result<(), PrepareError> {
    let ready = async {
        while let Some(notice) = notices.recv().await {
            match notice {
                QmpNotice::Ready { .. } => return true,
                QmpNotice::Lost(_) => return false,
                QmpNotice::Event(_) | QmpNotice::Note(_) => {}
            }
        }
        false
    };
    match tokio::time::timeout(GREETING_WITHIN, ready).await {
        Ok(true) => Ok(()),
        Ok(false) => {
            let report = running.wait().await;
            let complaint = terminal_line(report.stderr_tail.as_bytes(), COMPLAINT_CHARS_MAX);
            let detail = format!("{}; it said: {complaint}", report.status);
            Err(PrepareError::new(Cause::QemuWillNotStart, detail))
        }
        Err(_) => Err(PrepareError::new(Cause::QemuUnresponsive, "no QMP greeting came")),
    }
}

/// The loopback port that the kernel chose for the forward.
async fn forwarded_port(qmp: &Qmp) -> Result<SocketAddr, PrepareError> {
    let command = qapi_qmp::human_monitor_command {
        command_line: "info usernet".to_owned(),
        cpu_index: None,
    };
    let error = |detail: String| PrepareError::new(Cause::QemuWillNotStart, detail);
    let table = qmp
        .execute(command, COMMAND_WITHIN)
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
