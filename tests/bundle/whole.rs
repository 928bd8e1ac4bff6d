//! Bundles of an honest run.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use bootgate::bundle::{PackError, Role, UnpackError, partial_name};
use bootgate::checkpoint::{Cancel, Checkpoint, RestoreError};
use bootgate::units::MIB;

use crate::run::{MIB_BYTES, Run, unpacked};

/// Every plain file below a folder: path and content.
fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

const FILES: [&str; 6] = [
    "bundle.json",
    "checkpoint/machine.json",
    "checkpoint/ram.zst",
    "disks/target.raw",
    "ssh/install.log",
    "trace.jsonl",
];

#[tokio::test]
async fn what_goes_in_comes_out() {
    let run = Run::new();
    let bundle = run.pack(false, u64::MAX).await.unwrap();
    assert!(bundle.size_bytes < 5 * MIB, "holes take no room: {}", bundle.size_bytes);
    assert!(!partial_name(&bundle.path).exists());
    assert_eq!(bundle.path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let into = run.path("again");
    let unpacked = unpacked(&bundle.path, &into).await.unwrap();
    assert_eq!(unpacked.manifest, bundle.manifest);
    let names: Vec<_> = files(&into).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, FILES, "no lock, no link");
    for (name, content) in files(&into).iter().filter(|(name, _)| name != "bundle.json") {
        assert_eq!(*content, std::fs::read(run.dir().join(name)).unwrap(), "{name}");
    }
    let disk = into.join("disks/target.raw").metadata().unwrap();
    assert!(disk.blocks() * 512 < 4 * MIB, "it is sparse again: {}", disk.blocks());
    assert_eq!(into.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let checkpoint = Checkpoint::open(&unpacked.checkpoint().unwrap()).unwrap();
    assert_eq!(checkpoint.record(), &run.record);
    let again = crate::run::unpacked(&bundle.path, &into).await;
    assert!(matches!(again, Err(UnpackError::Exists { .. })), "{again:?}");
}

/// Anybody can look into a bundle without bootgate.
#[tokio::test]
async fn gnu_tar_makes_the_same_of_it() {
    let run = Run::new();
    let bundle = run.pack(true, u64::MAX).await.unwrap();
    let (ours, theirs) = (run.path("ours"), run.path("theirs"));
    let images = unpacked(&bundle.path, &ours).await.unwrap().images();
    assert_eq!(
        std::fs::read(&images[0]).unwrap(),
        std::fs::read(run.path("live.iso")).unwrap()
    );
    std::fs::create_dir(&theirs).unwrap();
    let mut tar = Command::new("tar")
        .args(["-x", "-C"])
        .arg(&theirs)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let compressed = std::fs::File::open(&bundle.path).unwrap();
    zstd::stream::copy_decode(compressed, tar.stdin.take().unwrap()).unwrap();
    assert!(tar.wait().unwrap().success());
    assert!(files(&ours) == files(&theirs));
}

#[tokio::test]
async fn what_does_not_fit_is_left_out_in_order_and_named() {
    let run = Run::new();
    let left_out = |bundle: bootgate::bundle::Bundle| {
        std::fs::remove_file(&bundle.path).unwrap();
        let roles: Vec<_> = bundle.manifest.dropped.iter().map(|dropped| dropped.role).collect();
        assert!(bundle.manifest.files.iter().all(|file| !roles.contains(&file.role)));
        (roles, bundle.manifest.checkpoint.is_some())
    };
    let within = async |mib: u64| left_out(run.pack(true, mib * MIB + MIB / 2).await.unwrap());
    assert_eq!(within(5).await, (vec![], true));
    assert_eq!(within(4).await, (vec![Role::Image], true));
    assert_eq!(within(3).await, (vec![Role::Image, Role::Disk], true));
    assert_eq!(within(1).await, (vec![Role::Image, Role::Disk, Role::Memory], false));
    let too_small = run.pack(true, MIB).await;
    assert!(matches!(too_small, Err(PackError::Budget { .. })), "{too_small:?}");
}

#[tokio::test]
async fn a_machine_that_was_not_saved_whole_leaves_its_evidence_and_disks() {
    let run = Run::new();
    std::fs::remove_file(run.dir().join("checkpoint/machine.json")).unwrap();
    std::fs::rename(
        run.dir().join("checkpoint/ram.zst"),
        run.dir().join("checkpoint/ram.zst.partial"),
    )
    .unwrap();
    let bundle = run.pack(false, u64::MAX).await.unwrap();
    let names: Vec<_> = bundle.manifest.files.iter().map(|packed| &*packed.file.path).collect();
    assert_eq!(names, ["ssh/install.log", "trace.jsonl", "disks/target.raw"]);
    assert!(
        bundle.manifest.dropped[0].reason.contains("not saved whole"),
        "{bundle:?}"
    );
}

#[tokio::test]
async fn what_changed_since_it_was_saved_is_not_packed() {
    let run = Run::new();
    std::fs::write(run.dir().join("checkpoint/ram.zst"), vec![1; 2 * MIB_BYTES]).unwrap();
    let changed = run.pack(false, u64::MAX).await;
    assert!(
        matches!(&changed, Err(PackError::Changed { path }) if path == "checkpoint/ram.zst"),
        "{changed:?}"
    );
    assert!(!run.path("run.tar.zst").exists() && run.path("run.tar.zst.partial").exists());
    // The next attempt replaces what is not whole, and the damage shows when the machine is to go on.
    let checkpoint = Checkpoint::open(&run.dir().join("checkpoint")).unwrap();
    let progress = tokio::sync::watch::channel(bootgate::checkpoint::Progress::default()).0;
    let damaged = checkpoint.verify(progress, &Cancel::default()).await;
    assert!(matches!(damaged, Err(RestoreError::Damaged(_))), "{damaged:?}");
}

#[tokio::test]
async fn a_full_disk_and_a_cancelled_bundle_leave_the_run_as_it_was() {
    let run = Run::new();
    let before = files(&run.dir());
    let full = run.pack_with(false, u64::MAX, u64::MAX, Cancel::default()).await;
    assert!(matches!(full, Err(PackError::NoSpace { .. })), "{full:?}");
    let cancel = Cancel::default();
    cancel.cancel();
    let cancelled = run.pack_with(false, u64::MAX, 0, cancel).await;
    assert!(matches!(cancelled, Err(PackError::Cancelled)), "{cancelled:?}");
    assert!(!run.path("run.tar.zst").exists());
    assert!(files(&run.dir()) == before);
    assert!(run.pack(false, u64::MAX).await.is_ok());
    let twice = run.pack(false, u64::MAX).await;
    assert!(matches!(twice, Err(PackError::Exists { .. })), "{twice:?}");
}
