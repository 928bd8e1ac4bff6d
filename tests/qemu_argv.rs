//! Whole command lines: what they are, and that a real QEMU takes each of them.

mod qemu_support;

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bootgate::plan::{Arch, Attachment, DiskCache, DiskFormat, Network};
use bootgate::qemu::argv::{
    BootSpec, DiskSpec, FirmwareSpec, FlashSpec, IMAGE_NODE, MachineSpec, build, disk_node, shell_quoted,
};
use bootgate::qemu::binary::Qemu;
use bootgate::qemu::feature::{Accel, Features};
use bootgate::units::{ByteSize, MIB};
use serde_json::Value;

/// Size of the flash files that the command lines name. QEMU wants whole 4 KiB blocks.
const FLASH_BYTES: u64 = 256 * 1024;

fn disk(dir: &Path, name: &str, format: DiskFormat, cache: DiskCache, target: bool) -> DiskSpec {
    DiskSpec {
        name: name.to_owned(),
        path: dir.join(format!("{name}.{}", format.as_str())),
        format,
        cache,
        target,
    }
}

fn uefi(dir: &Path) -> FirmwareSpec {
    FirmwareSpec::Uefi {
        flash0: FlashSpec {
            path: dir.join("CODE.fd"),
            format: DiskFormat::Raw,
            read_only: true,
        },
        flash1: Some(FlashSpec {
            path: dir.join("vars.fd"),
            format: DiskFormat::Raw,
            read_only: false,
        }),
        smm: false,
    }
}

fn iso(dir: &Path, attach: Attachment) -> BootSpec {
    // A comma and a quote in a path are the reason for JSON in `-blockdev`.
    let path = dir.join("live, \"debug\".iso");
    BootSpec::Iso { path, attach }
}

/// UEFI, the image as a CD-ROM, one raw disk: what most gates use.
fn usual(dir: &Path, features: &Features) -> MachineSpec {
    MachineSpec {
        arch: Arch::X86_64,
        features: features.clone(),
        run_id: "20300102T030405Z-k7".to_owned(),
        uuid: uuid::Uuid::from_u128(0x1234_5678_1234_4234_8234_1234_5678_9abc),
        data_dirs: Vec::new(),
        accel: Accel::Tcg,
        cpu_model: "max".to_owned(),
        cpus: 2,
        memory: ByteSize(128 * MIB),
        firmware: uefi(dir),
        boot: iso(dir, Attachment::Cd),
        disks: vec![disk(dir, "target", DiskFormat::Raw, DiskCache::Unsafe, true)],
        network: Network::Isolated,
        ssh_forward: true,
        qmp_fd: 0,
        serial_fd: 1,
        extra_args: Vec::new(),
    }
}

/// The command lines that gates lead to, by name.
fn cases(dir: &Path, features: &Features) -> Vec<(&'static str, MachineSpec)> {
    let usual = || usual(dir, features);
    let bios = |serial_console| FirmwareSpec::Bios { serial_console };
    let image = |attach| BootSpec::DiskImage {
        overlay: dir.join("image.qcow2"),
        base: dir.join("base.raw"),
        base_format: DiskFormat::Raw,
        attach,
    };
    vec![
        ("uefi_cd", usual()),
        (
            "bios_ide",
            MachineSpec {
                firmware: bios(true),
                boot: iso(dir, Attachment::Ide),
                ..usual()
            },
        ),
        (
            "usb",
            MachineSpec {
                boot: iso(dir, Attachment::Usb),
                ..usual()
            },
        ),
        (
            "virtio",
            MachineSpec {
                boot: iso(dir, Attachment::Virtio),
                ssh_forward: false,
                ..usual()
            },
        ),
        (
            "disk_image_virtio",
            MachineSpec {
                firmware: bios(false),
                boot: image(Attachment::Virtio),
                ..usual()
            },
        ),
        (
            "disk_image_usb",
            MachineSpec {
                boot: image(Attachment::Usb),
                ..usual()
            },
        ),
        (
            "disk_image_scsi",
            MachineSpec {
                boot: image(Attachment::Cd),
                ..usual()
            },
        ),
        (
            "disk_image_ide",
            MachineSpec {
                boot: image(Attachment::Ide),
                ..usual()
            },
        ),
        (
            "kernel",
            MachineSpec {
                firmware: bios(true),
                boot: BootSpec::Kernel {
                    kernel: dir.join("vmlinuz"),
                    initrd: Some(dir.join("initrd")),
                    append: "console=ttyS0 quiet, please".to_owned(),
                },
                disks: Vec::new(),
                ..usual()
            },
        ),
        (
            "installed_two_disks",
            MachineSpec {
                boot: BootSpec::TargetDisk,
                disks: vec![
                    disk(dir, "target", DiskFormat::Qcow2, DiskCache::Writeback, true),
                    disk(dir, "scratch", DiskFormat::Raw, DiskCache::None, false),
                ],
                ..usual()
            },
        ),
        (
            "open_network_extra",
            MachineSpec {
                network: Network::Open,
                extra_args: ["-smbios", "type=1,serial=fault-panic"].map(str::to_owned).to_vec(),
                ..usual()
            },
        ),
    ]
}

#[test]
fn command_lines_are_stable() {
    let dir = Path::new("/gate");
    let old = qemu_support::recorded_features("7.2.22");
    let recent = qemu_support::recorded_features("10.0.2");
    let lines = |features| shell_quoted(&build(&usual(dir, features)).unwrap());
    assert_eq!(
        lines(&old),
        lines(&recent),
        "7.2 and 10.0 can do the same, as far as bootgate asks"
    );
    for (name, spec) in cases(dir, &old) {
        insta::assert_snapshot!(name, shell_quoted(&build(&spec).unwrap()));
    }
    let mut newer = old;
    newer.exit_with_parent = true;
    newer.sandbox = false;
    newer.devices.remove("pvpanic-pci");
    insta::assert_snapshot!("other_features", shell_quoted(&build(&usual(dir, &newer)).unwrap()));
    let mut secure = usual(dir, &newer);
    if let FirmwareSpec::Uefi { flash0, flash1, smm } = &mut secure.firmware {
        flash0.read_only = false;
        *flash1 = None;
        *smm = true;
    }
    insta::assert_snapshot!("combined_flash_smm", shell_quoted(&build(&secure).unwrap()));
}

#[test]
fn what_can_not_be_asked_for_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let features = qemu_support::recorded_features("7.2.22");
    let mut spec = usual(Path::new("/gate"), &features);
    spec.boot = BootSpec::TargetDisk;
    spec.disks[0].target = false;
    let no_target = build(&spec).unwrap_err();
    assert!(no_target.to_string().contains("`target = true`"), "{no_target}");
    let odd = PathBuf::from(std::ffi::OsStr::from_bytes(b"/gate/\xff.iso"));
    spec.boot = BootSpec::Iso {
        path: odd,
        attach: Attachment::Cd,
    };
    assert!(build(&spec).unwrap_err().to_string().contains("not UTF-8"));
}

/// The files that the command lines name.
fn create_files(dir: &Path) {
    let empty = |name: &str, bytes| File::create(dir.join(name)).unwrap().set_len(bytes).unwrap();
    empty("live, \"debug\".iso", MIB);
    empty("target.raw", MIB);
    empty("scratch.raw", MIB);
    empty("base.raw", MIB);
    empty("CODE.fd", FLASH_BYTES);
    empty("vars.fd", FLASH_BYTES);
    empty("initrd", 4096);
    // As much of a kernel as QEMU looks at: two marks, a protocol version, and where an initial RAM disk may end.
    let mut kernel = vec![0; 64 * 1024];
    kernel[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    kernel[0x202..0x206].copy_from_slice(b"HdrS");
    kernel[0x206..0x208].copy_from_slice(&0x20c_u16.to_le_bytes());
    kernel[0x22c..0x230].copy_from_slice(&0x37ff_ffff_u32.to_le_bytes());
    std::fs::write(dir.join("vmlinuz"), kernel).unwrap();
    qemu_support::qemu_img(&["create", "-q", "-f", "qcow2"], &dir.join("target.qcow2"), &["1M"]);
    let base = dir.join("base.raw");
    let backing = ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", base.to_str().unwrap()];
    qemu_support::qemu_img(&backing, &dir.join("image.qcow2"), &[]);
}

/// QEMU with its QMP socket as file descriptor 0 and its serial socket as 1.
struct Started {
    child: qemu_support::Owned,
    qmp: BufReader<UnixStream>,
    _serial: UnixStream,
}

impl Started {
    fn new(binary: &Path, arguments: &[String]) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (serial, serial_theirs) = UnixStream::pair().unwrap();
        // A QEMU that says nothing ends the test, not the time limit of the whole suite.
        ours.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let child = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(OwnedFd::from(serial_theirs)))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            child: qemu_support::Owned(child),
            qmp: BufReader::new(ours),
            _serial: serial,
        }
    }

    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.qmp.read_line(&mut line) {
            Ok(0) => None,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
            Err(error) => panic!("QMP is silent: {error}"),
        }
    }

    fn execute(&mut self, command: &str) -> Value {
        writeln!(self.qmp.get_mut(), "{{\"execute\": \"{command}\"}}").unwrap();
        loop {
            let Some(line) = self.line() else {
                panic!("QMP ended before the answer to {command}: {}", self.stderr_at_end());
            };
            if let Some(answer) = line.get("return") {
                return answer.clone();
            }
            assert!(line.get("error").is_none(), "{command}: {line}");
        }
    }

    /// Ends QEMU in good order. The connection may end with a reset, even before the answer is read.
    fn quit(mut self) -> String {
        writeln!(self.qmp.get_mut(), "{{\"execute\": \"quit\"}}").unwrap();
        while self.line().is_some() {}
        self.stderr_at_end()
    }

    fn stderr_at_end(&mut self) -> String {
        let mut stderr = self.child.0.stderr.take().unwrap();
        self.child.end();
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    }
}

fn expected_nodes(spec: &MachineSpec) -> Vec<String> {
    let mut nodes: Vec<_> = spec.disks.iter().map(|disk| disk_node(&disk.name)).collect();
    match spec.boot {
        BootSpec::Iso { .. } => nodes.push(IMAGE_NODE.to_owned()),
        BootSpec::DiskImage { .. } => nodes.extend([IMAGE_NODE, "image-base"].map(str::to_owned)),
        BootSpec::Kernel { .. } | BootSpec::TargetDisk => {}
    }
    if matches!(spec.firmware, FirmwareSpec::Uefi { .. }) {
        nodes.extend(["flash0", "flash1"].map(str::to_owned));
    }
    nodes
        .iter()
        .flat_map(|node| [node.clone(), format!("{node}-file")])
        .collect()
}

fn starts(qemu: &Qemu, name: &str, spec: &MachineSpec) {
    let context = format!("{name} on {}", qemu.features.version);
    let mut started = Started::new(&qemu.binary, &build(spec).unwrap());
    let Some(greeting) = started.line() else {
        panic!("{context}: {}", started.stderr_at_end());
    };
    assert!(greeting.get("QMP").is_some(), "{context}: {greeting}");
    started.execute("qmp_capabilities");
    assert_eq!(started.execute("query-status")["status"], "prelaunch", "{context}");
    assert_eq!(
        started.execute("query-uuid")["UUID"],
        spec.uuid.to_string(),
        "{context}"
    );
    let nodes = started.execute("query-named-block-nodes");
    let mut found: Vec<_> = nodes
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n["node-name"].as_str().unwrap().to_owned())
        .collect();
    let mut expected = expected_nodes(spec);
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "{context}");
    let stderr = started.quit();
    assert_eq!(stderr, "", "{context}");
}

#[tokio::test]
async fn a_real_qemu_takes_each_command_line() {
    for qemu in qemu_support::qemus().await {
        let dir = tempfile::tempdir().unwrap();
        create_files(dir.path());
        for (name, mut spec) in cases(dir.path(), &qemu.features) {
            spec.data_dirs.clone_from(&qemu.data_dirs);
            starts(&qemu, name, &spec);
        }
    }
}
