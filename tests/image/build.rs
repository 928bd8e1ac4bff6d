//! A live ISO that the test makes: the tiny guest's, with its boot loader's records, and a squashfs of a small system on it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tar::{Builder, EntryType, Header};

use crate::tiny::tiny;

/// Where live-boot has its system.
pub(crate) const ROOT: &str = "/live/filesystem.squashfs";
/// An extended attribute whose value is no text.
const CAPABILITY: &[u8] = b"SCHILY.xattr.security.capability=\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const LABEL: &[u8] = b"SCHILY.xattr.security.selinux=system_u:object_r:etc_t:s0\0";

/// An archive of a system.
pub(crate) struct System(Builder<Vec<u8>>);

impl System {
    /// A small Debian without a server that starts, with one of everything that a repacking may lose.
    pub(crate) fn production() -> Self {
        let mut system = Self(Builder::new(Vec::new()));
        for directory in [
            "./",
            "./dev/",
            "./etc/",
            "./etc/ssh/",
            "./etc/systemd/",
            "./etc/systemd/system/",
            "./root/",
            "./usr/",
            "./usr/bin/",
            "./usr/lib/",
            "./usr/lib/systemd/",
            "./usr/lib/systemd/system/",
        ] {
            system.attribute(if directory.starts_with("./etc") {
                Some(LABEL)
            } else {
                None
            });
            system.add(EntryType::Directory, directory, "", 0o755, (0, 0));
        }
        for (empty, mode) in [("./proc/", 0o555), ("./sys/", 0o555), ("./tmp/", 0o1777)] {
            system.add(EntryType::Directory, empty, "", mode, (0, 0));
        }
        let service = "[Service]\nExecStartPre=/usr/sbin/sshd -t\nExecStart=/usr/sbin/sshd -D\n[Install]\n\
                       WantedBy=multi-user.target\nAlias=sshd.service\n";
        system.file("./usr/lib/systemd/system/ssh.service", service);
        system.file(
            "./usr/lib/systemd/system/multi-user.target",
            "[Unit]\nRequires=basic.target\n",
        );
        system.file(
            "./usr/lib/systemd/system/graphical.target",
            "[Unit]\nRequires=multi-user.target\n",
        );
        system.link("./usr/lib/systemd/system/default.target", "graphical.target");
        system.link("./lib", "usr/lib");
        system.file(
            "./etc/ssh/sshd_config",
            "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n",
        );
        system.file("./etc/machine-id", "");
        system.file("./etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
        system.add(
            EntryType::Regular,
            "./etc/shadow",
            "root:*:1::::::\ndaemon:!:1::::::\n",
            0o640,
            (0, 42),
        );
        system.attribute(Some(CAPABILITY));
        system.add(EntryType::Regular, "./usr/bin/ping", "#!ping", 0o4755, (0, 0));
        system.hard_link("./usr/bin/ping6", "./usr/bin/ping");
        system.file("./usr/bin/odd \u{fc} -> name\nwith a line break", "odd");
        system.device("./dev/null", 1, 3);
        system
    }

    /// One that has nothing but a directory.
    pub(crate) fn bare() -> Self {
        let mut system = Self(Builder::new(Vec::new()));
        system.add(EntryType::Directory, "./etc/", "", 0o755, (0, 0));
        system
    }

    pub(crate) fn file(&mut self, path: &str, content: &str) {
        self.add(EntryType::Regular, path, content, 0o644, (0, 0));
    }

    pub(crate) fn add(&mut self, kind: EntryType, path: &str, content: &str, mode: u32, owner: (u64, u64)) {
        let mut header = header(kind, mode);
        header.set_uid(owner.0);
        header.set_gid(owner.1);
        header.set_size(content.len() as u64);
        self.0.append_data(&mut header, path, content.as_bytes()).unwrap();
    }

    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.0
            .append_link(&mut header(EntryType::Symlink, 0o777), path, target)
            .unwrap();
    }

    fn hard_link(&mut self, path: &str, target: &str) {
        self.0
            .append_link(&mut header(EntryType::Link, 0o755), path, target)
            .unwrap();
    }

    fn device(&mut self, path: &str, major: u32, minor: u32) {
        let mut header = header(EntryType::Char, 0o666);
        header.set_device_major(major).unwrap();
        header.set_device_minor(minor).unwrap();
        self.0.append_data(&mut header, path, std::io::empty()).unwrap();
    }

    /// An extended attribute for what is added next.
    fn attribute(&mut self, record: Option<&[u8]>) {
        let Some(record) = record else { return };
        let length = record.len() + 4;
        assert!((10..100).contains(&length), "the length has two digits");
        let data = [format!("{length} ").as_bytes(), record, b"\n"].concat();
        let mut header = header(EntryType::XHeader, 0o644);
        header.set_path("PaxHeader").unwrap();
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.append(&header, data.as_slice()).unwrap();
    }

    /// Packs it as a squashfs.
    pub(crate) fn pack(self, into: &Path) {
        let archive = self.0.into_inner().unwrap();
        let mut command = Command::new("tar2sqfs");
        command.args(["--quiet", "--no-skip", "-c", "xz"]).arg(into);
        let mut packer = start(command.stdin(Stdio::piped()), "squashfs-tools-ng");
        packer.stdin.take().unwrap().write_all(&archive).unwrap();
        assert!(packer.wait().unwrap().success());
    }

    /// The ISO with this system on it.
    pub(crate) fn iso(self, directory: &Path) -> PathBuf {
        let squashfs = directory.join("root.squashfs");
        self.pack(&squashfs);
        with_files(directory, &[(&squashfs, ROOT)])
    }
}

/// The tiny guest's ISO with more files on it.
pub(crate) fn with_files(directory: &Path, files: &[(&Path, &str)]) -> PathBuf {
    let iso = directory.join("production.iso");
    let mut command = Command::new("xorriso");
    command
        .args(["-no_rc", "-report_about", "SORRY", "-indev"])
        .arg(&tiny().iso);
    command
        .arg("-outdev")
        .arg(&iso)
        .args(["-boot_image", "any", "replay", "-overwrite", "on"]);
    for (from, to) in files {
        command.arg("-map").arg(from).arg(to);
    }
    // A time of its own, long ago: one that is made anew is another one.
    command.args(["-volume_date", "uuid", "2020020202020200", "-end"]);
    assert!(start(&mut command, "xorriso").wait().unwrap().success());
    iso
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_580_608_922);
    header.set_size(0);
    header
}

fn start(command: &mut Command, package: &str) -> std::process::Child {
    let name = command.get_program().to_string_lossy().into_owned();
    command
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{name}: {error}; install it: apt-get install {package}"))
}
