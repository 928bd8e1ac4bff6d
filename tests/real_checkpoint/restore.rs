//! What is saved is what goes on, and so does the machine that it was saved from.

use std::path::{Path, PathBuf};

use bootgate::checkpoint::{FirmwareRecord, SaveRequest};
use bootgate::qemu::argv::FirmwareSpec;
use bootgate::qemu::binary::Qemu;
use bootgate::qmp::RunState;

use crate::guest::{Guest, Setup, machine, packaged, unpacked};
use crate::saved::{request, restored, saved};

/// Writes a word to the start of the disk, past every cache of the guest.
fn writes(word: &str) -> String {
    format!("printf {word:8.8} | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null")
}

/// Succeeds if the disk begins with a word.
fn reads(word: &str) -> String {
    format!("echo 3 >/proc/sys/vm/drop_caches && test \"$(head -c 8 /dev/vda)\" = \"{word:8.8}\"")
}

fn folder_of(root: &Path, name: &str) -> PathBuf {
    let folder = root.join(name);
    std::fs::create_dir(&folder).unwrap();
    folder
}

/// Boots, saves with frozen disks, goes on and is saved again; then each checkpoint is restored: with its own registers,
/// its own disk, the same boot, and a guest that goes on.
async fn goes_on(qemu: Qemu, setup: Setup) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let run_dir = folder_of(folder.path(), "run");
    let mut guest = Guest::fresh(&qemu, &run_dir, machine(&qemu, setup, &run_dir).await).await;
    guest.cont().await;
    guest.says("BOOTGATE-LIVE-READY").await;
    let boot = guest.logs_in().await;
    guest.logs_in_on_console().await;

    let mut checkpoints = Vec::new();
    for (name, word) in [("first", "apples-1"), ("second", "oranges2")] {
        guest.does(&writes(word)).await;
        guest.stop().await;
        let request = SaveRequest {
            freeze: true,
            name: name.to_owned(),
            ..request(&guest, &run_dir)
        };
        let registers = guest.registers().await;
        let saved = saved(request).await.unwrap();
        let memory = saved.record.memory.as_ref().unwrap();
        println!(
            "{setup:?} on {}: {:?}, {} of {} bytes",
            qemu.features.version, saved.memory_took, memory.file.size_bytes, memory.stream_bytes
        );
        assert_eq!(saved.record.run_state, "paused");
        checkpoints.push((saved.directory, word, registers));
        guest.machine = saved.machine;
        guest.cont().await;
        guest.does(&reads(word)).await;
        guest.does(&writes("lost")).await;
    }
    assert_eq!(guest.machine.disks[0].layers.len(), 2);
    guest.quit().await;

    for (index, (checkpoint, word, registers)) in checkpoints.iter().enumerate() {
        let work = folder_of(folder.path(), &format!("work-{index}"));
        let (mut guest, state) = restored(&qemu, checkpoint, &work).await.unwrap();
        assert_eq!(state, RunState::paused);
        assert_eq!(&guest.registers().await, registers);
        guest.cont().await;
        assert_eq!(guest.logs_in().await, boot);
        guest.does(&reads(word)).await;
        guest.does(&writes("changed")).await;
        assert_eq!(
            matches!(guest.machine.firmware, FirmwareSpec::Uefi { .. }),
            setup == Setup::Uefi
        );
        guest.quit().await;
        verify(checkpoint).await;
    }
}

/// What was restored and written to is still what was saved.
async fn verify(checkpoint: &Path) {
    let progress = tokio::sync::watch::channel(bootgate::checkpoint::Progress::default()).0;
    let opened = bootgate::checkpoint::Checkpoint::open(checkpoint).unwrap();
    opened
        .verify(progress, &bootgate::checkpoint::Cancel::default())
        .await
        .unwrap();
    if let FirmwareRecord::Uefi { flash1, .. } = &opened.record().firmware {
        assert!(flash1.as_ref().is_some_and(|flash| !flash.read_only));
    }
}

#[tokio::test]
async fn raw_unsafe_disk_on_the_packaged_qemu() {
    goes_on(packaged().await, Setup::Kernel).await;
}

#[tokio::test]
async fn uefi_and_qcow2_disk_on_the_packaged_qemu() {
    goes_on(packaged().await, Setup::Uefi).await;
}

#[tokio::test]
async fn disk_image_under_an_overlay_on_the_packaged_qemu() {
    goes_on(packaged().await, Setup::DiskImage).await;
}

#[tokio::test]
async fn raw_unsafe_disk_on_qemu10() {
    if let Some(qemu) = unpacked().await {
        goes_on(qemu, Setup::Kernel).await;
    }
}

#[tokio::test]
async fn uefi_and_qcow2_disk_on_qemu10() {
    if let Some(qemu) = unpacked().await {
        goes_on(qemu, Setup::Uefi).await;
    }
}

#[tokio::test]
async fn disk_image_under_an_overlay_on_qemu10() {
    if let Some(qemu) = unpacked().await {
        goes_on(qemu, Setup::DiskImage).await;
    }
}
