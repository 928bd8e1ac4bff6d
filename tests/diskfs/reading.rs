//! Names and contents.

use crate::images::{MIB, big, cat, ext, fat, names, partitioned, place};
use bootgate::diskfs::{Disk, DiskFsError, Kind, PrintableWriter};
use std::io::Write as _;

#[test]
fn every_ext_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for (name, kind, options) in [
        ("ext2", Kind::Ext2, vec!["-t", "ext2", "-L", "old"]),
        ("ext3", Kind::Ext3, vec!["-t", "ext3", "-b", "1024"]),
        ("ext4", Kind::Ext4, vec!["-t", "ext4"]),
        (
            "ext4-1k",
            Kind::Ext4,
            vec!["-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^64bit"],
        ),
    ] {
        let disk = Disk::open(&ext(dir.path(), name, &options)).unwrap();
        assert_eq!(disk.volumes()[0].kind, kind, "{name}");
        assert_eq!(disk.volumes()[0].number, 0);
        assert_eq!(
            names(&disk, "/"),
            "big bin chain dangling etc loop lost+found usr",
            "{name}"
        );
        assert_eq!(names(&disk, "/usr"), "bin table");
        assert_eq!(names(&disk, "/bin/"), "");
        assert_eq!(cat(&disk, "/big").unwrap(), big(), "{name}");
        for path in [
            "/etc/fstab",
            "0:/etc/fstab",
            "//usr/./../etc//fstab",
            "/usr/table",
            "/chain",
            "/../../etc/fstab",
        ] {
            assert_eq!(
                cat(&disk, path).unwrap(),
                b"UUID=1 / ext4 defaults 0 1\n",
                "{name} {path}"
            );
        }
        assert_eq!(cat(&disk, "/etc/empty").unwrap(), b"");
    }
}

#[test]
fn what_is_no_file_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(&ext(dir.path(), "ext4", &["-t", "ext4"])).unwrap();
    for (path, said) in [
        ("/etc", "`/etc` is a directory and not a file"),
        ("/etc/fstab/x", "`/etc/fstab/x` is not a directory"),
        ("/none", "there is no `/none` on volume 0"),
        ("/dangling", "there is no `/dangling` on volume 0"),
        ("/loop", "the symbolic links of `/loop` lead to no end"),
        ("7:/etc", "the disk has no volume 7; it has 0 (ext4)"),
    ] {
        let error = cat(&disk, path).unwrap_err();
        assert_eq!(error.to_string(), said);
        assert!(!error.mend().is_empty());
    }
    let mut head = Vec::new();
    let done = disk.read(&place("/big"), 1000, &mut head).unwrap();
    assert_eq!((done.bytes, done.cut, head.len()), (1000, true, 1000));
}

#[test]
fn every_fat_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for (bits, size_bytes) in [("12", 4 * MIB), ("16", 32 * MIB), ("32", 64 * MIB)] {
        let disk = Disk::open(&fat(dir.path(), bits, size_bytes, &["-F", bits])).unwrap();
        let volume = &disk.volumes()[0];
        assert_eq!((volume.kind, &*volume.label), (Kind::Fat, &b"ESP"[..]), "FAT{bits}");
        assert_eq!(names(&disk, "/"), "BIG.BIN EFI");
        assert_eq!(names(&disk, "/efi/boot"), "A long name of a file.txt");
        assert_eq!(cat(&disk, "/big.bin").unwrap(), big());
        assert_eq!(
            cat(&disk, "/EFI/BOOT/A long name of a file.txt").unwrap(),
            b"UUID=1 / ext4 defaults 0 1\n"
        );
        let error = cat(&disk, "/EFI").unwrap_err();
        assert!(matches!(error, DiskFsError::NotAFile { .. }), "{error}");
    }
}

#[test]
fn partitions_are_found_and_the_root_is_preferred() {
    let dir = tempfile::tempdir().unwrap();
    let esp = fat(dir.path(), "esp", 64 * MIB, &["-F", "32"]);
    let root = ext(dir.path(), "root", &["-t", "ext4", "-L", "root"]);
    let data = dir.path().join("data");
    std::fs::copy(&root, &data).unwrap();
    crate::images::run(
        "debugfs",
        &["-w", "-f", "-", crate::images::text(&data)],
        "rm /etc/fstab\nrm /etc/empty\nrm /etc/long\nrmdir /etc\n",
    );
    for label in ["gpt", "dos"] {
        let disk = Disk::open(&partitioned(dir.path(), label, &[&esp, &root, &data])).unwrap();
        let found: Vec<_> = disk
            .volumes()
            .iter()
            .map(|volume| (volume.number, volume.kind))
            .collect();
        assert_eq!(found, [(1, Kind::Fat), (2, Kind::Ext4), (3, Kind::Ext4)], "{label}");
        if label == "gpt" {
            assert_eq!(disk.volumes()[1].line(), "  2  ext4         64 MiB  part 1, root");
        }
        assert_eq!(disk.list(&place("/")).unwrap().volume, 2);
        assert_eq!(disk.list(&place("/EFI")).unwrap().volume, 1);
        assert_eq!(cat(&disk, "/big").unwrap(), big());
        assert_eq!(names(&disk, "1:"), "BIG.BIN EFI");
        let error = cat(&disk, "/none").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no `/none` on any of the volumes that can be read (1 (fat), 2 (ext4), 3 (ext4))"
        );
    }
    let twice = Disk::open(&partitioned(dir.path(), "gpt", &[&root, &root])).unwrap();
    let error = cat(&twice, "/big").unwrap_err();
    assert_eq!(error.to_string(), "`/big` is on the volumes 1, 2");
}

#[test]
fn logical_partitions_and_the_second_table_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("disk");
    std::fs::File::create(&image).unwrap().set_len(64 * MIB).unwrap();
    let script = "label: dos\nsize=4MiB\ntype=5\nsize=4MiB\nsize=8MiB\n";
    crate::images::run("sfdisk", &["-q", crate::images::text(&image)], script);
    let disk = Disk::open(&image).unwrap();
    let found: Vec<_> = disk
        .volumes()
        .iter()
        .map(|volume| (volume.number, volume.size_bytes / MIB))
        .collect();
    assert_eq!(found, [(1, 4), (5, 4), (6, 8)]);

    let root = ext(dir.path(), "root", &["-t", "ext4"]);
    let image = partitioned(dir.path(), "gpt", &[&root]);
    let file = std::fs::OpenOptions::new().write(true).open(&image).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 512], 512).unwrap();
    let disk = Disk::open(&image).unwrap();
    assert_eq!(disk.volumes()[0].kind, Kind::Ext4);
}

#[test]
fn a_list_is_written_as_ls_does() {
    let dir = tempfile::tempdir().unwrap();
    let image = ext(dir.path(), "ext4", &["-t", "ext4"]);
    let commands = "cd /usr/bin\nmknod null c 1 3\nmknod disk b 8 0\nmknod pipe p\n\
         write /dev/null su\nset_inode_field su mode 0104755\nset_inode_field su mtime 20261123120000\n\
         set_inode_field null mode 020666\nset_inode_field null mtime 20261123120000\n\
         set_inode_field disk mode 060600\nset_inode_field disk mtime 20261123120000\n\
         set_inode_field pipe mode 010644\nset_inode_field pipe mtime 20261123120000\n\
         symlink \x1b]0;owned\x07name target\nset_inode_field \x1b]0;owned\x07name mtime 20261123120000\n\
         set_inode_field \x1b]0;owned\x07name mode 0120777\n";
    crate::images::run("debugfs", &["-w", "-f", "-", crate::images::text(&image)], commands);
    let listing = Disk::open(&image).unwrap().list(&place("/usr/bin")).unwrap();
    insta::assert_snapshot!(listing.text());
    insta::assert_json_snapshot!(listing.json());
}

#[test]
fn a_file_for_a_terminal_does_not_act_on_it() {
    let raw = "a\tb\x1b]0;owned\x07\r\nname\u{202e}\x1b[31m red\rcr\u{9b}2J \u{e9}".as_bytes();
    for chunk in [1, 3, raw.len()] {
        let mut writer = PrintableWriter::new(Vec::new());
        raw.chunks(chunk).for_each(|part| writer.write_all(part).unwrap());
        let text = String::from_utf8(writer.finish().unwrap()).unwrap();
        assert_eq!(text, "a\tb\nname\\u{202e} red\ncr2J é", "chunks of {chunk}");
    }
}
