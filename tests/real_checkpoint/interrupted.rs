//! Saving that does not come to its end: the machine is as it was, and what there is can't be taken for whole.

use std::path::Path;
use std::sync::Arc;

use bootgate::checkpoint::{
    Cancel, Checkpoint, MACHINE_FILE, MEMORY_FILE, MEMORY_PARTIAL, Phase, Progress, RestoreError, Room, SaveError,
    SaveRequest, save,
};
use bootgate::qmp::RunState;
use bootgate::units::MIB;
use serde_json::Value;
use tokio::sync::watch;

use crate::guest::{Guest, LONG, Setup, machine, packaged};
use crate::saved::{request, restored, saved};

/// A name for each attempt.
fn named(guest: &Guest, run_dir: &Path, name: &str) -> SaveRequest {
    SaveRequest {
        name: name.to_owned(),
        ..request(guest, run_dir)
    }
}

fn assert_partial(directory: &Path) {
    assert!(directory.join(MEMORY_PARTIAL).exists());
    assert!(!directory.join(MEMORY_FILE).exists() && !directory.join(MACHINE_FILE).exists());
    let opened = Checkpoint::open(directory);
    assert!(matches!(opened, Err(RestoreError::NotWhole { .. })), "{opened:?}");
    // Neither a socket nor its directory is left.
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 1);
}

async fn is_migrating(guest: &Guest) -> bool {
    let said = guest.qmp.execute_raw("query-migrate", Value::Null, LONG).await.unwrap();
    !matches!(said["status"].as_str(), Some("failed" | "cancelled" | "completed"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_dropped_and_over_budget() {
    let qemu = packaged().await;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let run_dir = folder.path().join("run");
    std::fs::create_dir(&run_dir).unwrap();
    let mut guest = Guest::fresh(&qemu, &run_dir, machine(&qemu, Setup::Kernel, &run_dir).await).await;
    guest.cont().await;
    guest.logs_in_on_console().await;
    // Memory that takes a while: it does not compress.
    guest
        .does("dd if=/dev/urandom of=/noise bs=1M count=64 2>/dev/null")
        .await;
    guest.stop().await;
    let registers = guest.registers().await;

    let (progress, mut told) = watch::channel(Progress::default());
    let cancel = Cancel::default();
    let saving = tokio::spawn(save(named(&guest, &run_dir, "cancelled"), progress, cancel.clone()));
    told.wait_for(|now| now.phase == Phase::Memory).await.unwrap();
    cancel.cancel();
    let cancelled = saving.await.unwrap();
    assert!(matches!(cancelled, Err(SaveError::Cancelled)), "{cancelled:?}");
    assert_partial(&run_dir.join("cancelled"));
    assert_eq!(guest.qmp.query_status(LONG).await.unwrap(), RunState::paused);

    let (progress, mut told) = watch::channel(Progress::default());
    let saving = tokio::spawn(save(named(&guest, &run_dir, "dropped"), progress, Cancel::default()));
    told.wait_for(|now| now.phase == Phase::Memory).await.unwrap();
    saving.abort();
    assert!(saving.await.unwrap_err().is_cancelled());
    // QEMU learns of it by its socket.
    let mut events = guest.qmp.subscribe();
    while is_migrating(&guest).await {
        events.next().await.unwrap();
    }
    assert_partial(&run_dir.join("dropped"));

    let mut small = named(&guest, &run_dir, "budget");
    small.room = Room {
        budget_bytes: 8 * MIB,
        reserve_bytes: 0,
    };
    let over = saved(small).await;
    assert!(matches!(over, Err(SaveError::Budget { .. })), "{over:?}");
    assert_partial(&run_dir.join("budget"));
    assert!(run_dir.join("budget").join(MEMORY_PARTIAL).metadata().unwrap().len() <= 8 * MIB);

    // After all that it is still the machine that it was.
    assert_eq!(guest.registers().await, registers);
    let (progress, told) = watch::channel(Progress::default());
    let whole = save(named(&guest, &run_dir, "whole"), progress, Cancel::default())
        .await
        .unwrap();
    assert_eq!(told.borrow().phase, Phase::Done);
    guest.cont().await;
    guest.does("test -e /noise").await;
    guest.quit().await;
    let work = folder.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let (again, _) = restored(&qemu, &whole.directory, &work).await.unwrap();
    assert_eq!(again.registers().await, registers);
    again.quit().await;
}

#[tokio::test]
async fn a_qemu_that_dies_is_told() {
    let qemu = packaged().await;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let guest = Guest::fresh(&qemu, folder.path(), machine(&qemu, Setup::Kernel, folder.path()).await).await;
    let request = request(&guest, folder.path());
    let running = Arc::clone(&guest.running);
    guest.quit().await;
    running.wait().await;
    let lost = saved(request).await;
    assert!(matches!(lost, Err(SaveError::Qmp(_))), "{lost:?}");
}
