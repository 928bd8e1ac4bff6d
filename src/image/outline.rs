//! What a gate needs to know of a system: who starts SSH, who is let in, what is said on the console.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::accounts;
use super::announce::{self, Announcement};
use super::error::ImageError;
use super::listing::{Kind, base_name};
use super::people::{Person, people};
use super::sshd;
use super::system::System;
use super::units::{Units, pattern};

/// systemd's own library, which has its version in its name.
static SYSTEMD: LazyLock<Regex> = LazyLock::new(|| pattern(r"/libsystemd-shared-(\d{3})\b[^/]*\.so$"));
/// Programs that install a system, by their names.
static INSTALLER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:usr/)?(?:local/)?s?bin/(?:calamares|ubiquity|anaconda|liveinst|subiquity|archinstall|setup-alpine|bootc|debian-installer-launcher|[a-z0-9_-]+-install(?:er)?(?:\.sh)?|install(?:er)?-[a-z0-9_-]+)$",
    )
});
/// Programs with such names that install no system.
const NO_INSTALLERS: [&str; 13] = [
    "grub", "kernel", "dpkg", "apt", "pip", "systemd", "debconf", "info", "menu", "docs", "mkinitrd", "xml", "efi",
];
const INSTALLERS_MAX: usize = 8;
/// SSH servers, by their programs.
const SERVERS: [&str; 6] = [
    "usr/sbin/sshd",
    "usr/bin/sshd",
    "usr/sbin/dropbear",
    "usr/bin/dropbear",
    "usr/sbin/tinysshd",
    "usr/bin/tinysshd",
];
/// The file by which systemd-tmpfiles puts a key from a credential in its place.
const PROVISION: &str = "usr/lib/tmpfiles.d/provision.conf";
const KEY_CREDENTIAL: &str = "ssh.authorized_keys.root";
/// An option of agetty that logs somebody in.
static AUTOLOGIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:--autologin|-a)[ =]+([A-Za-z0-9._-]+)"));

/// What makes a system of packages a live system, by the files that tell.
const LIVE_TOOLS: [(&str, LiveTool); 6] = [
    ("usr/lib/live/config", LiveTool::LiveConfig),
    ("usr/lib/live/boot", LiveTool::LiveBoot),
    ("usr/share/initramfs-tools/scripts/casper", LiveTool::Casper),
    ("usr/libexec/livesys", LiveTool::Livesys),
    ("usr/lib/dracut/modules.d/90dmsquash-live", LiveTool::Dracut),
    ("usr/lib/initcpio/hooks/archiso", LiveTool::Archiso),
];

/// A tool that makes live systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named as its makers name it")]
pub enum LiveTool {
    LiveConfig,
    LiveBoot,
    Casper,
    Livesys,
    Dracut,
    Archiso,
}

/// Something of the image and the file that tells it. Both are the image's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What was seen.
    pub what: String,
    /// The file.
    pub file: String,
}

/// The SSH server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// There is none.
    None,
    /// It is there, and nothing starts it.
    Installed(String),
    /// It is started.
    Started(Seen),
}

/// How a login prompt comes to the serial console, if the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Getty {
    /// Nothing starts one.
    None,
    /// By this file.
    Prompt(String),
    /// By this file, which logs in a user at once.
    Autologin {
        /// The file.
        file: String,
        /// The user.
        user: String,
    },
}

/// A system, as far as a gate needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Where the system lies, as in `/live/filesystem.squashfs`.
    pub place: String,
    /// What it calls itself.
    pub name: Option<Seen>,
    /// The version of its systemd. `None`: it has none.
    pub systemd: Option<u32>,
    /// What makes it a live system, with the file that tells.
    pub live: Option<(LiveTool, String)>,
    /// The SSH server.
    pub server: Server,
    /// What keeps root from logging in over SSH.
    pub root_refused: Option<Seen>,
    /// The file that has systemd take a key for root from a credential.
    pub takes_key: Option<String>,
    /// The login prompt on the serial console.
    pub getty: Getty,
    /// Users with a shell.
    pub people: Vec<Person>,
    /// Files of keys that may log in.
    pub keys: Vec<String>,
    /// The line that says that it is up.
    pub announcement: Option<Announcement>,
    /// The target that it boots to.
    pub target: Option<String>,
    /// Programs that may install it.
    pub installers: Vec<String>,
}

/// Reads files by their paths; what is not there or too large is left out.
pub(super) type Reader<'a> = dyn Fn(&[String]) -> Result<BTreeMap<String, Vec<u8>>, ImageError> + 'a;

/// The outline of a system. `wanted` names the units that the kernel's command line adds, and `read` reads more of it.
pub(super) fn outline(
    mut system: System,
    place: &str,
    wanted: &[String],
    read: &Reader<'_>,
) -> Result<Outline, ImageError> {
    let scripts = announce::scripts(&system);
    system.add(read(&[&scripts[..], &[PROVISION.to_owned()]].concat())?);
    system.add(read(&announce::taken_in(&system, &scripts))?);
    let units = Units(&system);
    let has_systemd = system.tree.resolve("usr/lib/systemd/systemd").is_some();
    let systemd = system
        .tree
        .iter()
        .find_map(|(path, _)| SYSTEMD.captures(path)?[1].parse().ok());
    let live = LIVE_TOOLS.iter().find(|(path, _)| system.tree.resolve(path).is_some());
    let takes_key = system.text(PROVISION).is_some_and(|text| text.contains(KEY_CREDENTIAL));
    Ok(Outline {
        place: place.to_owned(),
        name: name(&system),
        systemd,
        live: live.map(|(path, tool)| (*tool, (*path).to_owned())),
        server: server(&system, wanted),
        root_refused: root_refused(&system),
        takes_key: takes_key.then(|| PROVISION.to_owned()),
        getty: getty(&system, &units),
        people: people(&system),
        keys: accounts::keys(&system)
            .into_iter()
            .map(|finding| finding.path)
            .collect(),
        announcement: announce::announcement(&system),
        target: has_systemd.then(|| units.default_target()),
        installers: installers(&system),
    })
}

fn name(system: &System) -> Option<Seen> {
    let files = ["etc/os-release", "usr/lib/os-release"];
    files.into_iter().find_map(|file| {
        let text = system.text(file)?;
        let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
        let what = value.trim_matches(['"', '\'']).to_owned();
        Some(Seen {
            what,
            file: file.to_owned(),
        })
    })
}

fn server(system: &System, wanted: &[String]) -> Server {
    if let Some(finding) = sshd::check(system, wanted).into_iter().next() {
        return Server::Started(Seen {
            what: finding.what,
            file: finding.path,
        });
    }
    let there = SERVERS.iter().find(|path| system.tree.file(path).is_some());
    there.map_or(Server::None, |path| Server::Installed((*path).to_owned()))
}

/// `PermitRootLogin no` (`sshd_config(5)`); of several the first counts, and files of the directory come first.
fn root_refused(system: &System) -> Option<Seen> {
    let directory = system.names("etc/ssh/sshd_config.d").map(|(_, path)| path);
    let files: Vec<_> = directory.chain(["etc/ssh/sshd_config"]).collect();
    for file in files {
        let text = system.text(file).unwrap_or_default();
        let lines = text.lines().map(str::trim);
        let mut values = lines.filter_map(|line| {
            let (name, value) = line.split_once(|c: char| c.is_whitespace() || c == '=')?;
            name.eq_ignore_ascii_case("PermitRootLogin")
                .then(|| value.trim().to_owned())
        });
        if let Some(value) = values.next() {
            let what = format!("PermitRootLogin {value}");
            return (value == "no").then(|| Seen {
                what,
                file: file.to_owned(),
            });
        }
    }
    None
}

fn getty(system: &System, units: &Units<'_>) -> Getty {
    const SERIAL: &str = "serial-getty@ttyS0.service";
    if let Some(path) = units.path_of(SERIAL).filter(|_| !units.is_masked(SERIAL)) {
        for (file, text) in units.texts(SERIAL) {
            let mut starts = text.lines().filter(|line| line.trim_start().starts_with("ExecStart"));
            if let Some(user) = starts.find_map(|line| Some(AUTOLOGIN.captures(line)?[1].to_owned())) {
                return Getty::Autologin { file, user };
            }
        }
        return Getty::Prompt(path);
    }
    let inittab = system.text("etc/inittab").unwrap_or_default();
    let mut lines = inittab.lines().filter(|line| !line.trim_start().starts_with('#'));
    if lines.any(|line| line.contains("getty") && line.contains("ttyS0")) {
        return Getty::Prompt("etc/inittab".to_owned());
    }
    Getty::None
}

fn installers(system: &System) -> Vec<String> {
    let is_file = |kind: &Kind| matches!(kind, Kind::File { .. } | Kind::Symlink { .. });
    let found = system.tree.iter().filter(|(path, entry)| {
        let stem = base_name(path).split(['-', '.']).next().unwrap_or_default();
        let last = base_name(path).rsplit('-').next().unwrap_or_default();
        let is_other = NO_INSTALLERS.contains(&stem) || NO_INSTALLERS.contains(&last);
        is_file(&entry.kind) && !is_other && INSTALLER.is_match(path)
    });
    found.map(|(path, _)| path.to_owned()).take(INSTALLERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(files: &[(&str, &str)], links: &[(&str, &str)]) -> Outline {
        let system = System::of(files, links);
        let all: BTreeMap<String, Vec<u8>> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect();
        let read = |paths: &[String]| {
            let found = paths
                .iter()
                .filter_map(|path| Some((path.clone(), all.get(path)?.clone())));
            Ok(found.collect())
        };
        outline(system, "/live/a.squashfs", &[], &read).unwrap()
    }

    #[test]
    fn a_system_is_outlined() {
        let outline = seen(
            &[
                ("etc/os-release", "ID=x\nPRETTY_NAME=\"Some OS 1\"\n"),
                ("usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so", ""),
                ("usr/lib/systemd/systemd", ""),
                (
                    "usr/lib/systemd/system/serial-getty@.service",
                    "[Service]\nExecStart=-/sbin/agetty %I\n",
                ),
                ("usr/lib/live/boot/0001-init-vars.sh", ""),
                ("usr/sbin/sshd", "ELF"),
                ("etc/ssh/sshd_config", "#PermitRootLogin yes\nPermitRootLogin no\n"),
                (
                    PROVISION,
                    "f^ /root/.ssh/authorized_keys 600 - - - ssh.authorized_keys.root\n",
                ),
                ("usr/sbin/live-install", "#!/bin/sh\n"),
                ("usr/sbin/grub-install", "ELF"),
                ("usr/bin/kernel-install", ""),
            ],
            &[],
        );
        assert_eq!(outline.name.unwrap().what, "Some OS 1");
        assert_eq!(
            (outline.systemd, outline.target.as_deref()),
            (Some(257), Some("graphical.target"))
        );
        assert_eq!(outline.live.unwrap().0, LiveTool::LiveBoot);
        assert_eq!(outline.server, Server::Installed("usr/sbin/sshd".to_owned()));
        assert_eq!(outline.root_refused.unwrap().file, "etc/ssh/sshd_config");
        assert_eq!(outline.takes_key.as_deref(), Some(PROVISION));
        assert!(matches!(outline.getty, Getty::Prompt(_)));
        assert_eq!(outline.installers, ["usr/sbin/live-install"]);
    }

    #[test]
    fn what_logs_in_by_itself_is_known_from_what_asks() {
        let getty = |dropin: &str| {
            seen(
                &[
                    (
                        "lib/systemd/system/serial-getty@.service",
                        "[Service]\nExecStart=-/sbin/agetty %I\n",
                    ),
                    ("etc/systemd/system/serial-getty@ttyS0.service.d/a.conf", dropin),
                ],
                &[],
            )
            .getty
        };
        let automatic = getty("[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin live %I\n");
        assert!(
            matches!(automatic, Getty::Autologin { ref user, .. } if user == "live"),
            "{automatic:?}"
        );
        assert!(matches!(getty("[Service]\nRestart=always\n"), Getty::Prompt(_)));
        assert_eq!(seen(&[("etc/x", "")], &[]).getty, Getty::None);
        let inittab = seen(
            &[("etc/inittab", "#ttyS0 getty\nT0:23:respawn:/sbin/getty -L ttyS0\n")],
            &[],
        );
        assert_eq!(inittab.getty, Getty::Prompt("etc/inittab".to_owned()));
    }
}
