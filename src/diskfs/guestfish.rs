//! What no reader of ours reads, by libguestfs where it is installed: it reads a file system in a small virtual machine of
//! its own and never mounts one on the host. One question takes half a minute without KVM.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::tree::{Entry, EntryKind, Failure, Sink};
use crate::qemu::binary::locate;
use crate::qemu::child::{self, Finished, Limits};
use crate::units::{ByteSize, MIB};

/// How long one question may take: its machine boots under TCG, on a loaded host.
const DEADLINE: Duration = Duration::from_secs(300);
/// Bytes of one answer, and so of one file.
const ANSWER_BYTES_MAX: u64 = 64 * MIB;

/// The program `guestfish`.
#[derive(Debug, Clone)]
pub(super) struct Guestfish {
    program: PathBuf,
}

impl Guestfish {
    /// The one in `PATH`.
    pub(super) fn find() -> Option<Self> {
        let program = locate(Path::new("guestfish")).ok()?;
        Some(Self { program })
    }

    /// A given one.
    pub(super) fn at(program: PathBuf) -> Self {
        Self { program }
    }

    /// The names of a directory, or one file.
    pub(super) fn list(&self, image: &Path, volume: u32, path: &[u8]) -> Result<Vec<Entry>, Failure> {
        let answer = self.ask(image, volume, "ll", path, &[], ANSWER_BYTES_MAX)?;
        let lines = answer.split(|byte| *byte == b'\n');
        let mut entries: Vec<Entry> = lines.filter_map(entry).collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// A file's first `limit_bytes` bytes, at most [`ANSWER_BYTES_MAX`]; true if there are more.
    pub(super) fn read(
        &self,
        image: &Path,
        volume: u32,
        path: &[u8],
        limit_bytes: u64,
        sink: &mut Sink<'_>,
    ) -> Result<(u64, bool), Failure> {
        let answer = self.ask(image, volume, "download", path, &["-"], ANSWER_BYTES_MAX)?;
        let end = usize::try_from(limit_bytes).unwrap_or(usize::MAX).min(answer.len());
        sink(&answer[..end])?;
        Ok((end as u64, end < answer.len()))
    }

    fn ask(
        &self,
        image: &Path,
        volume: u32,
        verb: &str,
        path: &[u8],
        more: &[&str],
        bytes_max: u64,
    ) -> Result<Vec<u8>, Failure> {
        use std::os::unix::ffi::OsStrExt as _;
        let device = match volume {
            0 => "/dev/sda".to_owned(),
            number => format!("/dev/sda{number}"),
        };
        // A helper sees few variables; this one keeps libvirt out.
        let mut command = Command::new("env");
        command.arg("LIBGUESTFS_BACKEND=direct").arg(&self.program);
        command.args(["--ro", "--format=raw", "-a"]).arg(image);
        command.args(["-m", &device, verb]);
        command.arg(std::ffi::OsStr::from_bytes(path)).args(more);
        let limits = Limits {
            deadline: DEADLINE,
            stdout_bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
        };
        let failed = |how: String| Failure::Guestfish {
            how,
            complaint: String::new(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| failed(format!("can't be started: {error}")))?;
        let finished = runtime
            .block_on(child::run(command, limits))
            .map_err(|error| failed(format!("can't be started: {error}")))?;
        answer(finished, bytes_max)
    }
}

fn answer(finished: Finished, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    if finished.succeeded() {
        return Ok(finished.stdout);
    }
    if finished.ended == child::Ended::TooMuchOutput {
        return Err(Failure::Limit(format!("{} from guestfish", ByteSize(bytes_max))));
    }
    let complaint = finished.complaint();
    if complaint.contains("No such file or directory") {
        return Err(Failure::NotThere);
    }
    Err(Failure::Guestfish {
        how: finished.how(),
        complaint,
    })
}

/// A line of `ls -la`: mode, links, owner, group, size, three words of time, name.
fn entry(line: &[u8]) -> Option<Entry> {
    let (mode, mut rest) = word(line)?;
    let kind = match mode.first()? {
        b'-' => EntryKind::File,
        b'd' => EntryKind::Directory,
        b'l' => EntryKind::Symlink,
        b'p' => EntryKind::Fifo,
        b's' => EntryKind::Socket,
        b'b' => EntryKind::BlockDevice,
        b'c' => EntryKind::CharacterDevice,
        _ => return None,
    };
    let is_device = matches!(kind, EntryKind::BlockDevice | EntryKind::CharacterDevice);
    let mut size_bytes = 0;
    // A device has two numbers where others have a size.
    for index in 0..7 + usize::from(is_device) {
        let field;
        (field, rest) = word(rest)?;
        if index == 3 && !is_device {
            size_bytes = std::str::from_utf8(field).ok()?.parse().ok()?;
        }
    }
    let name = rest.strip_prefix(b" ")?;
    let (name, target) = match (kind, name.windows(4).position(|part| part == b" -> ")) {
        (EntryKind::Symlink, Some(at)) => (&name[..at], Some(name[at + 4..].to_vec())),
        _ => (name, None),
    };
    let is_listed = !matches!(name, b"" | b"." | b"..");
    is_listed.then(|| Entry {
        name: name.to_vec(),
        kind,
        size_bytes,
        mode: bits(mode),
        modified_s: None,
        target,
    })
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = text.iter().position(|byte| *byte != b' ')?;
    let text = &text[start..];
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    Some(text.split_at(end))
}

/// `rwxr-sr-t` as permission bits.
fn bits(mode: &[u8]) -> Option<u16> {
    let letters = mode.get(1..10)?;
    let mut bits = 0;
    for (index, letter) in letters.iter().enumerate() {
        if !matches!(letter, b'-' | b'S' | b'T') {
            bits |= 0o400 >> index;
        }
        if matches!(letter, b's' | b'S' | b't' | b'T') {
            bits |= 0o4000 >> (index / 3);
        }
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_ls_are_read() {
        let read = |line: &str| entry(line.as_bytes());
        let file = read("-rwsr-xr-t  1 root root 1234 Nov 23 12:00  two  blanks ").unwrap();
        assert_eq!(
            (file.kind, file.size_bytes, file.mode, &*file.name),
            (EntryKind::File, 1234, Some(0o5755), b" two  blanks ".as_slice())
        );
        let link = read("lrwxrwxrwx 1 0 0 7 Nov 23  2025 bin -> usr/bin").unwrap();
        assert_eq!(
            (&*link.name, link.target.as_deref()),
            (&b"bin"[..], Some(&b"usr/bin"[..]))
        );
        let device = read("crw-rw-rw- 1 root root 1, 3 Nov 23 12:00 null").unwrap();
        assert_eq!((device.kind, &*device.name), (EntryKind::CharacterDevice, &b"null"[..]));
        for other in [
            "total 12",
            "",
            "drwxr-xr-x 2 0 0 40 Nov 23 12:00 .",
            "-rw",
            "x\u{1b}[31m",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
