//! Saving and restoring as the tests and the bench do it.
#![allow(dead_code, reason = "each binary uses its part")]

use std::path::{Path, PathBuf};

use bootgate::checkpoint::{
    Cancel, Checkpoint, HostSide, Progress, RestoreError, Room, SaveError, SaveRequest, Saved, save,
};
use bootgate::plan::{Arch, Network};
use bootgate::qemu::binary::Qemu;
use bootgate::qemu::feature::Accel;
use bootgate::qmp::RunState;
use bootgate::units::{GIB, MIB};
use tokio::sync::watch;

use crate::guest::Guest;

/// A request with room enough.
pub(crate) fn request(guest: &Guest, run_dir: &Path) -> SaveRequest {
    SaveRequest {
        qmp: guest.qmp.clone(),
        run_dir: run_dir.to_owned(),
        name: "checkpoint".to_owned(),
        machine: guest.machine.clone(),
        argv: guest.argv.clone(),
        freeze: false,
        room: Room {
            budget_bytes: GIB,
            reserve_bytes: 16 * MIB,
        },
        known: Vec::new(),
        ssh: None,
    }
}

/// Saves, and gives what was told of it on the way.
pub(crate) async fn saved(request: SaveRequest) -> Result<Saved, SaveError> {
    save(request, watch::channel(Progress::default()).0, Cancel::default()).await
}

/// Starts a machine from a checkpoint, in `work`. It is paused.
pub(crate) async fn restored(qemu: &Qemu, directory: &Path, work: &Path) -> Result<(Guest, RunState), RestoreError> {
    restored_with(qemu, directory, Vec::new(), work).await
}

/// The same, of a machine whose images may be among these files.
pub(crate) async fn restored_with(
    qemu: &Qemu,
    directory: &Path,
    images: Vec<PathBuf>,
    work: &Path,
) -> Result<(Guest, RunState), RestoreError> {
    let (progress, cancel) = (watch::channel(Progress::default()).0, Cancel::default());
    let checkpoint = Checkpoint::open(directory)?;
    checkpoint.check_qemu(Arch::X86_64, &qemu.features, Accel::Tcg)?;
    let images = checkpoint.find_images(images, progress.clone(), &cancel).await?;
    let files = checkpoint.lay_out(&qemu.binary, work, Some(&images)).await?;
    let guest = Guest::start(qemu, work, |qmp, serial| {
        let host = HostSide {
            features: qemu.features.clone(),
            data_dirs: qemu.data_dirs.clone(),
            run_id: "reopened".to_owned(),
            network: Network::Isolated,
            qmp_fd: qmp.child.number(),
            serial_fd: serial.child.number(),
            firmware_fd: None,
            allow_arguments: false,
        };
        checkpoint.machine_spec(&files, host).unwrap()
    })
    .await;
    let state = checkpoint.feed(&guest.qmp, work, progress, &cancel).await?;
    Ok((guest, state))
}
