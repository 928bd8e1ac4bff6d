//! What a file is that is named as an image and is none: compressed, of another program's format, or not a disk at all.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::iso::DESCRIPTOR_AT_BYTES;
use crate::qemu::argv::shell_quoted;

/// What every descriptor of an ISO 9660 image begins with, behind its type (ECMA-119, 8.1).
const ISO_BEGIN: &[u8] = b"CD001";
/// Bytes of a file that are looked at.
const HEAD_BYTES: usize = 1024;
/// The longest name of a backing file (QEMU's docs/interop/qcow2.txt).
const BACKING_NAME_BYTES_MAX: usize = 1023;
/// What a qcow2 begins with.
const QCOW2_BEGIN: &[u8] = b"QFI\xfb";
/// Suffixes of archives that are compressed as a whole.
const ARCHIVES: [&str; 7] = [".tgz", ".txz", ".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2", ".tar.lz4"];

/// What a file is, and what makes an image of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// A clause: `it is compressed with gzip`.
    pub what: String,
    /// What a person does.
    pub mend: String,
}

/// How such a file is told from others, by bytes at a place.
struct Form {
    at: usize,
    begin: &'static [u8],
    what: &'static str,
    way: Way,
}

/// What a person does about it.
enum Way {
    /// Unpacks it with this command, if its name ends so, and keeps it.
    Unpack {
        command: &'static str,
        suffix: &'static str,
        to_output: &'static str,
    },
    /// Unpacks it with this command.
    Extract(&'static str),
    /// Has QEMU convert it.
    Convert,
    /// Something else.
    Say(&'static str),
}

const fn form(at: usize, begin: &'static [u8], what: &'static str, way: Way) -> Form {
    Form { at, begin, what, way }
}

const fn unpack(command: &'static str, suffix: &'static str, to_output: &'static str) -> Way {
    Way::Unpack {
        command,
        suffix,
        to_output,
    }
}

const AS_KERNEL: &str = "a kernel boots with `[image] kernel = \"…\"`, `initrd` and `append` in a gate file; to test the boot loader as \
     well, name the ISO image or the disk that it lies in";
const AS_PROGRAM: &str = "put it on a FAT file system as EFI/BOOT/BOOTX64.EFI, and name that disk";
const FETCH_AGAIN: &str = "fetch the image again, and hold it against its published digest";

/// By the formats' own descriptions, as `file(1)` has them, too.
const FORMS: [Form; 25] = [
    form(
        0,
        b"\x1f\x8b",
        "it is compressed with gzip",
        unpack("gunzip -k", ".gz", "gunzip -c"),
    ),
    form(
        0,
        b"\xfd7zXZ\0",
        "it is compressed with xz",
        unpack("xz -dk", ".xz", "xz -dc"),
    ),
    form(
        0,
        b"\x28\xb5\x2f\xfd",
        "it is compressed with zstd",
        unpack("zstd -d", ".zst", "zstd -dc"),
    ),
    form(
        0,
        b"BZh",
        "it is compressed with bzip2",
        unpack("bunzip2 -k", ".bz2", "bunzip2 -c"),
    ),
    form(
        0,
        b"\x04\x22\x4d\x18",
        "it is compressed with lz4",
        unpack("lz4 -d", ".lz4", "lz4 -dc"),
    ),
    form(
        0,
        b"\x5d\0\0",
        "it is compressed with lzma",
        unpack("xz -dk", ".lzma", "xz --format=lzma -dc"),
    ),
    form(0, b"PK\x03\x04", "it is a ZIP archive", Way::Extract("unzip")),
    form(0, b"7z\xbc\xaf\x27\x1c", "it is a 7-Zip archive", Way::Extract("7z x")),
    form(257, b"ustar", "it is a tar archive", Way::Extract("tar -xf")),
    form(0, b"KDMV", "it is a VMDK disk", Way::Convert),
    form(0, b"COWD", "it is a VMDK disk", Way::Convert),
    form(
        0,
        b"# Disk DescriptorFile",
        "it is the description of a VMDK disk",
        Way::Convert,
    ),
    form(0, b"conectix", "it is a VHD disk", Way::Convert),
    form(0, b"vhdxfile", "it is a VHDX disk", Way::Convert),
    form(0x40, b"\x7f\x10\xda\xbe", "it is a VDI disk", Way::Convert),
    form(0, b"QED\0", "it is a QED disk", Way::Convert),
    form(0, b"WithoutFreeSpace", "it is a disk of Parallels", Way::Convert),
    form(0, b"WithouFreSpacExt", "it is a disk of Parallels", Way::Convert),
    form(
        0,
        b"QFI\xfb\0\0\0\x01",
        "it is a disk of the first qcow format",
        Way::Convert,
    ),
    form(
        0,
        b"\x3a\xff\x26\xed",
        "it is a sparse image of Android",
        Way::Say("make a raw disk of it with `simg2img`"),
    ),
    form(0x202, b"HdrS", "it is a Linux kernel and no disk", Way::Say(AS_KERNEL)),
    form(0, b"MZ", "it is a program for UEFI and no disk", Way::Say(AS_PROGRAM)),
    form(
        0,
        b"<!doctype html",
        "it is a web page, as a download that was refused leaves",
        Way::Say(FETCH_AGAIN),
    ),
    form(
        0,
        b"<html",
        "it is a web page, as a download that was refused leaves",
        Way::Say(FETCH_AGAIN),
    ),
    form(
        0,
        b"version https://git-lfs",
        "it only stands for a file that Git LFS keeps",
        Way::Say("fetch what it stands for: git lfs pull"),
    ),
];

/// What a file is, if it is none that a machine could boot as it is.
///
/// # Errors
/// If it can't be read.
pub fn foreign(path: &Path) -> io::Result<Option<Foreign>> {
    let file = File::open(path)?;
    let mut descriptor = [0; ISO_BEGIN.len()];
    if file.read_exact_at(&mut descriptor, DESCRIPTOR_AT_BYTES + 1).is_ok() && descriptor == ISO_BEGIN {
        return Ok(None);
    }
    let mut head = [0; HEAD_BYTES];
    let length = file.read_at(&mut head, 0)?;
    let head = &head[..length];
    if let Some(form) = FORMS.iter().find(|form| form.is(head)) {
        return Ok(Some(Foreign {
            what: form.what.to_owned(),
            mend: form.way.told(path),
        }));
    }
    Ok(elsewhere(&file, head).map(|what| Foreign {
        what,
        mend: Way::Convert.told(path),
    }))
}

/// True if a file begins as a qcow2 does.
///
/// # Errors
/// If it can't be read.
pub fn is_qcow2(path: &Path) -> io::Result<bool> {
    let mut head = [0; QCOW2_BEGIN.len()];
    let length = File::open(path)?.read_at(&mut head, 0)?;
    Ok(head[..length] == *QCOW2_BEGIN)
}

impl Form {
    /// Letters count in either case: tags of a web page do.
    fn is(&self, head: &[u8]) -> bool {
        let found = head.get(self.at..self.at + self.begin.len());
        found
            .is_some_and(|found| found == self.begin || self.begin[0] == b'<' && found.eq_ignore_ascii_case(self.begin))
    }
}

impl Way {
    fn told(&self, path: &Path) -> String {
        let image = path.to_string_lossy();
        let word = |image: &str| {
            // What begins with a dash is an option.
            let dashed = if image.starts_with('-') { "./" } else { "" };
            shell_quoted(&[format!("{dashed}{image}")])
        };
        let lower = image.to_ascii_lowercase();
        match self {
            Self::Unpack { .. } if ARCHIVES.iter().any(|suffix| lower.ends_with(suffix)) => {
                format!("unpack it: tar -xf {}", word(&image))
            }
            Self::Unpack { command, suffix, .. } if image.ends_with(suffix) => {
                format!("unpack it: {command} {}", word(&image))
            }
            Self::Unpack { to_output, .. } => {
                format!(
                    "unpack it: {to_output} {} > {}",
                    word(&image),
                    word(&format!("{image}.unpacked"))
                )
            }
            Self::Extract(command) => format!("unpack it: {command} {}", word(&image)),
            Self::Convert => format!(
                "convert it: qemu-img convert -O qcow2 {} {}",
                word(&image),
                word(&format!("{image}.qcow2"))
            ),
            Self::Say(what) => (*what).to_owned(),
        }
    }
}

/// A qcow2 whose content lies in another file as well. That file is no part of the image's digest, and any header could name
/// any file of the host (QEMU's docs/interop/qcow2.txt).
fn elsewhere(file: &File, head: &[u8]) -> Option<String> {
    const EXTERNAL_DATA: u64 = 1 << 2;
    if !head.starts_with(QCOW2_BEGIN) || head.len() < 80 {
        return None;
    }
    let number = |at: usize| head[at..at + 8].try_into().map_or(0, u64::from_be_bytes);
    let length = usize::try_from(number(12) & 0xffff_ffff)
        .unwrap_or(usize::MAX)
        .min(BACKING_NAME_BYTES_MAX);
    let at = number(8);
    if at != 0 {
        let mut name = vec![0; length];
        let read = file.read_at(&mut name, at).unwrap_or(0);
        return Some(format!(
            "it is an overlay: what it does not hold itself lies in `{}`",
            crate::text::terminal_name(&name[..read], 200)
        ));
    }
    let version_3 = head[7] == 3;
    (version_3 && number(72) & EXTERNAL_DATA != 0).then(|| "its data lies in another file".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(name: &str, bytes: &[u8]) -> Option<(String, String)> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let beside = format!("{}/", directory.path().display());
        let foreign = foreign(&path).unwrap()?;
        Some((foreign.what, foreign.mend.replace(&beside, "")))
    }

    /// The bytes of a form at their place.
    fn at(form: &Form) -> Vec<u8> {
        let mut bytes = vec![0; form.at];
        bytes.extend_from_slice(form.begin);
        bytes.resize(2048, 0);
        bytes
    }

    #[test]
    fn every_form_is_known_and_no_iso_is_one() {
        for form in &FORMS {
            let mut bytes = at(form);
            assert_eq!(of("a", &bytes).unwrap().0, form.what);
            bytes.resize(64 * 1024, 0);
            bytes[32 * 1024 + 1..][..5].copy_from_slice(ISO_BEGIN);
            assert_eq!(of("a", &bytes), None, "{}", form.what);
        }
        assert_eq!(of("a", &[]), None);
        let mut disk = vec![0; 4096];
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(of("a", &disk), None);
    }

    #[test]
    fn the_command_is_one_to_type() {
        let gzip = at(&FORMS[0]);
        for (name, command) in [
            ("live.iso.gz", "gunzip -k live.iso.gz"),
            ("my live.iso.gz", "gunzip -k 'my live.iso.gz'"),
            ("live.iso", "gunzip -c live.iso > live.iso.unpacked"),
            ("live.tar.gz", "tar -xf live.tar.gz"),
        ] {
            assert_eq!(of(name, &gzip).unwrap().1, format!("unpack it: {command}"));
        }
        let vmdk = b"KDMV and so on";
        assert_eq!(
            of("a.vmdk", vmdk).unwrap().1,
            "convert it: qemu-img convert -O qcow2 a.vmdk a.vmdk.qcow2"
        );
        assert_eq!(of("a.iso", b"<!DOCTYPE HTML>\n").unwrap().1, FETCH_AGAIN);
        assert_eq!(
            Way::Extract("unzip").told(Path::new("-a.zip")),
            "unpack it: unzip ./-a.zip"
        );
    }

    fn qcow2(backing: (u64, u32), features: u64) -> Vec<u8> {
        let mut bytes = vec![0; 1024];
        bytes[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
        bytes[8..16].copy_from_slice(&backing.0.to_be_bytes());
        bytes[16..20].copy_from_slice(&backing.1.to_be_bytes());
        bytes[72..80].copy_from_slice(&features.to_be_bytes());
        bytes
    }

    #[test]
    fn a_qcow2_that_is_not_the_whole_disk_says_where_the_rest_lies() {
        assert_eq!(of("a", &qcow2((0, 0), 0)), None);
        let mut overlay = qcow2((512, 11), 0);
        overlay[512..523].copy_from_slice(b"/etc/shadow");
        let (what, mend) = of("a", &overlay).unwrap();
        assert_eq!(
            what,
            "it is an overlay: what it does not hold itself lies in `/etc/shadow`"
        );
        assert_eq!(mend, "convert it: qemu-img convert -O qcow2 a a.qcow2");
        assert!(of("a", &qcow2((0, 0), 4)).unwrap().0.contains("another file"));
    }

    proptest! {
        #[test]
        fn no_header_breaks_the_reader(rest in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [QCOW2_BEGIN, &rest].concat();
            if let Some((what, _)) = of("a", &bytes) {
                prop_assert!(what.chars().count() < 400);
            }
        }
    }
}
