//! Machines that gates lead to.

use std::fs::File;
use std::path::Path;

use bootgate::plan::{Arch, Attachment, DiskCache, DiskFormat, Network};
use bootgate::qemu::argv::{BootSpec, DiskSpec, FirmwareSpec, FlashSpec, MachineSpec};
use bootgate::qemu::feature::{Accel, Features};
use bootgate::units::{ByteSize, MIB};

/// Size of the flash files that the command lines name. QEMU wants whole 4 KiB blocks.
const FLASH_BYTES: u64 = 256 * 1024;

pub(crate) fn disk(dir: &Path, name: &str, format: DiskFormat, cache: DiskCache, target: bool) -> DiskSpec {
    DiskSpec {
        name: name.to_owned(),
        path: dir.join(format!("{name}.{}", format.as_str())),
        format,
        cache,
        target,
        layers: Vec::new(),
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
pub(crate) fn usual(dir: &Path, features: &Features) -> MachineSpec {
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
        firmware_fd: Some(2),
        smbios_strings: Vec::new(),
        incoming: None,
        extra_args: Vec::new(),
    }
}

/// The command lines that gates lead to, by name.
#[allow(clippy::too_many_lines, reason = "a table of cases")]
pub(crate) fn cases(dir: &Path, features: &Features) -> Vec<(&'static str, MachineSpec)> {
    let usual = || usual(dir, features);
    let image = |attach| BootSpec::DiskImage {
        overlay: dir.join("image.qcow2"),
        layers: Vec::new(),
        base: dir.join("base.raw"),
        base_format: DiskFormat::Raw,
        attach,
    };
    vec![
        ("uefi_cd", usual()),
        (
            "bios_ide",
            MachineSpec {
                firmware: FirmwareSpec::Bios,
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
                firmware: FirmwareSpec::Bios,
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
                firmware: FirmwareSpec::Bios,
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
        (
            "credentials",
            MachineSpec {
                smbios_strings: ["key, the", "units"].map(|name| dir.join(name)).to_vec(),
                ..usual()
            },
        ),
    ]
}

/// The files that the command lines name.
pub(crate) fn create_files(dir: &Path) {
    let empty = |name: &str, bytes| File::create(dir.join(name)).unwrap().set_len(bytes).unwrap();
    empty("live, \"debug\".iso", MIB);
    for name in ["key, the", "units"] {
        std::fs::write(dir.join(name), format!("io.systemd.credential.binary:{name}=QUJD")).unwrap();
    }
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
    super::qemu_img(&["create", "-q", "-f", "qcow2"], &dir.join("target.qcow2"), &["1M"]);
    let base = dir.join("base.raw");
    let backing = ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", base.to_str().unwrap()];
    super::qemu_img(&backing, &dir.join("image.qcow2"), &[]);
}
