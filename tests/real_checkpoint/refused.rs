//! A checkpoint that can't go on here: one clear error each.

use std::path::{Path, PathBuf};

use bootgate::checkpoint::{
    Cancel, Checkpoint, HostSide, MACHINE_FILE, MEMORY_FILE, Progress, RestoreError, SaveError,
};
use bootgate::plan::{Arch, Network};
use bootgate::qemu::binary::Qemu;
use bootgate::qemu::feature::Accel;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::guest::{Guest, Setup, machine, packaged, unpacked};
use crate::saved::{request, restored, saved};

/// A machine that was saved before its first instruction.
struct Saved {
    folder: tempfile::TempDir,
    qemu: Qemu,
    directory: PathBuf,
}

impl Saved {
    async fn new(qemu: Qemu, setup: Setup) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let run_dir = folder.path().join("run");
        std::fs::create_dir(&run_dir).unwrap();
        let guest = Guest::fresh(&qemu, &run_dir, machine(&qemu, setup, &run_dir).await).await;
        let directory = saved(request(&guest, &run_dir)).await.unwrap().directory;
        let again = saved(request(&guest, &run_dir)).await;
        assert!(matches!(again, Err(SaveError::SavedBefore)), "{again:?}");
        guest.quit().await;
        Self {
            folder,
            qemu,
            directory,
        }
    }

    /// Changes `machine.json`, tries to restore, and puts it back.
    async fn refused(&self, change: impl FnOnce(&mut Value)) -> RestoreError {
        let path = self.directory.join(MACHINE_FILE);
        let text = std::fs::read(&path).unwrap();
        let mut record = serde_json::from_slice(&text).unwrap();
        change(&mut record);
        std::fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
        let refused = self.restore().await.unwrap_err();
        std::fs::write(&path, text).unwrap();
        println!("{refused}");
        refused
    }

    async fn restore(&self) -> Result<(), RestoreError> {
        let work = tempfile::tempdir_in(self.folder.path()).unwrap();
        let (guest, _) = restored(&self.qemu, &self.directory, work.path()).await?;
        guest.quit().await;
        Ok(())
    }

    fn run_file(&self, name: &str) -> PathBuf {
        self.folder.path().join("run").join(name)
    }
}

/// The digest of a file that was tampered with by one who knows how.
fn forged(file: &Path) -> Value {
    let digest = bootgate::qemu::disk::digest(file, |_| std::ops::ControlFlow::Continue(()));
    json!(digest.unwrap().to_string())
}

#[tokio::test]
async fn another_host_is_told_what_it_lacks() {
    let saved = Saved::new(packaged().await, Setup::Kernel).await;
    saved.restore().await.unwrap();
    let version = saved.refused(|record| record["qemu"]["minor"] = json!(1)).await;
    assert!(matches!(version, RestoreError::QemuVersion { .. }), "{version:?}");
    assert!(version.to_string().contains("--qemu PATH"));
    let other = saved
        .refused(|record| record["qemu"]["machine_type"] = json!("pc-i440fx"))
        .await;
    assert!(matches!(other, RestoreError::MachineType { .. }), "{other:?}");
    let devices = saved.refused(|record| record["qemu"]["devices"] = json!([])).await;
    assert!(matches!(devices, RestoreError::Devices { .. }), "{devices:?}");
    let accelerator = saved.refused(|record| record["accelerator"] = json!("kvm")).await;
    assert!(
        matches!(accelerator, RestoreError::Accelerator { .. }),
        "{accelerator:?}"
    );
    let image = saved
        .refused(|record| record["boot"]["kernel"]["sha256"] = json!("0".repeat(64)))
        .await;
    assert!(matches!(image, RestoreError::NoImage { .. }), "{image:?}");
    assert!(image.to_string().contains("--image FILE"));
    let format = saved.refused(|record| record["format"] = json!(7)).await;
    assert!(matches!(format, RestoreError::Format { found: 7, .. }), "{format:?}");
    std::fs::remove_file(saved.directory.join(MACHINE_FILE)).unwrap();
    let partial = saved.restore().await.unwrap_err();
    assert!(matches!(partial, RestoreError::NotWhole { .. }), "{partial:?}");
}

#[tokio::test]
async fn qemu10_does_not_go_on_with_a_machine_of_another_version() {
    let Some(newer) = unpacked().await else { return };
    let saved = Saved::new(packaged().await, Setup::Kernel).await;
    let checkpoint = Checkpoint::open(&saved.directory).unwrap();
    let refused = checkpoint.check_qemu(Arch::X86_64, &newer.features, Accel::Tcg);
    assert!(matches!(refused, Err(RestoreError::QemuVersion { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_damaged_memory_is_told_before_qemu_sees_it_and_after() {
    let saved = Saved::new(packaged().await, Setup::Kernel).await;
    let memory = saved.directory.join(MEMORY_FILE);
    let whole = std::fs::read(&memory).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&memory, &damaged).unwrap();
    let corrupt = saved.restore().await.unwrap_err();
    assert!(matches!(corrupt, RestoreError::Damaged(_)), "{corrupt:?}");
    std::fs::write(&memory, &whole[..whole.len() / 2]).unwrap();
    let truncated = saved.restore().await.unwrap_err();
    assert!(matches!(truncated, RestoreError::Damaged(_)), "{truncated:?}");
    // One whose digest is right all the same: a stream that ends in the middle.
    let stream = zstd::decode_all(&whole[..]).unwrap();
    let half = zstd::encode_all(&stream[..stream.len() / 2], 1).unwrap();
    std::fs::write(&memory, &half).unwrap();
    let digest = forged(&memory);
    let ended = saved
        .refused(|record| {
            record["memory"]["file"]["sha256"] = digest;
            record["memory"]["file"]["size_bytes"] = json!(half.len());
        })
        .await;
    assert!(matches!(ended, RestoreError::Incoming { .. }), "{ended:?}");
}

#[tokio::test]
async fn what_would_reach_files_of_this_host_is_refused() {
    let saved = Saved::new(packaged().await, Setup::Uefi).await;
    let checkpoint = Checkpoint::open(&saved.directory).unwrap();
    assert_eq!(checkpoint.record().disks[0].layers.len(), 1);
    for path in ["/etc/shadow", "../../etc/shadow"] {
        let layer = saved
            .refused(|record| record["disks"][0]["layers"][0]["file"]["path"] = json!(path))
            .await;
        assert!(matches!(layer, RestoreError::Malformed { .. }), "{layer:?}");
        let flash = saved
            .refused(|record| record["firmware"]["flash1"]["file"]["path"] = json!(path))
            .await;
        assert!(matches!(flash, RestoreError::Malformed { .. }), "{flash:?}");
    }
    let name = saved
        .refused(|record| record["disks"][0]["name"] = json!("a,drive=b"))
        .await;
    assert!(matches!(name, RestoreError::Malformed { .. }), "{name:?}");
    // A disk whose header says that its data is elsewhere: bit 2 of the incompatible features, at byte 72.
    let disk = saved.run_file("disks/target.qcow2");
    let mut header = std::fs::read(&disk).unwrap();
    header[79] |= 4;
    std::fs::write(&disk, header).unwrap();
    let elsewhere = saved.restore().await.unwrap_err();
    assert!(matches!(elsewhere, RestoreError::Outside { .. }), "{elsewhere:?}");
}

#[tokio::test]
async fn a_running_guest_and_foreign_disks_are_not_saved() {
    let qemu = packaged().await;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let guest = Guest::fresh(&qemu, folder.path(), machine(&qemu, Setup::Kernel, folder.path()).await).await;
    let mut elsewhere = request(&guest, folder.path());
    elsewhere.machine.disks[0].path = "/var/lib/other.raw".into();
    let refused = saved(elsewhere).await;
    assert!(matches!(refused, Err(SaveError::Elsewhere { .. })), "{refused:?}");
    let mut greedy = request(&guest, folder.path());
    greedy.room.reserve_bytes = u64::MAX / 2;
    let refused = saved(greedy).await;
    assert!(matches!(refused, Err(SaveError::TooFull { .. })), "{refused:?}");
    let mut there = request(&guest, folder.path());
    there.name = "disks".to_owned();
    let refused = saved(there).await;
    assert!(matches!(refused, Err(SaveError::Exists { .. })), "{refused:?}");
    guest.cont().await;
    let refused = saved(request(&guest, folder.path())).await;
    assert!(matches!(refused, Err(SaveError::NotStopped { .. })), "{refused:?}");
    assert!(!folder.path().join("checkpoint").exists());
    guest.quit().await;
}

#[tokio::test]
async fn arguments_of_a_gate_are_passed_on_only_where_they_open_nothing() {
    let saved = Saved::new(packaged().await, Setup::Kernel).await;
    let (progress, cancel) = (watch::channel(Progress::default()).0, Cancel::default());
    let path = saved.directory.join(MACHINE_FILE);
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let rows: [(&[&str], bool); 5] = [
        (&["-smbios", "type=1,serial=fault:hang"], true),
        (&["-smbios", "file=/etc/shadow"], false),
        (&["-smbios", "type=11,path=/etc/shadow"], false),
        (&["-drive", "file=/etc/shadow"], false),
        (&["-smbios"], false),
    ];
    for (index, (arguments, harmless)) in rows.into_iter().enumerate() {
        record["extra_args"] = json!(arguments);
        std::fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
        let checkpoint = Checkpoint::open(&saved.directory).unwrap();
        let images = checkpoint
            .find_images(Vec::new(), progress.clone(), &cancel)
            .await
            .unwrap();
        let work = saved.folder.path().join(format!("work-{index}"));
        let files = checkpoint
            .lay_out(&saved.qemu.binary, &work, Some(&images))
            .await
            .unwrap();
        let host = |allow_arguments| HostSide {
            features: saved.qemu.features.clone(),
            data_dirs: Vec::new(),
            run_id: "reopened".to_owned(),
            network: Network::Isolated,
            qmp_fd: 3,
            serial_fd: 4,
            firmware_fd: None,
            allow_arguments,
        };
        let spec = checkpoint.machine_spec(&files, host(false));
        assert_eq!(spec.is_ok(), harmless, "{arguments:?}");
        assert!(
            harmless || matches!(spec, Err(RestoreError::Arguments { .. })),
            "{spec:?}"
        );
        let trusted = checkpoint.machine_spec(&files, host(true)).unwrap();
        assert_eq!(trusted.extra_args, arguments);
    }
}
