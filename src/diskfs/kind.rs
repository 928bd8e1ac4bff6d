//! What a volume holds, by its signature.

use std::fmt;
use std::io;

use super::source::{Source, be, le};

/// What a volume holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is named as its makers name it")]
pub enum Kind {
    Ext2,
    Ext3,
    Ext4,
    Fat,
    Exfat,
    Ntfs,
    Btrfs,
    Xfs,
    F2fs,
    Erofs,
    Squashfs,
    Iso9660,
    /// Encrypted.
    Luks,
    /// A part of an LVM volume group.
    Lvm,
    /// A part of a software RAID.
    Raid,
    Swap,
    /// Zeros, as far as a signature could be.
    Blank,
    /// Nothing that is known here.
    Unknown,
}

/// Bytes in which every signature lies.
const SIGNATURES_BYTES: u64 = 0x1_1000;
/// Where a page of 4 KiB, which swap is measured in, has its signature.
const SWAP_SIGNATURE: usize = 4096 - 10;

impl Kind {
    /// Looks at the beginning of a volume.
    pub(super) fn of(volume: &Source) -> io::Result<Self> {
        let head = volume.head(0, SIGNATURES_BYTES)?;
        let is = |at: usize, signature: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(signature));
        let lvm = (0..4).any(|sector| is(sector * 512, b"LABELONE") && is(sector * 512 + 24, b"LVM2 001"));
        Ok(if is(0, b"LUKS\xba\xbe") {
            Self::Luks
        } else if lvm {
            Self::Lvm
        } else if is(0, b"XFSB") {
            Self::Xfs
        } else if is(0, b"hsqs") {
            Self::Squashfs
        } else if is(0x1_0040, b"_BHRfS_M") {
            Self::Btrfs
        } else if is(0x438, &[0x53, 0xef]) {
            ext(&head)
        } else if is(0x400, &[0x10, 0x20, 0xf5, 0xf2]) {
            Self::F2fs
        } else if is(0x400, &[0xe2, 0xe1, 0xf5, 0xe0]) {
            Self::Erofs
        } else if is(0x1000, &[0xfc, 0x4e, 0x2b, 0xa9]) || is(0, &[0xfc, 0x4e, 0x2b, 0xa9]) {
            Self::Raid
        } else if is(SWAP_SIGNATURE, b"SWAPSPACE2") || is(SWAP_SIGNATURE, b"SWAP-SPACE") {
            Self::Swap
        } else if is(0x8001, b"CD001") {
            Self::Iso9660
        } else if is(3, b"NTFS    ") {
            Self::Ntfs
        } else if is(3, b"EXFAT   ") {
            Self::Exfat
        } else if is(510, &[0x55, 0xaa]) && (is(54, b"FAT1") || is(82, b"FAT32   ")) {
            Self::Fat
        } else if head.iter().all(|byte| *byte == 0) {
            Self::Blank
        } else {
            Self::Unknown
        })
    }

    /// With its article, for a sentence.
    pub fn described(self) -> &'static str {
        match self {
            Self::Ext2 => "an ext2 file system",
            Self::Ext3 => "an ext3 file system",
            Self::Ext4 => "an ext4 file system",
            Self::Fat => "a FAT file system",
            Self::Exfat => "an exFAT file system",
            Self::Ntfs => "an NTFS file system",
            Self::Btrfs => "a btrfs file system",
            Self::Xfs => "an XFS file system",
            Self::F2fs => "an F2FS file system",
            Self::Erofs => "an EROFS file system",
            Self::Squashfs => "a squashfs file system",
            Self::Iso9660 => "an ISO 9660 file system",
            Self::Luks => "encrypted (LUKS)",
            Self::Lvm => "a part of an LVM volume group",
            Self::Raid => "a part of a software RAID",
            Self::Swap => "swap space",
            Self::Blank => "blank",
            Self::Unknown => "of a kind that is not known",
        }
    }

    /// Its name in a list.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Fat => "fat",
            Self::Exfat => "exfat",
            Self::Ntfs => "ntfs",
            Self::Btrfs => "btrfs",
            Self::Xfs => "xfs",
            Self::F2fs => "f2fs",
            Self::Erofs => "erofs",
            Self::Squashfs => "squashfs",
            Self::Iso9660 => "iso9660",
            Self::Luks => "luks",
            Self::Lvm => "lvm",
            Self::Raid => "raid",
            Self::Swap => "swap",
            Self::Blank => "blank",
            Self::Unknown => "unknown",
        }
    }

    /// True if a reader of our own reads it.
    pub fn is_read_here(self) -> bool {
        matches!(self, Self::Ext2 | Self::Ext3 | Self::Ext4 | Self::Fat)
    }

    /// True if libguestfs mounts it as it is.
    pub(super) fn is_mountable(self) -> bool {
        self.is_read_here()
            || matches!(
                self,
                Self::Exfat
                    | Self::Ntfs
                    | Self::Btrfs
                    | Self::Xfs
                    | Self::F2fs
                    | Self::Erofs
                    | Self::Squashfs
                    | Self::Iso9660
            )
    }

    /// What a person does to see what is in it.
    pub(super) fn mend(self) -> &'static str {
        match self {
            Self::Luks => "only the guest has its key: `resume`, and look from within over `ssh`",
            Self::Lvm | Self::Raid => "the guest puts it together: `resume`, and look from within over `ssh`",
            Self::Swap | Self::Blank => "there are no files in it; `disk ls` without a path lists the other volumes",
            Self::Unknown => "`disk ls` without a path lists the other volumes; or `resume` and look over `ssh`",
            _ => {
                "install libguestfs, which reads it without mounting it on this host (Debian and Ubuntu: `apt install \
                 guestfish`; Fedora: `dnf install guestfs-tools`), or `resume` and look from within over `ssh`"
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which of the three, by their features (`s_feature_compat` and `s_feature_incompat` in the kernel's ext4 documentation).
fn ext(head: &[u8]) -> Kind {
    const HAS_JOURNAL: u64 = 0x4;
    /// What ext3 knows: file types, recovery, an external journal, meta block groups.
    const KNOWN_TO_EXT3: u64 = 0x1e;
    let (compatible, incompatible) = (le::<4>(head, 0x45c), le::<4>(head, 0x460));
    match (incompatible & !KNOWN_TO_EXT3, compatible & HAS_JOURNAL) {
        (0, 0) => Kind::Ext2,
        (0, _) => Kind::Ext3,
        _ => Kind::Ext4,
    }
}

/// A volume's own name for itself, if it is of a kind that tells.
pub(super) fn label(volume: &Source, kind: Kind) -> Vec<u8> {
    let (at, size_max) = match kind {
        Kind::Ext2 | Kind::Ext3 | Kind::Ext4 => (0x478, 16),
        Kind::Xfs => (0x6c, 12),
        Kind::Btrfs => (0x1_012b, 256),
        Kind::Iso9660 => (0x8028, 32),
        Kind::Swap => (0x41c, 16),
        // LUKS 2 only: version 1 has no label.
        Kind::Luks if volume.head(6, 2).is_ok_and(|version| be::<2>(&version, 0) == 2) => (0x18, 48),
        Kind::Fat if volume.head(82, 5).is_ok_and(|name| name == b"FAT32") => (71, 11),
        Kind::Fat => (43, 11),
        _ => return Vec::new(),
    };
    let label = volume.head(at, size_max).unwrap_or_default();
    let label = label
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default()
        .trim_ascii_end();
    if kind == Kind::Fat && label == b"NO NAME" {
        return Vec::new();
    }
    label.to_vec()
}
