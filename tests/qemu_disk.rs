//! Disk files, as the host and a real QEMU see them.

mod qemu_support;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use bootgate::plan::DiskFormat;
use bootgate::qemu::binary::Qemu;
use bootgate::qemu::disk::{
    DiskError, allocated_bytes, create, create_overlay, free_bytes, is_released, qemu_img_for, remove, writer,
};
use bootgate::units::{ByteSize, GIB, MIB};
use serde_json::{Value, json};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn info(qemu: &Path, image: &Path) -> Value {
    let qemu_img = qemu_img_for(qemu).unwrap_or_else(|error| panic!("{error}; {}", error.mend()));
    let output = Command::new(qemu_img)
        .args(["info", "--output=json"])
        .arg(image)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn disks_are_sparse_private_and_never_taken_over() {
    for qemu in qemu_support::qemus().await {
        let dir = tempfile::tempdir().unwrap();
        for format in [DiskFormat::Raw, DiskFormat::Qcow2] {
            let path = dir.path().join(format!("disk, \"{}\"", format.as_str()));
            create(&qemu.binary, &path, format, ByteSize(3 * GIB)).await.unwrap();
            assert_eq!(mode(&path), 0o600);
            assert!(allocated_bytes(&path).unwrap() < MIB);
            let info = info(&qemu.binary, &path);
            assert_eq!(info["virtual-size"], 3 * GIB);
            let again = create(&qemu.binary, &path, format, ByteSize(MIB)).await.unwrap_err();
            assert!(matches!(again, DiskError::Exists { .. }), "{again}");
            remove(&path).unwrap();
            remove(&path).unwrap();
            assert!(!path.exists());
        }
        assert!(free_bytes(dir.path()).unwrap() > 0);
        let nowhere = dir.path().join("none/disk");
        let error = create(&qemu.binary, &nowhere, DiskFormat::Raw, ByteSize(1))
            .await
            .unwrap_err();
        assert!(error.to_string().starts_with("can't create `"), "{error}");
    }
}

#[tokio::test]
async fn an_overlay_names_its_base_and_its_format() {
    for qemu in qemu_support::qemus().await {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("a: \"strange\", é.img");
        // A raw image whose first bytes say that it is qcow2: the format that we give is what counts.
        let mut bytes = vec![0; 64 * 1024];
        bytes[..4].copy_from_slice(b"QFI\xfb");
        fs::write(&base, &bytes).unwrap();
        let overlay = dir.path().join("overlay.qcow2");
        create_overlay(&qemu.binary, &overlay, &base, DiskFormat::Raw)
            .await
            .unwrap();
        let info = info(&qemu.binary, &overlay);
        assert_eq!(info["virtual-size"], 64 * 1024);
        assert_eq!(info["backing-filename-format"], "raw");
        assert_eq!(mode(&overlay), 0o600);
        assert_eq!(fs::read(&base).unwrap(), bytes);
        let (claimed, none) = (dir.path().join("claimed"), dir.path().join("none"));
        let missing = create_overlay(&qemu.binary, &claimed, &none, DiskFormat::Raw).await;
        let error = missing.unwrap_err();
        assert!(error.to_string().contains("No such file or directory"), "{error}");
        assert!(!claimed.exists(), "what was claimed for nothing is gone");
    }
}

/// A QEMU that has the image open, before its guest's first instruction.
fn holding(qemu: &Qemu, disk: &Path, read_only: bool) -> qemu_support::Owned {
    let blockdev = json!({"driver": "file", "node-name": "disk", "filename": disk, "read-only": read_only}).to_string();
    let silent = ["-S", "-nodefaults", "-display", "none", "-qmp", "stdio"];
    let data_dirs = qemu
        .data_dirs
        .iter()
        .flat_map(|dir| [OsStr::new("-L"), dir.as_os_str()]);
    let child = Command::new(&qemu.binary)
        .args(["-machine", "q35", "-accel", "tcg"])
        .args(silent)
        .args(data_dirs)
        .args(["-blockdev", &blockdev, "-device", "virtio-blk-pci,drive=disk"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = qemu_support::Owned(child);
    // The greeting comes before the command line has been carried out, the first answer after.
    writeln!(child.0.stdin.as_mut().unwrap(), "{{\"execute\": \"qmp_capabilities\"}}").unwrap();
    let lines: Vec<_> = BufReader::new(child.0.stdout.take().unwrap()).lines().take(2).collect();
    assert!(lines[1].as_ref().unwrap().contains("return"), "{lines:?}");
    child
}

#[tokio::test]
async fn an_image_is_released_when_its_qemu_is_gone() {
    for qemu in qemu_support::qemus().await {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk.raw");
        create(&qemu.binary, &disk, DiskFormat::Raw, ByteSize(MIB))
            .await
            .unwrap();
        for read_only in [false, true] {
            assert!(is_released(&disk).unwrap());
            assert_eq!(writer(&disk).unwrap(), None);
            let mut child = holding(&qemu, &disk, read_only);
            assert!(!is_released(&disk).unwrap(), "QEMU {} holds it", qemu.features.version);
            let writer = writer(&disk).unwrap().map(|writer| writer.processes);
            let pids = writer.map(|processes| processes.iter().map(|(pid, _)| *pid).collect::<Vec<_>>());
            assert_eq!(pids, (!read_only).then(|| vec![child.0.id()]), "read-only: {read_only}");
            child.end();
            assert!(is_released(&disk).unwrap());
        }
    }
}
