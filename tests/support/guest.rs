//! A machine with the tiny guest, brought up by bootgate's own rooms without a gate around it.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bootgate::plan::{Arch, Attachment, DiskCache, DiskFormat, Network, Secret};
use bootgate::qemu::argv::{self, BootSpec, DiskSpec, FirmwareSpec, MachineSpec};
use bootgate::qemu::binary::Qemu;
use bootgate::qemu::feature::Accel;
use bootgate::qemu::process::{InheritedSocket, Rungs, Running, SpawnRequest, Spawner, end};
use bootgate::qemu::{disk, firmware};
use bootgate::qmp::{Qmp, QmpNotice, RunState, SharedTranscript};
use bootgate::ssh::{Auth, HostKeyPin, Login, PhaseDeadlines, ProbeOutcome, probe};
use bootgate::units::{ByteSize, MIB};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use crate::qemu10::qemu10;
use crate::tiny::tiny;

/// How long a command may take on a loaded machine.
pub(crate) const LONG: Duration = Duration::from_secs(30);
/// How long a guest may take to do what it does in seconds.
const GUEST_WITHIN: Duration = Duration::from_secs(240);
/// How much of a guest's memory its tests need, in MiB.
const MEMORY_MIB: u64 = 512;

/// The packaged QEMU.
pub(crate) async fn packaged() -> Qemu {
    let found = Qemu::find(Path::new("qemu-system-x86_64"), Vec::new()).await;
    found.unwrap_or_else(|error| panic!("{error}; this test needs it: {}", error.mend()))
}

/// QEMU 10, if the packaged one is older.
pub(crate) async fn unpacked() -> Option<Qemu> {
    let unpacked = qemu10()?;
    let data = unpacked.data.iter().map(PathBuf::from).collect();
    Some(Qemu::find(Path::new(&unpacked.binary), data).await.unwrap())
}

/// How the guest is started, and what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setup {
    /// Kernel and initial RAM disk, SeaBIOS, a raw disk whose flushes are ignored: what a gate mostly has.
    Kernel,
    /// The image by UEFI, with variables of its own, and a qcow2 disk.
    Uefi,
    /// A disk image under an overlay.
    DiskImage,
}

/// The machine of a setup, with its files in `run_dir`. Its sockets are filled in when it is started.
pub(crate) async fn machine(qemu: &Qemu, setup: Setup, run_dir: &Path) -> MachineSpec {
    let disks = run_dir.join("disks");
    std::fs::create_dir_all(&disks).unwrap();
    let (format, cache) = match setup {
        Setup::Kernel => (DiskFormat::Raw, DiskCache::Unsafe),
        Setup::Uefi => (DiskFormat::Qcow2, DiskCache::Writeback),
        Setup::DiskImage => (DiskFormat::Raw, DiskCache::Writeback),
    };
    let target = disks.join(format!("target.{}", format.as_str()));
    disk::create(&qemu.binary, &target, format, ByteSize(1024 * MIB))
        .await
        .unwrap();
    let boot = boot(qemu, setup, &disks).await;
    let firmware = if setup == Setup::Uefi {
        let files = firmware::find(qemu, Arch::X86_64).unwrap_or_else(|error| panic!("{error}; {}", error.mend()));
        let vars = run_dir.join("uefi-vars.fd");
        files.copy_vars(&vars).unwrap();
        files.with_vars(&vars)
    } else {
        FirmwareSpec::Bios
    };
    MachineSpec {
        arch: Arch::X86_64,
        features: qemu.features.clone(),
        run_id: "checkpoint-test".to_owned(),
        uuid: uuid::Uuid::new_v4(),
        data_dirs: qemu.data_dirs.clone(),
        accel: Accel::Tcg,
        cpu_model: "max".to_owned(),
        cpus: 2,
        memory: ByteSize(MEMORY_MIB * MIB),
        firmware,
        boot,
        disks: vec![DiskSpec {
            name: "target".to_owned(),
            path: target,
            format,
            cache,
            target: true,
            layers: Vec::new(),
        }],
        network: Network::Isolated,
        ssh_forward: true,
        qmp_fd: -1,
        serial_fd: -1,
        firmware_fd: None,
        smbios_strings: Vec::new(),
        incoming: None,
        extra_args: Vec::new(),
    }
}

/// What a setup boots. The overlay of a disk image is made.
async fn boot(qemu: &Qemu, setup: Setup, disks: &Path) -> BootSpec {
    let tiny = tiny();
    match setup {
        Setup::Kernel => BootSpec::Kernel {
            kernel: tiny.kernel.clone(),
            initrd: Some(tiny.initrd.clone()),
            append: tiny.append.clone(),
        },
        Setup::Uefi => BootSpec::Iso {
            path: tiny.iso.clone(),
            attach: Attachment::Cd,
        },
        Setup::DiskImage => {
            let overlay = disks.join("image.qcow2");
            let made = disk::create_overlay(&qemu.binary, &overlay, &tiny.iso, DiskFormat::Raw).await;
            made.unwrap();
            BootSpec::DiskImage {
                overlay,
                layers: Vec::new(),
                base: tiny.iso.clone(),
                base_format: DiskFormat::Raw,
                attach: Attachment::Virtio,
            }
        }
    }
}

/// A machine that was started. It is ended when this is dropped.
pub(crate) struct Guest {
    pub(crate) machine: MachineSpec,
    pub(crate) argv: Vec<String>,
    pub(crate) qmp: Qmp,
    pub(crate) running: Arc<Running>,
    pub(crate) transcript: SharedTranscript,
    console: watch::Receiver<String>,
    keyboard: tokio::io::WriteHalf<tokio::net::UnixStream>,
}

impl Guest {
    /// Starts a machine, which waits for `cont`, or for its memory.
    pub(crate) async fn start(
        qemu: &Qemu,
        run_dir: &Path,
        complete: impl FnOnce(&InheritedSocket, &InheritedSocket) -> MachineSpec,
    ) -> Self {
        let [qmp, serial] = [(); 2].map(|()| InheritedSocket::pair().unwrap());
        let machine = complete(&qmp, &serial);
        let argv = argv::build(&machine).unwrap();
        let request = SpawnRequest {
            program: qemu.binary.clone(),
            arguments: argv.iter().map(Into::into).collect(),
            inherited: vec![qmp.child, serial.child],
            stderr: run_dir.join("qemu.stderr"),
            directory: run_dir.to_owned(),
        };
        let running = Arc::new(Spawner::global().spawn(request).await.unwrap());
        let transcript = SharedTranscript::default();
        let (qmp, mut notices) = bootgate::qmp::attach(qmp.ours, transcript.clone());
        let (reader, keyboard) = tokio::io::split(serial.ours);
        let console = read_console(reader);
        loop {
            match notices.recv().await {
                Some(QmpNotice::Ready { .. }) => break,
                Some(QmpNotice::Lost(_)) | None => panic!("QEMU ended: {:?}", running.wait().await),
                _ => {}
            }
        }
        // A queue that nobody empties would fill.
        tokio::spawn(async move { while notices.recv().await.is_some() {} });
        Self {
            machine,
            argv,
            qmp,
            running,
            transcript,
            console,
            keyboard,
        }
    }

    /// Starts a new machine.
    pub(crate) async fn fresh(qemu: &Qemu, run_dir: &Path, machine: MachineSpec) -> Self {
        Self::start(qemu, run_dir, |qmp, serial| MachineSpec {
            qmp_fd: qmp.child.number(),
            serial_fd: serial.child.number(),
            ..machine
        })
        .await
    }

    pub(crate) async fn cont(&self) {
        self.qmp.cont(LONG).await.unwrap();
        assert_eq!(self.qmp.query_status(LONG).await.unwrap(), RunState::running);
    }

    pub(crate) async fn stop(&self) {
        self.qmp.stop(LONG).await.unwrap();
    }

    /// Waits until the console has said this since the machine was started.
    pub(crate) async fn says(&self, words: &str) {
        let mut console = self.console.clone();
        let said = tokio::time::timeout(GUEST_WITHIN, console.wait_for(|text| text.contains(words))).await;
        let said = said.map(|said| said.map(drop));
        assert!(
            matches!(said, Ok(Ok(()))),
            "no `{words}` in:\n{}",
            *self.console.borrow()
        );
    }

    /// Types a line on the console.
    pub(crate) async fn types(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Logs in on the console, where the prompt is.
    pub(crate) async fn logs_in_on_console(&mut self) {
        self.says("live login: ").await;
        self.types("root").await;
        self.says("Password: ").await;
        self.types("tiny-live").await;
        self.does("true").await;
    }

    /// Has a command done on the console, on which somebody is logged in, and waits for its success.
    pub(crate) async fn does(&mut self, command: &str) {
        // The echo of what is typed must not look like the answer.
        let word = uuid::Uuid::new_v4().simple().to_string();
        let (left, right) = word.split_at(16);
        self.types(&format!("{command} && echo {left}''{right}")).await;
        self.says(&word).await;
    }

    /// The registers of all CPUs, as QEMU shows them.
    pub(crate) async fn registers(&self) -> String {
        self.qmp.human("info registers -a", LONG).await.unwrap()
    }

    /// The login to the guest, by the port that the kernel chose.
    pub(crate) async fn login(&self) -> Login {
        let table = self.qmp.human("info usernet", LONG).await.unwrap();
        let line = table.lines().find(|line| line.contains("HOST_FORWARD")).unwrap();
        let port: u16 = line.split_whitespace().nth(3).unwrap().parse().unwrap();
        Login {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            user: "root".to_owned(),
            auth: Auth::Password(Secret::new("tiny-live".to_owned())),
            deadlines: PhaseDeadlines::default(),
        }
    }

    /// Waits until a login succeeds, and gives the boot's id.
    pub(crate) async fn logs_in(&self) -> String {
        let login = self.login().await;
        let begun = Instant::now();
        loop {
            // Each attempt waits for the guest by itself.
            match probe(&login, &HostKeyPin::UNSET, Some(self.machine.uuid)).await.outcome {
                ProbeOutcome::LoggedIn(facts) => return format!("{:?}", facts.boot_id),
                other => assert!(begun.elapsed() < GUEST_WITHIN, "{other:?}"),
            }
        }
    }

    /// Ends QEMU.
    pub(crate) async fn quit(self) {
        let qmp = self.qmp.clone();
        end(&self.running, async move { qmp.quit(LONG).await }, Rungs::default()).await;
    }
}

fn read_console(mut reader: tokio::io::ReadHalf<tokio::net::UnixStream>) -> watch::Receiver<String> {
    let (said, console) = watch::channel(String::new());
    tokio::spawn(async move {
        let mut chunk = vec![0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut chunk).await {
            said.send_modify(|text| text.push_str(&String::from_utf8_lossy(&chunk[..count])));
        }
    });
    console
}
