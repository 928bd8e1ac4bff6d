//! Disks of several layers.

use crate::images::{cat, ext, run, text};
use bootgate::diskfs::Disk;
use bootgate::plan::DiskFormat;
use bootgate::qemu::disk::{FlattenError, Layer, first_sector, flatten, has_boot_code};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

fn layer(path: &Path, format: DiskFormat) -> Layer {
    Layer {
        path: path.to_path_buf(),
        format,
    }
}

fn qcow2(dir: &Path, name: &str, base: &Path, base_format: &str) -> PathBuf {
    let path = dir.join(name);
    run(
        "qemu-img",
        &[
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            base_format,
            "-b",
            text(base),
            text(&path),
        ],
        "",
    );
    path
}

#[tokio::test]
async fn a_chain_is_read_as_one_disk() {
    let dir = tempfile::tempdir().unwrap();
    let base = ext(dir.path(), "base", &["-t", "ext4"]);
    let middle = qcow2(dir.path(), "middle", &base, "raw");
    let top = qcow2(dir.path(), "top", &middle, "qcow2");
    // Changes something in the top layer only: the file's first sector.
    let at = run("debugfs", &["-R", "bmap /etc/fstab 0", text(&base)], "");
    let block: u64 = at.trim().parse().unwrap();
    let size = run("debugfs", &["-R", "stats -h", text(&base)], "");
    let block_bytes: u64 = size
        .lines()
        .find_map(|line| line.strip_prefix("Block size:"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let write = format!("write -P 0x41 {} 512", block * block_bytes);
    run("qemu-io", &["-f", "qcow2", "-c", &write, text(&top)], "");
    let layers = [
        layer(&top, DiskFormat::Qcow2),
        layer(&middle, DiskFormat::Qcow2),
        layer(&base, DiskFormat::Raw),
    ];
    let flat = dir.path().join("flat");
    flatten(Path::new("qemu-system-x86_64"), &layers, &flat).await.unwrap();
    let content = cat(&Disk::open(&flat).unwrap(), "/etc/fstab").unwrap();
    assert_eq!(content, [b'A'; 27]);
    assert_eq!(std::fs::metadata(&flat).unwrap().permissions().mode() & 0o777, 0o600);
    let again = flatten(Path::new("qemu-system-x86_64"), &layers, &flat)
        .await
        .unwrap_err();
    assert!(matches!(again, FlattenError::Host { .. }), "{again}");
}

/// A header that names a file of the host reads nothing from it.
#[tokio::test]
async fn no_header_leads_to_another_file() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, vec![b'S'; 1 << 20]).unwrap();
    let top = qcow2(dir.path(), "top", &secret, "raw");
    let flat = dir.path().join("flat");
    let qemu = Path::new("qemu-system-x86_64");
    flatten(qemu, &[layer(&top, DiskFormat::Qcow2)], &flat).await.unwrap();
    assert!(std::fs::read(&flat).unwrap().iter().all(|byte| *byte == 0));

    let outside = dir.path().join("outside");
    let options = format!("data_file={},data_file_raw=on", text(&secret));
    run(
        "qemu-img",
        &["create", "-q", "-f", "qcow2", "-o", &options, text(&outside), "1M"],
        "",
    );
    let error = flatten(qemu, &[layer(&outside, DiskFormat::Qcow2)], &dir.path().join("x"))
        .await
        .unwrap_err();
    assert!(matches!(error, FlattenError::DataFile { .. }), "{error}");
}

#[tokio::test]
async fn what_is_no_chain_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("raw");
    std::fs::write(&raw, vec![0; 4096]).unwrap();
    let flat = dir.path().join("flat");
    let qemu = Path::new("qemu-system-x86_64");
    for layers in [vec![], vec![layer(&raw, DiskFormat::Raw), layer(&raw, DiskFormat::Raw)]] {
        let error = flatten(qemu, &layers, &flat).await.unwrap_err();
        assert!(matches!(error, FlattenError::NotAChain), "{error}");
    }
    let error = flatten(qemu, &[layer(&raw, DiskFormat::Qcow2)], &flat)
        .await
        .unwrap_err();
    assert!(matches!(error, FlattenError::QemuImg { .. }), "{error}");
    assert!(!error.mend().is_empty() && !flat.exists());
}

/// What a BIOS would start stands in the newest layer that has it, whatever the layers below hold.
#[tokio::test]
async fn the_first_sector_is_that_of_the_whole_chain() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("base");
    std::fs::write(&base, vec![0; 1 << 20]).unwrap();
    let top = qcow2(dir.path(), "top", &base, "raw");
    let layers = [layer(&top, DiskFormat::Qcow2), layer(&base, DiskFormat::Raw)];
    for (code, expected) in [("write -P 0xee 512 512", false), ("write -P 0x90 0 512", true)] {
        run("qemu-io", &["-f", "qcow2", "-c", code, text(&top)], "");
        let sector = dir.path().join(format!("sector-{expected}"));
        first_sector(Path::new("qemu-system-x86_64"), &layers, &sector)
            .await
            .unwrap();
        assert_eq!(std::fs::metadata(&sector).unwrap().len(), 512);
        assert_eq!(has_boot_code(&sector).unwrap(), expected);
    }
}
