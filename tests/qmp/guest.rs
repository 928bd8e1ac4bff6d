//! Guests of a few instructions, in a boot sector each, and the QEMU that runs them.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::net::UnixStream;
use tokio::process::{Child, Command};

/// `hlt; jmp $-1`
const IDLE: &[u8] = &[0xf4, 0xeb, 0xfd];
/// `mov al, 0xfe; out 0x64, al`: the keyboard controller pulls the reset line.
pub(crate) const RESETS: &[u8] = &[0xb0, 0xfe, 0xe6, 0x64];
/// `mov dx, 0x604; mov ax, 0x2000; out dx, ax`: ACPI S5 with the power management base that SeaBIOS sets.
pub(crate) const POWERS_OFF: &[u8] = &[0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef];
/// `mov dx, 0x505; mov al, 1; out dx, al`: pvpanic's port, bit 0 for a panic.
pub(crate) const PANICS: &[u8] = &[0xba, 0x05, 0x05, 0xb0, 0x01, 0xee];
/// The same with bit 1: the guest loaded its crash kernel.
pub(crate) const LOADS_CRASH_KERNEL: &[u8] = &[0xba, 0x05, 0x05, 0xb0, 0x02, 0xee];
/// `xor ax, ax; mov ds, ax; mov es, ax; mov bx, 0x7c00; mov ax, 0x0301; mov cx, 1; mov dx, 0x81; int 0x13`: writes one
/// sector of the second disk.
pub(crate) const WRITES: &[u8] = &[
    0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0xbb, 0x00, 0x7c, 0xb8, 0x01, 0x03, 0xb9, 0x01, 0x00, 0xba, 0x81, 0x00, 0xcd,
    0x13,
];

/// Size of the boot disk.
const DISK_BYTES: u64 = 1024 * 1024;

/// A QEMU on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    pub(crate) binary: PathBuf,
    /// Where its firmware is, if not where it looks itself.
    pub(crate) data: Vec<PathBuf>,
}

/// The packaged QEMU, and the newer one of `fixtures/qemu10/unpack.sh` if it was unpacked.
pub(crate) fn installed() -> Vec<Installed> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let packaged = std::env::split_paths(&path)
        .map(|folder| folder.join("qemu-system-x86_64"))
        .find(|file| file.exists());
    let packaged =
        packaged.expect("qemu-system-x86_64 is not in PATH; install it with: apt-get install qemu-system-x86");
    let mut found = vec![Installed {
        binary: packaged,
        data: Vec::new(),
    }];
    let home = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let cache = home("XDG_CACHE_HOME").or_else(|| home("HOME").map(|home| home.join(".cache")));
    let unpacked = cache.unwrap_or_default().join("bootgate/qemu-10.0");
    let binary = unpacked.join("usr/bin/qemu-system-x86_64");
    if binary.exists() {
        let data = ["usr/share/qemu", "usr/share/seabios"].map(|folder| unpacked.join(folder));
        found.push(Installed {
            binary,
            data: data.to_vec(),
        });
    }
    found
}

impl Installed {
    /// Starts it, paused, with QMP on a socket that only we and it hold. It reads the socket as its standard input: the
    /// one descriptor that a child inherits without any unsafe code.
    pub(crate) fn start(&self, extra: &[&str]) -> (Child, UnixStream) {
        let (ours, theirs) = StdUnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut command = Command::new(&self.binary);
        command.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-machine",
            "pc,accel=tcg",
            "-m",
            "16M",
            "-S",
        ]);
        command
            .args(["-chardev", "socket,id=qmp,fd=0", "-qmp", "chardev:qmp"])
            .args(extra);
        for folder in &self.data {
            command.arg("-L").arg(folder);
        }
        command.stdin(Stdio::from(OwnedFd::from(theirs))).kill_on_drop(true);
        let child = command.spawn().unwrap();
        (child, UnixStream::from_std(ours).unwrap())
    }
}

/// Makes a disk that runs `program`, then idles.
pub(crate) fn boot_disk(path: &Path, program: &[u8]) {
    let mut sector = [program, IDLE].concat();
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    std::fs::write(path, sector).unwrap();
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(DISK_BYTES)
        .unwrap();
}
