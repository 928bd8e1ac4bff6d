//! How long it takes from a failure to a bundle, and from a bundle to a guest that answers: `make bench`.
//!
//! One guest of 2 GiB on each QEMU, booted from its image by UEFI. What is compared was measured in the same run.

#[path = "../tests/support/guest.rs"]
mod guest;
#[path = "../tests/support/qemu10.rs"]
mod qemu10;
#[path = "../tests/support/saved.rs"]
mod saved;
#[path = "../tests/support/tiny.rs"]
mod tiny;

use std::time::{Duration, Instant};

use bootgate::bundle::{Limits, Options, pack, unpack};
use bootgate::checkpoint::{Cancel, Progress, Room, SaveRequest};
use bootgate::qemu::binary::Qemu;
use bootgate::units::{ByteSize, GIB, MIB};
use tokio::sync::watch;

use guest::{Guest, Setup, machine, packaged, unpacked};
use saved::{request, restored_with, saved};

/// What the issue asks of a machine like the one that it was written on.
const MEMORY: ByteSize = ByteSize(2 * GIB);
const ROOM: Room = Room {
    budget_bytes: 4 * GIB,
    reserve_bytes: 64 * MIB,
};

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(async {
        measure(packaged().await).await;
        if let Some(newer) = unpacked().await {
            measure(newer).await;
        }
    });
}

/// A line of the table.
fn tell(what: &str, took: Duration, more: &str) {
    println!("  {what:<44} {:>7.2} s  {more}", took.as_secs_f64());
}

fn ratio(slow: Duration, quick: Duration) -> String {
    format!(
        "{:.0} times quicker than the cold boot",
        slow.as_secs_f64() / quick.as_secs_f64()
    )
}

/// Bytes in millions, as exactly as microseconds in seconds.
fn mb(bytes: u64) -> f64 {
    Duration::from_micros(bytes).as_secs_f64()
}

async fn measure(qemu: Qemu) {
    println!("\nQEMU {}, a guest of {MEMORY}, UEFI, TCG:", qemu.features.version);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let run_dir = folder.path().join("run");
    std::fs::create_dir(&run_dir).expect("a run directory");
    let mut spec = machine(&qemu, Setup::Uefi, &run_dir).await;
    spec.memory = MEMORY;

    let begun = Instant::now();
    let guest = Guest::fresh(&qemu, &run_dir, spec).await;
    guest.cont().await;
    let boot = guest.logs_in().await;
    let cold = begun.elapsed();
    tell("cold boot → SSH answers", cold, "");

    let failed = Instant::now();
    guest.stop().await;
    tell("failure → machine stopped", failed.elapsed(), "");
    let request = SaveRequest {
        room: ROOM,
        ..request(&guest, &run_dir)
    };
    let progress = watch::channel(Progress::default()).0;
    let saved = saved(request).await.expect("it is saved");
    let memory = saved.record.memory.as_ref().unwrap();
    let (stream, stored) = (mb(memory.stream_bytes), mb(memory.file.size_bytes));
    let rate = stream / saved.memory_took.as_secs_f64();
    let more = format!("{stored:.0} MB on disk, {stream:.0} MB from QEMU, {rate:.0} MB/s");
    tell("machine stopped → memory on disk", saved.memory_took, &more);
    tell("failure → whole checkpoint", failed.elapsed(), "");
    let options = Options {
        run_dir: run_dir.clone(),
        checkpoint: Some("checkpoint".to_owned()),
        full: false,
    };
    let bundle = folder.path().join("run.tar.zst");
    let packed = pack(options, bundle.clone(), ROOM, progress.clone(), Cancel::default()).await;
    let packed = packed.expect("it is packed");
    tell(
        "failure → bundle on disk",
        failed.elapsed(),
        &format!("{:.0} MB", mb(packed.size_bytes)),
    );
    guest.quit().await;
    std::fs::remove_dir_all(&run_dir).expect("the run is removed");

    let begun = Instant::now();
    let into = folder.path().join("reopened");
    let unpacked = unpack(bundle, into, Limits::default(), progress, Cancel::default()).await;
    let unpacked = unpacked.expect("it is unpacked");
    let took = begun.elapsed();
    tell("bundle → files", took, "");
    let begun = Instant::now();
    let work = folder.path().join("work");
    std::fs::create_dir(&work).expect("a work directory");
    let checkpoint = unpacked.checkpoint().expect("the bundle has a checkpoint");
    let restored = restored_with(&qemu, &checkpoint, unpacked.images(), &work).await;
    let (guest, _) = restored.expect("it goes on from its checkpoint");
    let paused = begun.elapsed();
    tell("files → machine paused as it was", paused, "");
    guest.cont().await;
    assert_eq!(guest.logs_in().await, boot, "the same boot");
    let answers = begun.elapsed();
    tell("files → SSH answers", answers, &ratio(cold, answers));
    tell("bundle → SSH answers", took + answers, &ratio(cold, took + answers));
    guest.quit().await;
}
