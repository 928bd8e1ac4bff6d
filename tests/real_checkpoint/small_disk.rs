//! A disk that becomes full while the memory is saved.

use std::path::Path;
use std::process::Command;

use bootgate::checkpoint::{MEMORY_PARTIAL, Room, SaveError, SaveRequest};
use bootgate::qemu::disk::free_bytes;
use bootgate::qmp::RunState;
use bootgate::units::{GIB, MIB};

use crate::guest::{Guest, LONG, Setup, machine, packaged};
use crate::own_mounts::with_own_mounts;
use crate::reexec::{Role, playing, say, wrapped_role_command};
use crate::saved::{request, saved};

#[test]
fn evidence_stays_and_the_machine_goes_on() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let words = with_own_mounts(folder.path());
    let mut role = Role::start(wrapped_role_command(
        words,
        "small_disk::role_on_a_small_disk",
        folder.path(),
    ));
    assert_eq!(role.hears(), "the verdict can still be written");
    assert!(role.process.wait().unwrap().success());
}

#[tokio::test]
async fn role_on_a_small_disk() {
    let Some(folder) = playing("small_disk::role_on_a_small_disk") else {
        return;
    };
    let run_dir = Path::new(&folder);
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=100M,mode=0700", "tmpfs"])
        .arg(run_dir)
        .status();
    assert!(mounted.unwrap().success());
    let evidence = run_dir.join("trace.jsonl");
    std::fs::write(&evidence, "earlier\n").unwrap();
    let qemu = packaged().await;
    let mut guest = Guest::fresh(&qemu, run_dir, machine(&qemu, Setup::Kernel, run_dir).await).await;
    guest.cont().await;
    guest.logs_in_on_console().await;
    guest
        .does("dd if=/dev/urandom of=/noise bs=1M count=96 2>/dev/null")
        .await;
    guest.stop().await;
    // With a reserve it stays free; without one the disk is really full.
    for reserve_bytes in [16 * MIB, 0] {
        let room = Room {
            budget_bytes: GIB,
            reserve_bytes,
        };
        let request = SaveRequest {
            room,
            name: format!("reserve-{reserve_bytes}"),
            ..request(&guest, run_dir)
        };
        let directory = run_dir.join(&request.name);
        let full = saved(request).await;
        assert!(matches!(full, Err(SaveError::NoSpace { .. })), "{full:?}");
        assert!(free_bytes(run_dir).unwrap() >= reserve_bytes.saturating_sub(4 * MIB));
        assert!(directory.join(MEMORY_PARTIAL).exists());
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
        std::fs::remove_dir_all(directory).unwrap();
    }
    assert_eq!(std::fs::read(&evidence).unwrap(), b"earlier\n");
    assert_eq!(guest.qmp.query_status(LONG).await.unwrap(), RunState::paused);
    guest.cont().await;
    guest.does("test -e /noise").await;
    guest.quit().await;
    say("the verdict can still be written");
}
