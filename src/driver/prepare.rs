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
use crate::qemu::accelerator::{self, Chosen};
use crate::qemu::argv::{self, BootSpec, DiskSpec, FirmwareSpec, MachineSpec};
use crate::qemu::binary::Qemu;
use crate::qemu::disk;
use crate::qemu::feature::Accel;
use crate::qemu::firmware::{self, UefiFiles};
use crate::qemu::process::{InheritedSocket, Running, SpawnRequest, Spawner};
use crate::qmp::{Direction, Qmp, QmpNotice, Transcript};
use crate::serial::raw_log::{LogLayout, RawLog, SERIAL_LOG_HEAD_BYTES, SERIAL_LOG_TAIL_BYTES};
use crate::serial::tap;
use crate::text::terminal_line;
use crate::units::{ByteSize, MIB};

use super::vm::{SshSide, Tasks, Vm};
use super::watch;

/// Free space below which no run is begun: evidence and a first write must fit.
const FREE_BYTES_MIN: u64 = 64 * MIB;
/// How long QEMU may take to answer on QMP.
const GREETING_WITHIN: Duration = Duration::from_secs(30);
/// How long QEMU may take to exit after its end of QMP is gone.
const EXIT_AFTER_LOSS_WITHIN: Duration = Duration::from_secs(2);
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
    qemu: Qemu,
    chosen: Chosen,
    uefi: Option<(UefiFiles, PathBuf)>,
    disks: Vec<DiskSpec>,
    overlay: Option<PathBuf>,
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
        let fds = (qmp_socket.child.number(), serial_socket.child.number());
        // SeaBIOS tells its dead ends on a debug port; OVMF writes to the serial console itself.
        let firmware_socket = match host.uefi {
            None => Some(InheritedSocket::pair().map_err(|e| internal(&e))?),
            Some(_) => None,
        };
        let mut spec = self.spec(host, stage, boot, fds);
        spec.firmware_fd = firmware_socket.as_ref().map(|socket| socket.child.number());
        let arguments = argv::build(&spec).map_err(|e| PrepareError::new(Cause::QemuWillNotStart, e))?;
        self.write_argv(number, &host.qemu.binary, &arguments)
            .map_err(|e| internal(&e))?;
        let mut inherited = vec![qmp_socket.child, serial_socket.child];
        let firmware_stream = firmware_socket.map(|socket| {
            inherited.push(socket.child);
            socket.ours
        });
        let running = Arc::new(self.spawn(host, arguments, inherited).await?);
        let (qmp, mut notices) = crate::qmp::attach(qmp_socket.ours, self.transcript());
        let serial_file = if number == 1 {
            "serial.log".to_owned()
        } else {
            format!("serial-{number}.log")
        };
        let internal_watch = |e| PrepareError::new(Cause::Internal, e);
        let watch = watch::of_stage(&self.plan, stage).map_err(internal_watch)?;
        let (console, sightings) = tap::attach(serial_socket.ours, watch, self.raw_log(&serial_file)?);
        let firmware = match firmware_stream {
            Some(stream) => {
                let watch = watch::of_firmware().map_err(internal_watch)?;
                let file = log_name("firmware", number);
                let (_, sightings) = tap::attach(stream, watch, self.raw_log(&file)?);
                Some((file, sightings))
            }
            None => None,
        };
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
            firmware,
            ssh_address,
            images: images_of(&spec),
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
        let overlay = self.overlay(&qemu).await?;
        let disks = self.disks(&qemu).await?;
        let scale_percent = scale_percent(self.plan.timeout_scale, chosen.accel);
        let facts = HostFacts {
            qemu: qemu.binary.clone(),
            qemu_version: qemu.features.version_line.clone(),
            accelerator: chosen.accel.as_str().to_owned(),
            accelerator_why: chosen.why.clone(),
            cpu_model: chosen.cpu_model.clone(),
            firmware: match &uefi {
                Some((files, _)) => format!("UEFI {} ({})", files.code.path.display(), files.source),
                None => "SeaBIOS".to_owned(),
            },
            scale_percent,
        };
        Ok(Host {
            qemu,
            chosen,
            uefi,
            disks,
            overlay,
            facts,
        })
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

    fn uefi(&self, qemu: &Qemu) -> Result<(UefiFiles, PathBuf), PrepareError> {
        let error = |detail: String| PrepareError::new(Cause::FirmwareMissing, detail);
        let files = firmware::find(qemu, self.plan.machine.arch).map_err(|e| error(format!("{e}; {}", e.mend())))?;
        let vars = self.run.path().join("uefi-vars.fd");
        files
            .copy_vars(&vars)
            .map_err(|e| error(format!("its variables can't be copied: {e}")))?;
        Ok((files, vars))
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

    async fn overlay(&self, qemu: &Qemu) -> Result<Option<PathBuf>, PrepareError> {
        let ImageSource::Disk { path, format } = &self.plan.image.source else {
            return Ok(None);
        };
        let overlay = self.disk_path("image.qcow2")?;
        disk::create_overlay(&qemu.binary, &overlay, path, *format)
            .await
            .map_err(|e| PrepareError::new(Cause::Preflight, format!("{e}; {}", e.mend())))?;
        Ok(Some(overlay))
    }

    async fn disks(&self, qemu: &Qemu) -> Result<Vec<DiskSpec>, PrepareError> {
        let mut disks = Vec::new();
        for plan in &self.plan.disks {
            let path = self.disk_path(&format!("{}.{}", plan.name, plan.format.as_str()))?;
            disk::create(&qemu.binary, &path, plan.format, plan.size_bytes)
                .await
                .map_err(|e| PrepareError::new(Cause::Preflight, format!("{e}; {}", e.mend())))?;
            disks.push(DiskSpec {
                name: plan.name.clone(),
                path,
                format: plan.format,
                cache: plan.cache,
                target: plan.target,
            });
        }
        Ok(disks)
    }

    fn disk_path(&self, name: &str) -> Result<PathBuf, PrepareError> {
        let path = self.run.file(&format!("disks/{name}"));
        path.map_err(|e| PrepareError::new(Cause::Preflight, e))
    }

    fn spec(&self, host: &Host, stage: usize, boot: BootFrom, fds: (i32, i32)) -> MachineSpec {
        let plan = &self.plan;
        MachineSpec {
            arch: plan.machine.arch,
            features: host.qemu.features.clone(),
            run_id: self.run.info().id.clone(),
            uuid: self.run.info().uuid,
            data_dirs: host.qemu.data_dirs.clone(),
            accel: host.chosen.accel,
            cpu_model: host.chosen.cpu_model.clone(),
            cpus: plan.cpus(stage),
            memory: plan.memory(stage),
            firmware: match &host.uefi {
                Some((files, vars)) => files.with_vars(vars),
                None => FirmwareSpec::Bios,
            },
            boot: boot_spec(plan, boot, host.overlay.as_deref()),
            disks: host.disks.clone(),
            network: plan.machine.network,
            ssh_forward: plan.ssh.is_some(),
            qmp_fd: fds.0,
            serial_fd: fds.1,
            firmware_fd: None,
            extra_args: plan.machine.extra_args.clone(),
        }
    }

    async fn spawn(
        &self,
        host: &Host,
        arguments: Vec<String>,
        inherited: Vec<crate::qemu::process::InheritedFd>,
    ) -> Result<Running, PrepareError> {
        let request = SpawnRequest {
            program: host.qemu.binary.clone(),
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
        RawLog::create(layout).map_err(|e| PrepareError::new(Cause::HostTooSmall, e))
    }

    fn transcript(&self) -> RunTranscript {
        RunTranscript {
            log: self.transcript.clone(),
            started: self.started,
        }
    }
}

/// The command line's form of what a stage boots.
pub(super) fn boot_spec(plan: &Plan, boot: BootFrom, overlay: Option<&Path>) -> BootSpec {
    if boot == BootFrom::TargetDisk {
        return BootSpec::TargetDisk;
    }
    let attach = plan.image.attach;
    match &plan.image.source {
        ImageSource::Iso(path) => BootSpec::Iso {
            path: path.clone(),
            attach,
        },
        ImageSource::Disk { path, format } => BootSpec::DiskImage {
            overlay: overlay.unwrap_or(Path::new("image.qcow2")).to_owned(),
            base: path.clone(),
            base_format: *format,
            attach,
        },
        ImageSource::Kernel { kernel, initrd, append } => BootSpec::Kernel {
            kernel: kernel.clone(),
            initrd: initrd.clone(),
            append: append.clone(),
        },
    }
}

/// The one file that is the image, if it is one file.
pub(super) fn image_path(plan: &Plan) -> Option<&Path> {
    match &plan.image.source {
        ImageSource::Iso(path) | ImageSource::Disk { path, .. } => Some(path),
        ImageSource::Kernel { .. } => None,
    }
}

fn log_name(stem: &str, number: u64) -> String {
    if number == 1 {
        format!("{stem}.log")
    } else {
        format!("{stem}-{number}.log")
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

fn images_of(spec: &MachineSpec) -> Vec<PathBuf> {
    let mut images: Vec<_> = spec.disks.iter().map(|disk| disk.path.clone()).collect();
    match &spec.boot {
        BootSpec::Iso { path, .. } => images.push(path.clone()),
        BootSpec::DiskImage { overlay, base, .. } => images.extend([overlay.clone(), base.clone()]),
        BootSpec::Kernel { .. } | BootSpec::TargetDisk => {}
    }
    images
}

/// Waits until QMP is negotiated, or says how QEMU ended instead.
async fn greeted(notices: &mut mpsc::Receiver<QmpNotice>, running: &Running) -> Result<(), PrepareError> {
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
        Ok(Ok(())) => Ok(()),
        Ok(Err(loss)) => {
            // Mostly QEMU has ended, and how it ended says more than the end of the connection.
            let Ok(report) = tokio::time::timeout(EXIT_AFTER_LOSS_WITHIN, running.wait()).await else {
                return Err(PrepareError::new(Cause::QmpLost, loss));
            };
            let complaint = terminal_line(report.stderr_tail.as_bytes(), COMPLAINT_CHARS_MAX);
            let detail = format!("{}; it said: {complaint}", report.status);
            Err(PrepareError::new(Cause::QemuWillNotStart, detail))
        }
        Err(_) => Err(PrepareError::new(Cause::QemuUnresponsive, "no QMP greeting came")),
    }
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
