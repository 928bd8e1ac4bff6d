//! What makes a debug image of a production image: an SSH server that starts, and one login for it.

use std::fmt::Write as _;

use super::accounts::SHADOW;
use super::error::ImageError;
use super::listing::Kind;
use super::system::System;
use super::units::Units;

/// The word that everything carries that a debug image has and its production image has not.
pub(super) const MARK: &str = "bootgate-debug";

const NOTE: &str = "etc/bootgate-debug";
const PRESETS: &str = "etc/systemd/system-preset";
const SERVER_CONFIG: &str = "etc/ssh/sshd_config";
/// Debian's server does not start while this is there.
const NOT_TO_BE_RUN: &str = "etc/ssh/sshd_not_to_be_run";
/// Units that serve SSH, the best first: a service answers before the first connection, a socket only then.
const SERVERS: [&str; 4] = ["ssh.service", "sshd.service", "ssh.socket", "sshd.socket"];

/// The login that the debug image gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DebugLogin {
    /// A public key in OpenSSH's form, on one line.
    Key(String),
    /// A password, as the table of passwords keeps it (`crypt(5)`).
    PasswordHash(String),
}

/// A change of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) path: String,
    pub(super) to: ChangeTo,
    /// What it is for.
    pub(super) why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ChangeTo {
    /// A file that was not there; root's.
    NewFile { content: Vec<u8>, mode: u32 },
    /// Another content of a file whose owner, mode and attributes stay.
    Content(Vec<u8>),
    /// A link that was not there.
    NewLink(String),
    /// A directory that was not there; root's, mode 0755.
    NewDirectory,
    /// Not there any more.
    Removed,
}

impl ChangeTo {
    /// In one word, for people and programs.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::NewFile { .. } => "file added",
            Self::Content(_) => "content changed",
            Self::NewLink(_) => "link added",
            Self::NewDirectory => "directory added",
            Self::Removed => "removed",
        }
    }
}

/// Plans the changes of a system. `origin` says which production image it is.
pub(super) fn plan(
    system: &System,
    user: &str,
    login: &DebugLogin,
    origin: &str,
) -> Result<(Vec<Change>, String), ImageError> {
    if let Some((path, _)) = system.tree.iter().find(|(path, _)| path.contains(MARK)) {
        return Err(ImageError::DebugAlready(format!("/{path}")));
    }
    let units = Units(system);
    let there = SERVERS.iter().find(|unit| is_installed(system, unit));
    let server = *there.ok_or_else(|| ImageError::NoSshd(SERVERS.join(", ")))?;
    let mut changes = Changes::default();
    changes.file(NOTE, note(origin), 0o644, "marks the image as a debug image");
    enable(&mut changes, system, &units, server);
    let authorized = match login {
        DebugLogin::Key(key) => {
            let path = format!("etc/ssh/{MARK}/{user}");
            changes.file(&path, format!("{}\n", key.trim()), 0o644, "the key that may log in");
            true
        }
        DebugLogin::PasswordHash(hash) => {
            let shadow = with_password(system, user, hash)?;
            changes.put(SHADOW, ChangeTo::Content(shadow), "the password that may log in");
            false
        }
    };
    configure(&mut changes, system, user, authorized);
    let changes = changes.with_directories(system);
    if changes.is_empty() {
        return Err(ImageError::PatchedNothing);
    }
    Ok((changes, server.to_owned()))
}

/// True if a file of a vendor has the unit: a mask in `etc` hides it, and is taken away.
fn is_installed(system: &System, unit: &str) -> bool {
    let places = [
        "etc/systemd/system",
        "usr/local/lib/systemd/system",
        "usr/lib/systemd/system",
        "lib/systemd/system",
    ];
    let mut files = places
        .iter()
        .filter_map(|place| system.tree.file(&format!("{place}/{unit}")));
    files.any(|(_, size)| size > 0)
}

fn note(origin: &str) -> String {
    format!(
        "This is a debug image, made by `bootgate debug-iso` of the production image\n{origin}\nDo not publish it.\n"
    )
}

fn enable(changes: &mut Changes, system: &System, units: &Units<'_>, server: &str) {
    let target = units.default_target();
    let own = format!("etc/systemd/system/{server}");
    if units.is_masked(server) {
        changes.put(&own, ChangeTo::Removed, "it kept the server from starting");
    }
    if system.tree.get(NOT_TO_BE_RUN).is_some() {
        changes.put(NOT_TO_BE_RUN, ChangeTo::Removed, "it kept the server from starting");
    }
    let link = format!("etc/systemd/system/{target}.wants/{server}");
    if system.tree.get(&link).is_none() {
        let file = ["usr/local/lib", "usr/lib", "lib"]
            .map(|place| format!("{place}/systemd/system/{server}"))
            .into_iter()
            .find(|path| system.tree.file(path).is_some())
            .unwrap_or(own);
        changes.put(
            &link,
            ChangeTo::NewLink(format!("/{file}")),
            "starts the server with the default target",
        );
    }
    let preset = format!("{PRESETS}/00-{MARK}.preset");
    changes.file(
        &preset,
        format!("enable {server}\n"),
        0o644,
        "keeps a first boot from disabling the server",
    );
    if server.ends_with(".service") {
        // Debian's unit tests its configuration first, which fails without host keys, and images mostly have none.
        let drop_in = format!("etc/systemd/system/{server}.d/{MARK}.conf");
        let text = "[Unit]\nConditionPathExists=\n[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\n";
        changes.file(&drop_in, text.to_owned(), 0o644, "makes host keys that are missing");
    }
}

/// The server's settings: read before all others, because it takes the first of each.
fn configure(changes: &mut Changes, system: &System, user: &str, by_key: bool) {
    let mut text = format!("# {MARK}\n");
    text += if by_key {
        "PubkeyAuthentication yes\n"
    } else {
        "PasswordAuthentication yes\n"
    };
    if by_key {
        let _ = writeln!(text, "AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/{MARK}/%u");
    }
    text += match (user, by_key) {
        ("root", true) => "PermitRootLogin prohibit-password\n",
        ("root", false) => "PermitRootLogin yes\n",
        _ => "",
    };
    let why = "lets the login in";
    let Some(config) = system.text(SERVER_CONFIG) else {
        return changes.file(SERVER_CONFIG, text, 0o644, why);
    };
    let includes = |line: &str| {
        let line = line.trim().to_ascii_lowercase();
        line.starts_with("include") && line.contains("/etc/ssh/sshd_config.d/")
    };
    if config.lines().any(includes) {
        changes.file(&format!("{SERVER_CONFIG}.d/00-{MARK}.conf"), text, 0o600, why);
    } else {
        changes.put(SERVER_CONFIG, ChangeTo::Content((text + &config).into_bytes()), why);
    }
}

/// The table of passwords with another field for a user.
fn with_password(system: &System, user: &str, hash: &str) -> Result<Vec<u8>, ImageError> {
    let no_user = || ImageError::NoUser(user.to_owned());
    let table = system.text(SHADOW).ok_or_else(no_user)?;
    let mut found = false;
    let mut lines = Vec::new();
    for line in table.lines() {
        let mut fields: Vec<&str> = line.split(':').collect();
        if fields.len() > 1 && fields[0] == user {
            found = true;
            fields[1] = hash;
        }
        lines.push(fields.join(":") + "\n");
    }
    if found {
        Ok(lines.concat().into_bytes())
    } else {
        Err(no_user())
    }
}

#[derive(Default)]
struct Changes(Vec<Change>);

impl Changes {
    fn put(&mut self, path: &str, to: ChangeTo, why: &'static str) {
        let path = path.to_owned();
        self.0.push(Change { path, to, why });
    }

    fn file(&mut self, path: &str, content: String, mode: u32, why: &'static str) {
        let content = content.into_bytes();
        self.put(path, ChangeTo::NewFile { content, mode }, why);
    }

    /// The changes at the places that the system's links lead to, with the directories that are not there before what
    /// lies in them.
    fn with_directories(self, system: &System) -> Vec<Change> {
        let mut all: Vec<Change> = Vec::new();
        for mut change in self.0 {
            let (parent, name) = change.path.rsplit_once('/').unwrap_or(("", &change.path));
            let (there, missing) = deepest(system, parent);
            let mut directory = there;
            for step in missing {
                directory = join(&directory, step);
                if !all.iter().any(|known| known.path == directory) {
                    let (path, to) = (directory.clone(), ChangeTo::NewDirectory);
                    let why = "holds what is added";
                    all.push(Change { path, to, why });
                }
            }
            change.path = join(&directory, name);
            if matches!(change.to, ChangeTo::Content(_)) {
                change.path = system.tree.resolve(&change.path).unwrap_or(change.path);
            }
            all.push(change);
        }
        all
    }
}

/// The part of a path that is there, behind its links, and the names that are not.
fn deepest<'a>(system: &System, path: &'a str) -> (String, Vec<&'a str>) {
    let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).collect();
    let is_directory = |path: &String| {
        path.is_empty() || matches!(system.tree.get(path).map(|entry| &entry.kind), Some(Kind::Directory))
    };
    for count in (0..=steps.len()).rev() {
        if let Some(there) = system.tree.resolve(&steps[..count].join("/")).filter(is_directory) {
            return (there, steps[count..].to_vec());
        }
    }
    (String::new(), steps)
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::sshd;

    const UNIT: (&str, &str) = (
        "usr/lib/systemd/system/ssh.service",
        "[Service]\nExecStart=/usr/sbin/sshd -D\n",
    );
    const TARGET: (&str, &str) = ("usr/lib/systemd/system/graphical.target", "[Unit]\n");

    fn planned(files: &[(&str, &str)], links: &[(&str, &str)], login: &DebugLogin) -> Result<Vec<Change>, ImageError> {
        plan(&System::of(files, links), "root", login, "sha256 abc").map(|(changes, _)| changes)
    }

    fn key() -> DebugLogin {
        DebugLogin::Key("ssh-ed25519 AAAA run".to_owned())
    }

    #[test]
    fn the_server_is_enabled_whatever_keeps_it_from_starting() {
        let files = [
            UNIT,
            TARGET,
            ("etc/ssh/sshd_not_to_be_run", ""),
            ("etc/shadow", "root:*:1:\n"),
        ];
        let links = [
            ("usr/lib/systemd/system/default.target", "graphical.target"),
            ("etc/systemd/system/ssh.service", "/dev/null"),
        ];
        let changes = planned(&files, &links, &key()).unwrap();
        let to = |path: &str| {
            changes
                .iter()
                .find(|change| change.path == path)
                .map(|change| change.to.clone())
        };
        assert_eq!(to("etc/systemd/system/ssh.service"), Some(ChangeTo::Removed));
        assert_eq!(to("etc/ssh/sshd_not_to_be_run"), Some(ChangeTo::Removed));
        let link = to("etc/systemd/system/graphical.target.wants/ssh.service");
        assert_eq!(
            link,
            Some(ChangeTo::NewLink("/usr/lib/systemd/system/ssh.service".to_owned()))
        );
        let at = |path: &str| changes.iter().position(|change| change.path == path).unwrap();
        assert!(
            at("etc/systemd/system/graphical.target.wants")
                < at("etc/systemd/system/graphical.target.wants/ssh.service")
        );
        assert!(to("etc/ssh/bootgate-debug/root").is_some());
        assert_eq!(to("etc/shadow"), None, "a key needs no password");
    }

    #[test]
    fn a_debug_image_is_what_verification_finds() {
        let files = [
            UNIT,
            TARGET,
            ("etc/machine-id", ""),
            ("etc/ssh/sshd_config", "PermitRootLogin no\n"),
        ];
        let changes = planned(&files, &[], &key()).unwrap();
        let text = |change: &Change| match &change.to {
            ChangeTo::NewFile { content, .. } | ChangeTo::Content(content) => {
                Some(String::from_utf8(content.clone()).unwrap())
            }
            _ => None,
        };
        let mut after: Vec<(String, String)> = files.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
        after.retain(|(path, _)| !changes.iter().any(|change| change.path == *path));
        after.extend(
            changes
                .iter()
                .filter_map(|change| Some((change.path.clone(), text(change)?))),
        );
        let links: Vec<_> = changes
            .iter()
            .filter_map(|change| match &change.to {
                ChangeTo::NewLink(to) => Some((change.path.as_str(), to.as_str())),
                _ => None,
            })
            .collect();
        let after: Vec<_> = after
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        let system = System::of(&after, &links);
        assert_eq!(sshd::check(&system, &[]).len(), 2, "the link and the preset");
        let config = system.text("etc/ssh/sshd_config").unwrap();
        assert!(config.find("PermitRootLogin prohibit").unwrap() < config.find("PermitRootLogin no").unwrap());
        assert!(matches!(
            plan(&system, "root", &key(), ""),
            Err(ImageError::DebugAlready(_))
        ));
    }

    #[test]
    fn only_the_users_password_changes() {
        let files = [UNIT, ("etc/shadow", "root:*:1::\nlive:!:2::\n")];
        let hash = DebugLogin::PasswordHash("$6$a$b".to_owned());
        let changes = planned(&files, &[], &hash).unwrap();
        let shadow = changes.iter().find(|change| change.path == "etc/shadow").unwrap();
        assert_eq!(shadow.to, ChangeTo::Content(b"root:$6$a$b:1::\nlive:!:2::\n".to_vec()));
        let none = planned(&[UNIT, ("etc/shadow", "live:!:\n")], &[], &hash);
        assert!(matches!(none, Err(ImageError::NoUser(_))));
    }

    #[test]
    fn without_a_server_there_is_nothing_to_enable() {
        assert!(matches!(planned(&[TARGET], &[], &key()), Err(ImageError::NoSshd(_))));
    }

    #[test]
    fn links_on_the_way_are_followed() {
        let files = [
            ("usr/lib/systemd/system/sshd.service", "[Service]\n"),
            ("usr/etc/passwd", ""),
        ];
        let changes = planned(&files, &[("etc", "usr/etc")], &key()).unwrap();
        assert!(
            changes.iter().all(|change| change.path.starts_with("usr/etc/")),
            "{changes:?}"
        );
    }
}
