//! What is not read here is named, with what to do.

use crate::images::{MIB, cat, run, text};
use bootgate::diskfs::{Disk, Kind};
use std::os::unix::fs::FileExt as _;

#[test]
fn every_kind_is_told_by_its_signature() {
    let dir = tempfile::tempdir().unwrap();
    let mut errors = String::new();
    for (kind, at, signature) in [
        (Kind::Luks, 0, b"LUKS\xba\xbe\0\x02".as_slice()),
        (Kind::Xfs, 0, b"XFSB"),
        (Kind::Btrfs, 0x1_0040, b"_BHRfS_M"),
        (Kind::Squashfs, 0, b"hsqs"),
        (Kind::Iso9660, 0x8001, b"CD001"),
        (Kind::Swap, 4086, b"SWAPSPACE2"),
        (Kind::Raid, 4096, b"\xfc\x4e\x2b\xa9"),
        (Kind::F2fs, 1024, b"\x10\x20\xf5\xf2"),
        (Kind::Erofs, 1024, b"\xe2\xe1\xf5\xe0"),
        (Kind::Ntfs, 3, b"NTFS    "),
        (Kind::Exfat, 3, b"EXFAT   "),
        (Kind::Blank, 0, b""),
        (Kind::Unknown, 0, b"\x7fELF"),
    ] {
        let path = dir.path().join(kind.name());
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(MIB).unwrap();
        file.write_all_at(signature, at).unwrap();
        let disk = Disk::open_without_guestfish(&path).unwrap();
        assert_eq!(disk.volumes()[0].kind, kind);
        let error = cat(&disk, "/etc/fstab").unwrap_err();
        let told = format!("{error}\n    {}\n", error.mend());
        errors.push_str(&told);
    }
    insta::assert_snapshot!(errors);
}

#[test]
fn lvm_and_swap_are_told_as_their_tools_make_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("swap");
    std::fs::File::create(&path).unwrap().set_len(MIB).unwrap();
    run("mkswap", &["-L", "pages", text(&path)], "");
    let disk = Disk::open(&path).unwrap();
    assert_eq!(
        (disk.volumes()[0].kind, &*disk.volumes()[0].label),
        (Kind::Swap, &b"pages"[..])
    );
    let path = dir.path().join("lvm");
    let mut sector = vec![0; 1024];
    sector[512..520].copy_from_slice(b"LABELONE");
    sector[536..544].copy_from_slice(b"LVM2 001");
    std::fs::write(&path, sector).unwrap();
    assert_eq!(Disk::open(&path).unwrap().volumes()[0].kind, Kind::Lvm);
    std::fs::write(&path, "x").unwrap();
    assert_eq!(Disk::open(&path).unwrap().volumes()[0].kind, Kind::Unknown);
}

/// A feature that the reader lacks is not damage.
#[test]
fn an_unknown_feature_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let image = crate::images::ext(dir.path(), "inline", &["-t", "ext4", "-O", "inline_data"]);
    let disk = Disk::open_without_guestfish(&image).unwrap();
    let error = cat(&disk, "/etc/fstab").unwrap_err();
    insta::assert_snapshot!(format!("{error}\n    {}\n", error.mend()));
}

/// A program in the place of guestfish, as it is called.
#[test]
fn guestfish_reads_the_rest_where_it_is_installed() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let fake = dir.path().join("guestfish");
    let script = r#"#!/bin/sh
[ "$LIBGUESTFS_BACKEND" = direct ] || exit 9
case "$*" in
  "--ro --format=raw -a "*"/xfs -m /dev/sda ll /etc") printf 'total 4\ndrwxr-xr-x 2 0 0 60 Nov 23 12:00 .\n-rw-r--r-- 1 0 0 5 Nov 23 12:00 fstab\n' ;;
  "--ro --format=raw -a "*"/xfs -m /dev/sda download /etc/fstab -") printf hello ;;
  *) echo "guestfish: no such thing: No such file or directory" >&2; exit 1 ;;
esac
"#;
    std::fs::write(&fake, script).unwrap();
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("xfs");
    let mut head = b"XFSB".to_vec();
    head.resize(8192, 0);
    std::fs::write(&path, head).unwrap();
    let disk = Disk::open_with_guestfish(&path, fake).unwrap();
    assert_eq!(crate::images::names(&disk, "/etc"), "fstab");
    assert_eq!(cat(&disk, "/etc/fstab").unwrap(), b"hello");
    let error = cat(&disk, "/none").unwrap_err();
    assert_eq!(error.to_string(), "there is no `/none` on volume 0");
}
