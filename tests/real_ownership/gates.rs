//! Gates that lead to each state soon.
#![allow(dead_code, reason = "not every test binary needs all of it")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::watched_run::tiny;

/// A line that the kernel writes long before its guest can do anything.
pub(crate) const EARLY: &str = "Linux version";
/// The line of the live system.
pub(crate) const MARKER: &str = "BOOTGATE-LIVE-READY";

/// A gate on the tiny guest, in few lines.
pub(crate) struct Gate {
    pub(crate) iso: bool,
    pub(crate) marker: &'static str,
    pub(crate) forbidden: Option<&'static str>,
    /// What the root's password is taken from, as TOML; no `[ssh]` without it.
    pub(crate) password: Option<String>,
    pub(crate) disk: bool,
    pub(crate) accelerator: &'static str,
    pub(crate) qemu: Option<PathBuf>,
    /// What becomes of a machine that fails.
    pub(crate) on_failure: &'static str,
    pub(crate) stages: String,
}

impl Default for Gate {
    /// Boots the kernel directly, up to its marker.
    fn default() -> Self {
        Self {
            iso: false,
            marker: MARKER,
            forbidden: None,
            password: None,
            disk: false,
            accelerator: "tcg",
            qemu: None,
            on_failure: "discard",
            stages: boot("marker"),
        }
    }
}

impl Gate {
    pub(crate) fn text(&self) -> String {
        let guest = tiny();
        let mut text = format!("gate = \"owned\"\non-failure = \"{}\"\n[image]\n", self.on_failure);
        if self.iso {
            let _ = writeln!(text, "iso = {}\nattach = \"virtio\"", quoted(&guest.join("tiny.iso")));
        } else {
            // A kernel that is silent boots seconds sooner without KVM; its first line is wanted only as a marker.
            let quiet = if self.marker == EARLY || self.forbidden.is_some() {
                ""
            } else {
                " quiet loglevel=0"
            };
            let (kernel, initrd) = (quoted(&guest.join("vmlinuz")), quoted(&guest.join("initrd")));
            let _ = writeln!(
                text,
                "kernel = {kernel}\ninitrd = {initrd}\nappend = \"console=ttyS0,115200{quiet}\""
            );
        }
        let accelerator = self.accelerator;
        let _ = writeln!(text, "[machine]\nfirmware = \"bios\"\ncpus = 1\nmemory = \"256MiB\"");
        let _ = writeln!(text, "accelerator = \"{accelerator}\"");
        if let Some(qemu) = &self.qemu {
            let _ = writeln!(text, "qemu = {}", quoted(qemu));
        }
        if self.disk {
            let _ = writeln!(text, "[[disk]]\nname = \"target\"\nsize = \"16MiB\"");
        }
        let _ = writeln!(text, "[console]\nmarkers = [{:?}]", self.marker);
        if let Some(line) = self.forbidden {
            let _ = writeln!(text, "fail = [{line:?}]");
        }
        if let Some(password) = &self.password {
            let _ = writeln!(text, "[ssh]\nuser = \"root\"\npassword = {password}\nstable-logins = 1");
        }
        text + &self.stages
    }

    /// The same with the live system's own password.
    pub(crate) fn with_login(self) -> Self {
        let password = Some("\"tiny-live\"".to_owned());
        Self { password, ..self }
    }
}

/// A path as TOML.
pub(crate) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}

pub(crate) fn boot(claims: &str) -> String {
    format!("[[stage]]\nname = \"boot-{claims}\"\nkind = \"boot\"\ntimeout = \"2m\"\nclaims = \"{claims}\"\n")
}

pub(crate) fn command(command: &str) -> String {
    format!("[[stage]]\nname = \"install\"\nkind = \"command\"\ntimeout = \"2m\"\ncommand = {command:?}\n")
}

/// Boot, an installer that writes one boot sector, and the boot of the disk. `answer` is TOML.
pub(crate) fn installs(sector: &Path, target: &str, answer: &str) -> Gate {
    let mut stages = boot("login") + &command("dd if=/root/sector of=/dev/vda && sync");
    let _ = writeln!(
        stages,
        "upload = [{{ from = {}, to = \"/root/sector\" }}]",
        quoted(sector)
    );
    let _ = writeln!(
        stages,
        "[[stage]]\nname = \"installed\"\nkind = \"installed-boot\"\ntimeout = \"1m\""
    );
    let _ = writeln!(stages, "target = {target:?}");
    let _ = writeln!(stages, "unlock = {{ prompt = {PROMPT:?}, answer = {answer} }}");
    let gate = Gate {
        disk: true,
        stages,
        ..Gate::default()
    };
    gate.with_login()
}

/// What the boot sector asks.
pub(crate) const PROMPT: &str = "Please enter passphrase for disk";
/// What it says when it was answered.
pub(crate) const TARGET: &str = "Reached target sector";

/// A whole installed system in 512 bytes: it says that it is a kernel, asks for a passphrase without echo, reads a line,
/// and reaches its target. With `deaf` it never reads.
pub(crate) fn sector(deaf: bool) -> Vec<u8> {
    // Assembled from real-mode code; the text begins at 0x7c80.
    const CODE: [u8; 62] = [
        0xfa, 0xfc, // cli; cld
        0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, // ax, ds, ss = 0
        0xbc, 0x00, 0x7c, // sp = 0x7c00
        0xbe, 0x80, 0x7c, // si = 0x7c80
        0xac, // next: al = *si++
        0x3c, ASK, 0x74, 0x16, // if al == ASK goto ask
        0x84, 0xc0, 0x74, 0x24, // if al == 0 goto end
        0x88, 0xc3, // bl = al
        0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xf8, // wait until the transmitter of the serial port is empty
        0xba, 0xf8, 0x03, 0x88, 0xd8, 0xee, // write bl
        0xeb, 0xe5, // goto next
        0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf8, // ask: wait for a byte
        0xba, 0xf8, 0x03, 0xec, // read it
        0x3c, b'\r', 0x75, 0xf0, // if it ends no line goto ask
        0xeb, 0xd3, // goto next
        0xf4, 0xeb, 0xfd, // end: hlt; goto end
    ];
    const ASK: u8 = 5;
    let ask = if deaf { '\0' } else { char::from(ASK) };
    let text = format!("{EARLY} 0 (sector)\r\n{PROMPT} sda1: {ask}\r\nWelcome to the sector\r\n{TARGET}\r\n\0");
    let mut sector = vec![0; 512];
    sector[..CODE.len()].copy_from_slice(&CODE);
    sector[0x80..0x80 + text.len()].copy_from_slice(text.as_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}
