//! A run directory with a checkpoint, made by hand, and bundles of it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bootgate::bundle::{Bundle, Limits, Options, PackError, UnpackError, Unpacked, pack, unpack};
use bootgate::checkpoint::{
    BaseImage, BootRecord, Cancel, DiskRecord, FORMAT, FirmwareRecord, LayerRecord, MemoryRecord, Progress, QemuRecord,
    Record, Room, StoredFile,
};
use bootgate::plan::{Arch, Attachment, DiskCache, DiskFormat, Network};
use bootgate::qemu::disk::digest;
use bootgate::qemu::feature::Accel;
use bootgate::units::MIB;
use tokio::sync::watch;

/// A MiB, as the length of a buffer.
pub(crate) const MIB_BYTES: usize = 1024 * 1024;

/// A folder with a run in it.
pub(crate) struct Run {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) record: Record,
}

/// Bytes that do not compress.
pub(crate) fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..count).map(|_| next()).collect()
}

fn stored(root: &Path, path: &str) -> StoredFile {
    StoredFile::describe(root, path, &mut |_| ControlFlow::Continue(())).unwrap()
}

impl Run {
    /// A run with 1 MiB of evidence, 2 MiB of memory, 1 MiB written to a disk of 64 MiB, and an image of 1 MiB.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let run = folder.path().join("run");
        for path in ["run/ssh", "run/disks", "run/checkpoint"] {
            std::fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        std::fs::write(run.join("trace.jsonl"), "{}\n").unwrap();
        std::fs::write(run.join("ssh/install.log"), noise(MIB_BYTES, 1)).unwrap();
        std::fs::write(run.join("lock"), "").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", run.join("link")).unwrap();
        std::fs::write(run.join("checkpoint/ram.zst"), noise(2 * MIB_BYTES, 2)).unwrap();
        let disk = std::fs::File::create(run.join("disks/target.raw")).unwrap();
        disk.set_len(64 * MIB).unwrap();
        disk.write_all_at(&noise(MIB_BYTES / 2, 3), 0).unwrap();
        disk.write_all_at(&noise(MIB_BYTES / 2, 4), 32 * MIB).unwrap();
        let image = folder.path().join("live.iso");
        std::fs::write(&image, noise(MIB_BYTES, 5)).unwrap();
        let record = record(&run, &image);
        let run = Self { folder, record };
        run.write_record();
        run
    }

    pub(crate) fn write_record(&self) {
        let json = serde_json::to_vec(&self.record).unwrap();
        std::fs::write(self.dir().join("checkpoint/machine.json"), json).unwrap();
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) async fn pack(&self, full: bool, budget_bytes: u64) -> Result<Bundle, PackError> {
        self.pack_with(full, budget_bytes, 0, Cancel::default()).await
    }

    pub(crate) async fn pack_with(
        &self,
        full: bool,
        budget_bytes: u64,
        reserve_bytes: u64,
        cancel: Cancel,
    ) -> Result<Bundle, PackError> {
        let options = Options {
            run_dir: self.dir(),
            checkpoint: Some("checkpoint".to_owned()),
            full,
        };
        let room = Room {
            budget_bytes,
            reserve_bytes,
        };
        let progress = watch::channel(Progress::default()).0;
        pack(options, self.path("run.tar.zst"), room, progress, cancel).await
    }
}

/// Unpacks with the usual limits.
pub(crate) async fn unpacked(bundle: &Path, into: &Path) -> Result<Unpacked, UnpackError> {
    unpacked_within(bundle, into, Limits::default()).await
}

pub(crate) async fn unpacked_within(bundle: &Path, into: &Path, limits: Limits) -> Result<Unpacked, UnpackError> {
    let progress = watch::channel(Progress::default()).0;
    unpack(bundle.to_owned(), into.to_owned(), limits, progress, Cancel::default()).await
}

fn record(run: &Path, image: &Path) -> Record {
    Record {
        format: FORMAT,
        bootgate_version: "0.1.0".to_owned(),
        qemu: QemuRecord {
            major: 7,
            minor: 2,
            micro: 22,
            version_line: "QEMU emulator version 7.2.22".to_owned(),
            machine_type: "pc-q35-7.2".to_owned(),
            devices: BTreeSet::new(),
        },
        arch: Arch::X86_64,
        accelerator: Accel::Tcg,
        cpu_model: "max".to_owned(),
        cpus: 1,
        memory_bytes: 512 * MIB,
        uuid: uuid::Uuid::nil(),
        run_id: "run".to_owned(),
        run_state: "paused".to_owned(),
        firmware: FirmwareRecord::Bios,
        boot: BootRecord::Iso {
            image: BaseImage {
                path: image.to_owned(),
                size_bytes: image.metadata().unwrap().len(),
                sha256: digest(image, |_| ControlFlow::Continue(())).unwrap(),
            },
            attach: Attachment::Cd,
        },
        disks: vec![DiskRecord {
            name: "target".to_owned(),
            layers: vec![LayerRecord {
                file: stored(run, "disks/target.raw"),
                format: DiskFormat::Raw,
            }],
            cache: DiskCache::Unsafe,
            target: true,
        }],
        network: Network::Isolated,
        ssh_forward: true,
        firmware_console: false,
        extra_args: Vec::new(),
        ssh: None,
        argv: Vec::new(),
        memory: Some(MemoryRecord {
            file: stored(run, "checkpoint/ram.zst"),
            stream_bytes: 4 * MIB,
        }),
    }
}
