//! What is saved is what goes on.

use bootgate::qemu::binary::Qemu;
use bootgate::qmp::RunState;

use crate::guest::{Guest, Setup, machine, packaged, unpacked};
use crate::saved::{request, restored, saved};

/// Boots, saves, ends, restores: the same registers, the same boot, a guest that goes on.
async fn goes_on(qemu: &Qemu, setup: Setup) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let run_dir = folder.path().join("run");
    std::fs::create_dir(&run_dir).unwrap();
    let guest = Guest::fresh(qemu, &run_dir, machine(qemu, setup, &run_dir).await).await;
    guest.cont().await;
    guest.says("BOOTGATE-LIVE-READY").await;
    let boot = guest.logs_in().await;
    guest.stop().await;
    let registers = guest.registers().await;
    let saved = saved(request(&guest, &run_dir)).await.unwrap();
    println!("{setup:?}: {:?}, {:?}", saved.memory_took, saved.record.memory);
    guest.quit().await;

    let work = folder.path().join("again");
    std::fs::create_dir(&work).unwrap();
    let (guest, state) = restored(qemu, &saved.directory, &work).await.unwrap();
    assert_eq!(state, RunState::paused);
    assert_eq!(guest.registers().await, registers);
    guest.cont().await;
    assert_eq!(guest.logs_in().await, boot);
    guest.quit().await;
}

#[tokio::test]
async fn by_kernel_on_the_packaged_qemu() {
    goes_on(&packaged().await, Setup::Kernel).await;
}

#[tokio::test]
async fn by_kernel_on_qemu10() {
    if let Some(qemu) = unpacked().await {
        goes_on(&qemu, Setup::Kernel).await;
    }
}
