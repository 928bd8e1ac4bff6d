//! Copying out.

use crate::images::{MIB, big, ext, fat, place, run, text};
use bootgate::diskfs::{Disk, DiskFsError, ExportLimits, Exported};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

#[test]
fn a_tree_is_copied_and_nothing_in_it_can_act() {
    let dir = tempfile::tempdir().unwrap();
    let image = ext(dir.path(), "ext4", &["-t", "ext4"]);
    let commands = "cd /usr\nmknod null c 1 3\nwrite /dev/null su\nset_inode_field su mode 0104777\n\
        write /dev/null a\x1b[31m%b\n";
    run("debugfs", &["-w", "-f", "-", text(&image)], commands);
    let disk = Disk::open(&image).unwrap();
    let into = dir.path().join("out");
    let done = disk.export(&place("/"), &into, ExportLimits::default()).unwrap();
    let expected = Exported {
        volume: 0,
        files: 5,
        directories: 4,
        bytes: 3 * MIB + 27,
        links_skipped: 6,
        special_skipped: 1,
        names_skipped: 0,
    };
    assert_eq!(done, expected);
    assert_eq!(std::fs::read(into.join("big")).unwrap(), big());
    assert_eq!(
        std::fs::read(into.join("etc/fstab")).unwrap(),
        b"UUID=1 / ext4 defaults 0 1\n"
    );
    assert!(into.join("usr/a%1B[31m%25b").is_file());
    assert!(!into.join("bin").exists());
    let mode = |path: &str| std::fs::symlink_metadata(into.join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(""), mode("usr"), mode("usr/su")), (0o700, 0o700, 0o600));
    let again = disk.export(&place("/"), &into, ExportLimits::default()).unwrap_err();
    assert!(matches!(again, DiskFsError::Write { .. }), "{again}");
    let one = disk
        .export(&place("/chain"), &dir.path().join("one"), ExportLimits::default())
        .unwrap();
    assert_eq!((one.files, one.bytes), (1, 27));
    assert!(dir.path().join("one/fstab").is_file());
}

#[test]
fn limits_are_kept_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(&ext(dir.path(), "ext4", &["-t", "ext4"])).unwrap();
    let all = ExportLimits::default();
    for (name, limits, said) in [
        (
            "bytes",
            ExportLimits { bytes_max: MIB, ..all },
            "stopped at the limit of 1 MiB of content",
        ),
        (
            "entries",
            ExportLimits { entries_max: 2, ..all },
            "stopped at the limit of 2 files and directories",
        ),
    ] {
        let error = disk.export(&place("/"), &dir.path().join(name), limits).unwrap_err();
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn a_hole_stays_one() {
    let dir = tempfile::tempdir().unwrap();
    let root = crate::images::content(dir.path());
    std::fs::File::create(root.join("sparse"))
        .unwrap()
        .set_len(64 * MIB)
        .unwrap();
    let disk = Disk::open(&ext(dir.path(), "ext4", &["-t", "ext4"])).unwrap();
    let into = dir.path().join("out");
    disk.export(&place("/sparse"), &into, ExportLimits::default()).unwrap();
    let copied = std::fs::metadata(into.join("sparse")).unwrap();
    assert_eq!(copied.len(), 64 * MIB);
    assert!(copied.blocks() * 512 < MIB);
}

#[test]
fn fat_is_copied_too() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(&fat(dir.path(), "fat", 32 * MIB, &["-F", "16"])).unwrap();
    let into = dir.path().join("out");
    let done = disk.export(&place("/"), &into, ExportLimits::default()).unwrap();
    assert_eq!((done.files, done.directories), (2, 2));
    assert_eq!(std::fs::read(into.join("BIG.BIN")).unwrap(), big());
}
