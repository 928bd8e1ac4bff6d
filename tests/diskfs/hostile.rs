//! Disks that are made to harm, or cut off in the middle. Whatever is in them, there is an answer in bounded time, and no
//! panic reaches the caller.

use crate::images::{MIB, ext, fat, partitioned, place};
use bootgate::diskfs::{Disk, ExportLimits};
use proptest::prelude::*;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Does everything with a disk; none of it may panic.
fn try_all(image: &Path, out: &Path) {
    let Ok(disk) = Disk::open(image) else { return };
    let limits = ExportLimits {
        bytes_max: 8 * MIB,
        entries_max: 200,
    };
    for path in [
        "/",
        "/etc",
        "/etc/fstab",
        "/big",
        "/chain",
        "/EFI/BOOT",
        "/BIG.BIN",
        "1:/",
        "2:/etc/fstab",
    ] {
        let _ = disk.list(&place(path)).map(|listing| listing.text());
        let _ = disk.read(&place(path), 8 * MIB, &mut std::io::sink());
    }
    for (index, path) in ["0:/", "1:/", "2:/"].iter().enumerate() {
        let _ = disk.export(&place(path), &out.join(index.to_string()), limits);
    }
}

/// Sound images, made once.
static SOUND: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let small = fat(dir, "fat12", 4 * MIB, &["-F", "12"]);
    let images = [
        ext(dir, "ext4", &["-t", "ext4"]),
        ext(dir, "plain", &["-t", "ext4", "-b", "1024", "-O", "^metadata_csum"]),
        ext(dir, "ext2", &["-t", "ext2"]),
        small.clone(),
        partitioned(dir, "dos", &[&small]),
    ];
    images.iter().map(|image| std::fs::read(image).unwrap()).collect()
});

/// Where structures lie, and not content.
fn interesting(length: usize) -> impl Strategy<Value = usize> {
    prop_oneof![0..4096usize, 0..65536usize, 0..length]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_disk_is_read_or_refused(
        which in 0usize..5,
        changes in prop::collection::vec((interesting(4 << 20), prop_oneof![Just(0u8), Just(0xff), Just(1), any::<u8>()]), 1..60),
        cut in prop_oneof![3 => Just(usize::MAX), 1 => 0..(5usize << 20)],
    ) {
        let mut image = SOUND[which].clone();
        for (at, value) in changes {
            if let Some(byte) = image.get_mut(at) {
                *byte = value;
            }
        }
        image.truncate(cut);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::write(&path, image).unwrap();
        let started = Instant::now();
        try_all(&path, dir.path());
        prop_assert!(started.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..70_000), signature in 0usize..4) {
        let mut bytes = bytes;
        let marks: [(usize, &[u8]); 4] = [(0, b""), (0x438, b"\x53\xef"), (510, b"\x55\xaa"), (82, b"FAT32   ")];
        let (at, mark) = marks[signature];
        if let Some(place) = bytes.get_mut(at..at + mark.len()) {
            place.copy_from_slice(mark);
        }
        if signature == 3 && bytes.len() > 512 {
            bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::write(&path, bytes).unwrap();
        try_all(&path, dir.path());
    }
}

/// A directory that holds itself has no end; the export has one.
#[test]
fn a_directory_within_itself_ends() {
    let dir = tempfile::tempdir().unwrap();
    let image = ext(dir.path(), "ext4", &["-t", "ext4"]);
    crate::images::run(
        "debugfs",
        &["-w", "-f", "-", crate::images::text(&image)],
        "link /usr /usr/bin/again\n",
    );
    let disk = Disk::open(&image).unwrap();
    let into = dir.path().join("out");
    let error = disk.export(&place("/usr"), &into, ExportLimits::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "stopped at the limit of 64 directories within each other"
    );
}

/// A link and a file whose sizes are lies: no memory is taken for them.
#[test]
fn sizes_that_lie_take_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let image = ext(dir.path(), "ext4", &["-t", "ext4"]);
    let huge = (1u64 << 40).to_string();
    let commands = format!("set_inode_field /chain size {huge}\nset_inode_field /big size {huge}\n");
    crate::images::run("debugfs", &["-w", "-f", "-", crate::images::text(&image)], &commands);
    let disk = Disk::open(&image).unwrap();
    let error = disk.read(&place("/chain"), 100, &mut std::io::sink()).unwrap_err();
    assert!(error.to_string().contains("longer than a path can be"), "{error}");
    let done = disk.read(&place("/big"), 16 * MIB, &mut std::io::sink());
    assert!(done.is_err() || done.unwrap().bytes <= 16 * MIB);
}

/// FAT chains that lead to themselves.
#[test]
fn a_chain_of_clusters_in_a_circle_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = fat(dir.path(), "fat", 32 * MIB, &["-F", "16"]);
    let mut image = std::fs::read(&path).unwrap();
    let reserved = usize::from(u16::from_le_bytes([image[14], image[15]])) * 512;
    // Every cluster is followed by cluster 2, the first directory.
    for entry in image[reserved + 4..reserved + 20_000].chunks_exact_mut(2) {
        entry.copy_from_slice(&[2, 0]);
    }
    std::fs::write(&path, image).unwrap();
    let started = Instant::now();
    try_all(&path, dir.path());
    assert!(started.elapsed() < Duration::from_secs(100));
}
