//! systemd's units as they lie on the disk: which file a name stands for, and what a unit pulls in.

use std::collections::{BTreeMap, VecDeque};
use std::sync::LazyLock;

use regex::Regex;

use super::listing::{Kind, base_name};
use super::system::{System, UNIT_DIRECTORIES};

/// Names of units that serve SSH, without their suffix and instance.
const SERVERS: [&str; 8] = [
    "ssh",
    "sshd",
    "openssh",
    "openssh-server",
    "openssh-sshd",
    "dropbear",
    "tinyssh",
    "tinysshd",
];
/// What the directories of links are called behind a unit's name (`systemd.unit(5)`).
const LINK_DIRECTORIES: [&str; 3] = [".wants", ".requires", ".upholds"];

/// A program that serves SSH, in a command.
static SERVER_PROGRAM: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(^|[\s/=@!+:;&|-])(sshd|dropbear|tinysshd)($|[\s;&|])"));

/// Settings that pull in other units, or name the unit that is started.
static PULLS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?m)^[ \t]*(Wants|Requires|Requisite|BindsTo|Upholds|Unit|Service|OnSuccess)[ \t]*=(.*)$")
});

pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the expression is a constant that a test uses")
}

/// True for the name of a unit that serves SSH.
pub(super) fn is_server(unit: &str) -> bool {
    let Some((stem, suffix)) = unit.rsplit_once('.') else {
        return false;
    };
    let base = stem.split('@').next().unwrap_or(stem);
    matches!(suffix, "service" | "socket") && SERVERS.contains(&base)
}

/// True if a command runs a program that serves SSH.
pub(super) fn runs_server(command: &str) -> bool {
    SERVER_PROGRAM.is_match(command)
}

/// The first line of a unit's text that runs a server.
pub(super) fn server_line(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| line.starts_with("Exec") && runs_server(line))
}

/// A link that pulls in a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PullLink<'a> {
    /// Its path.
    pub(super) path: &'a str,
    /// The unit that pulls.
    pub(super) by: &'a str,
    /// The unit that is pulled in.
    pub(super) unit: &'a str,
}

/// The units of a system.
#[derive(Debug)]
pub(super) struct Units<'a>(pub(super) &'a System);

impl<'a> Units<'a> {
    /// Where the strongest file of a unit lies; of an instance, that of its template. The path may be a link.
    pub(super) fn path_of(&self, unit: &str) -> Option<String> {
        let template = unit
            .split_once('@')
            .and_then(|(stem, rest)| Some(format!("{stem}@.{}", rest.rsplit_once('.')?.1)));
        let names = [Some(unit.to_owned()), template].into_iter().flatten();
        let places = names.flat_map(|name| UNIT_DIRECTORIES.map(|directory| format!("{directory}/{name}")));
        let mut there = places.filter(|path| self.0.tree.get(path).is_some());
        there.next()
    }

    /// True if nothing can start the unit: its file is a link to `/dev/null`, or empty.
    pub(super) fn is_masked(&self, unit: &str) -> bool {
        let entry = self.path_of(unit).and_then(|path| self.0.tree.get(&path));
        match entry.map(|entry| &entry.kind) {
            Some(Kind::Symlink { target }) => target == "/dev/null",
            Some(Kind::File { size_bytes }) => *size_bytes == 0,
            _ => false,
        }
    }

    /// The name that a unit has behind its aliases.
    pub(super) fn real_name(&self, unit: &str) -> String {
        let path = self.path_of(unit).and_then(|path| self.0.tree.resolve(&path));
        path.map_or_else(|| unit.to_owned(), |path| base_name(&path).to_owned())
    }

    /// The unit's text with its drop-ins, each with its path.
    pub(super) fn texts(&self, unit: &str) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        let own = self.path_of(unit);
        texts.extend(own.and_then(|path| self.0.text(&path).map(|text| (path, text))));
        let mut names = vec![unit.to_owned(), self.real_name(unit)];
        names.dedup();
        for directory in UNIT_DIRECTORIES {
            for name in &names {
                let drop_ins = format!("{directory}/{name}.d");
                let found = self
                    .0
                    .names(&drop_ins)
                    .filter(|(name, _)| name.rsplit_once('.').is_some_and(|(_, suffix)| suffix == "conf"));
                texts.extend(found.filter_map(|(_, path)| Some((path.to_owned(), self.0.text(path)?))));
            }
        }
        texts
    }

    /// Every link that pulls in a unit.
    pub(super) fn links(&self) -> impl Iterator<Item = PullLink<'a>> + use<'a> {
        let system = self.0;
        UNIT_DIRECTORIES.into_iter().flat_map(move |directory| {
            system.tree.below(directory).filter_map(move |(path, entry)| {
                let (by, unit) = path[directory.len() + 1..].split_once('/')?;
                let by = LINK_DIRECTORIES.iter().find_map(|suffix| by.strip_suffix(suffix))?;
                let is_link = !unit.contains('/') && entry.kind != Kind::Directory;
                is_link.then_some(PullLink { path, by, unit })
            })
        })
    }

    /// The name of the target that is reached unless the kernel is told otherwise.
    pub(super) fn default_target(&self) -> String {
        match self.path_of("default.target") {
            Some(_) => self.real_name("default.target"),
            None => "graphical.target".to_owned(),
        }
    }

    /// Every unit that starting `from` starts, with the path of what pulls it in.
    pub(super) fn pulled_in(&self, from: &[String]) -> BTreeMap<String, String> {
        let mut reached: BTreeMap<String, String> = BTreeMap::new();
        let mut todo: VecDeque<(String, String)> = from.iter().map(|unit| (unit.clone(), String::new())).collect();
        let links: Vec<_> = self.links().collect();
        while let Some((unit, via)) = todo.pop_front() {
            if reached.contains_key(&unit) || self.is_masked(&unit) {
                continue;
            }
            let real = self.real_name(&unit);
            if real != unit {
                todo.push_back((real.clone(), via.clone()));
            }
            let of_links = links.iter().filter(|link| link.by == unit || link.by == real);
            todo.extend(of_links.map(|link| (link.unit.to_owned(), link.path.to_owned())));
            for (path, text) in self.texts(&unit) {
                for found in PULLS.captures_iter(&text) {
                    let units = found[2].split_whitespace().map(|unit| unit.replace("%n", ""));
                    todo.extend(units.map(|unit| (unit, path.clone())));
                }
            }
            // A timer, a path or a socket starts the service of its name.
            if let Some((stem, "timer" | "path" | "socket")) = unit.rsplit_once('.') {
                let path = self.path_of(&unit).unwrap_or_default();
                todo.push_back((format!("{stem}.service"), path));
            }
            reached.insert(unit, via);
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_known_by_name_and_by_what_they_run() {
        for unit in ["ssh.service", "sshd.socket", "sshd@1-2.service", "dropbear@.service"] {
            assert!(is_server(unit), "{unit}");
        }
        for unit in [
            "sshd-keygen.service",
            "ssh-agent.service",
            "ssh.target",
            "sshguard.service",
            "ssh",
        ] {
            assert!(!is_server(unit), "{unit}");
        }
        for line in [
            "ExecStart=/usr/sbin/sshd -D",
            "ExecStart=-/bin/sh -c 'exec sshd'x; dropbear -F",
            "sshd",
        ] {
            assert!(runs_server(line), "{line}");
        }
        for line in [
            "ExecStart=/usr/libexec/openssh/sshd-keygen rsa",
            "cat /etc/ssh/sshd_config",
            "mysshd",
        ] {
            assert!(!runs_server(line), "{line}");
        }
    }

    #[test]
    fn what_is_pulled_in_is_found_through_links_settings_aliases_and_triggers() {
        let system = System::of(
            &[
                (
                    "usr/lib/systemd/system/multi-user.target",
                    "[Unit]\nRequires=basic.target\n",
                ),
                ("usr/lib/systemd/system/basic.target", "[Unit]\n Wants = late.timer\n"),
                ("usr/lib/systemd/system/late.timer", "[Timer]\nOnBootSec=1\n"),
                (
                    "usr/lib/systemd/system/late.service",
                    "[Service]\nExecStart=/bin/true\n",
                ),
                (
                    "usr/lib/systemd/system/rescue-ssh.target",
                    "[Unit]\nRequires=ssh.service\n",
                ),
                (
                    "usr/lib/systemd/system/ssh.service",
                    "[Service]\nExecStart=/usr/sbin/sshd -D\n",
                ),
                (
                    "etc/systemd/system/basic.target.d/more.conf",
                    "[Unit]\nWants=dropped.service\n",
                ),
            ],
            &[
                (
                    "etc/systemd/system/default.target",
                    "/usr/lib/systemd/system/multi-user.target",
                ),
                ("etc/systemd/system/masked.service", "/dev/null"),
                (
                    "etc/systemd/system/basic.target.wants/masked.service",
                    "/etc/masked.service",
                ),
                (
                    "etc/systemd/system/basic.target.wants/linked.service",
                    "../linked.service",
                ),
            ],
        );
        let units = Units(&system);
        assert_eq!(units.default_target(), "multi-user.target");
        let reached = units.pulled_in(&[units.default_target()]);
        for unit in [
            "basic.target",
            "late.timer",
            "late.service",
            "dropped.service",
            "linked.service",
        ] {
            assert!(reached.contains_key(unit), "{unit} of {reached:?}");
        }
        for unit in ["masked.service", "ssh.service", "rescue-ssh.target"] {
            assert!(!reached.contains_key(unit), "{unit}");
        }
        assert_eq!(
            reached["dropped.service"],
            "etc/systemd/system/basic.target.d/more.conf"
        );
    }
}
