//! Whether a system starts an SSH server by itself.

use std::collections::BTreeSet;

use super::finding::{Check, Finding};
use super::listing::{Kind, base_name};
use super::system::{PRESET_DIRECTORIES, System, UNIT_DIRECTORIES};
use super::units::{Units, is_server, runs_server, server_line};

/// Files in which a command is started at boot, or by somebody's connection, by systems with and without systemd.
const START_FILES: [&str; 5] = [
    "etc/rc.local",
    "etc/rc.d/rc.local",
    "etc/inittab",
    "etc/inetd.conf",
    "etc/crontab",
];
/// Directories of such files.
const START_DIRECTORIES: [&str; 3] = ["etc/xinetd.d", "etc/cron.d", "etc/local.d"];
/// Directories whose names are the services that runit starts. Packages leave them on systems without runit as well.
const RUNIT_DIRECTORIES: [&str; 2] = ["etc/service", "etc/runit/runsvdir"];
/// Where runit's own program lies.
const RUNIT: [&str; 4] = ["usr/bin/runsvdir", "usr/sbin/runsvdir", "bin/runsvdir", "sbin/runsvdir"];

/// Every way in which the system starts an SSH server. `wanted` names the units that the kernel's command line adds.
pub(super) fn check(system: &System, wanted: &[String]) -> Vec<Finding> {
    let units = Units(system);
    let mut found = links(&units);
    found.extend(reached(&units, wanted));
    found.extend(presets(system, &units));
    found.extend(scripts(system));
    // One link is told once, however many checks see it.
    let mut told = BTreeSet::new();
    found.retain(|finding| told.insert(finding.path.clone()));
    found
}

fn finding(path: impl Into<String>, what: impl Into<String>) -> Finding {
    Finding::new(Check::SshdEnabled, path, what)
}

/// Links in `*.wants` and `*.requires`, also those of units that nothing starts yet.
fn links(units: &Units<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for link in units.links() {
        if units.is_masked(link.unit) {
            continue;
        }
        let target = match units.0.tree.get(link.path).map(|entry| &entry.kind) {
            Some(Kind::Symlink { target }) => base_name(target).to_owned(),
            _ => link.unit.to_owned(),
        };
        let real = units.real_name(link.unit);
        let (by, unit) = (link.by, link.unit);
        if [unit, &target, &real].into_iter().any(is_server) {
            let alias = if is_server(unit) {
                String::new()
            } else {
                format!(" (that is `{target}`)")
            };
            found.push(finding(link.path, format!("`{by}` pulls in `{unit}`{alias}")));
        } else if let Some((path, line)) = serving_text(units, unit) {
            let what = format!("`{by}` pulls in `{unit}`, which runs a server: `{line}` in {path}");
            found.push(finding(link.path, what));
        }
    }
    found
}

/// Units that the default target, or the kernel's command line, leads to.
fn reached(units: &Units<'_>, wanted: &[String]) -> Vec<Finding> {
    let mut from = vec![units.default_target()];
    from.extend_from_slice(wanted);
    let mut found = Vec::new();
    for (unit, via) in units.pulled_in(&from) {
        let by = base_name(&via).to_owned();
        if is_server(&unit) && units.path_of(&unit).is_some() {
            let path = if via.is_empty() {
                units.path_of(&unit).unwrap_or_default()
            } else {
                via
            };
            found.push(finding(
                path,
                format!("the default target starts `{unit}` by way of `{by}`"),
            ));
        } else if let Some((path, line)) = serving_text(units, &unit) {
            let what = format!("`{unit}`, which the default target starts, runs a server: `{line}`");
            found.push(finding(path, what));
        }
    }
    found
}

fn serving_text(units: &Units<'_>, unit: &str) -> Option<(String, String)> {
    let texts = units.texts(unit);
    let mut lines = texts.iter().filter_map(|(path, text)| Some((path, server_line(text)?)));
    lines.next().map(|(path, line)| (path.clone(), line.to_owned()))
}

/// Presets that enable a server when `systemctl preset-all` runs: at the first boot, and when packages are installed.
fn presets(system: &System, units: &Units<'_>) -> Vec<Finding> {
    let servers: BTreeSet<String> = UNIT_DIRECTORIES
        .iter()
        .flat_map(|directory| system.names(directory))
        .map(|(name, _)| name.to_owned())
        .filter(|name| is_server(name) && !name.contains('@') && !units.is_masked(name))
        .collect();
    let rules = preset_rules(system);
    let mut found = Vec::new();
    for server in servers {
        let rule = rules.iter().find(|(_, pattern, _)| matches_glob(pattern, &server));
        match rule {
            Some((true, pattern, path)) => {
                found.push(finding(
                    path.clone(),
                    format!("a preset enables `{server}`: `enable {pattern}`"),
                ));
            }
            None if is_first_boot(system) && is_installable(units, &server) => {
                let what = format!(
                    "the next boot is a first boot, which applies presets, and none is about `{server}`: it is enabled"
                );
                found.push(finding("etc/machine-id", what));
            }
            Some((false, ..)) | None => {}
        }
    }
    found
}

/// Enable or disable, the pattern, and the file, the strongest first: files by name, the first directory's file hides the
/// others of its name.
fn preset_rules(system: &System) -> Vec<(bool, String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    for directory in PRESET_DIRECTORIES {
        for (name, path) in system.names(directory) {
            if name.ends_with(".preset") && !files.iter().any(|(known, _)| known == name) {
                files.push((name.to_owned(), path.to_owned()));
            }
        }
    }
    files.sort();
    let mut rules = Vec::new();
    for (_, path) in files {
        let text = system.text(&path).unwrap_or_default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let verb = words.next().unwrap_or_default();
            if let ("enable" | "disable" | "ignore", Some(pattern)) = (verb, words.next()) {
                rules.push((verb == "enable", pattern.to_owned(), path.clone()));
            }
        }
    }
    rules
}

/// `machine-id(5)`, "First Boot Semantics": no file, or the word `uninitialized`; an empty file is none.
fn is_first_boot(system: &System) -> bool {
    let has_systemd = system.tree.resolve("usr/lib/systemd/system").is_some();
    let id = system.text("etc/machine-id");
    has_systemd && (system.tree.get("etc/machine-id").is_none() || id.is_some_and(|id| id.trim() == "uninitialized"))
}

fn is_installable(units: &Units<'_>, unit: &str) -> bool {
    units
        .texts(unit)
        .iter()
        .any(|(_, text)| text.lines().any(|line| line.trim() == "[Install]"))
}

/// A pattern with `*` and `?`, as presets have it.
fn matches_glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == name[n]) {
            p += 1;
            n += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            n = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Scripts and tables that start a server without a unit.
fn scripts(system: &System) -> Vec<Finding> {
    let has_runit = RUNIT.iter().any(|program| system.tree.resolve(program).is_some());
    let mut found = Vec::new();
    for (path, _) in system.tree.below("etc") {
        let Some((directory, name)) = path.rsplit_once('/') else {
            continue;
        };
        let run_level = base_name(directory);
        let is_rc = matches!(run_level.as_bytes(), [b'r', b'c', _, b'.', b'd']);
        let is_init = directory == "etc/init.d";
        let started = name
            .strip_prefix('S')
            .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
        let is_numbered = started.is_some_and(|rest| rest.len() + 1 < name.len());
        if let Some(service) = started.filter(|_| is_numbered && (is_rc || is_init))
            && is_server(&format!("{service}.service"))
        {
            found.push(finding(
                path,
                format!("a start script of the run level starts `{service}`"),
            ));
        }
        let is_service =
            is_below(path, "etc/runlevels") || has_runit && RUNIT_DIRECTORIES.iter().any(|of| is_below(path, of));
        if is_service && is_server(&format!("{name}.service")) {
            found.push(finding(path, format!("the run level `{run_level}` starts `{name}`")));
        }
        let is_start_file = START_FILES.contains(&path) || START_DIRECTORIES.iter().any(|of| is_below(path, of));
        if is_start_file && let Some(line) = system.text(path).as_deref().and_then(running_line) {
            found.push(finding(path, format!("it runs a server: `{line}`")));
        }
    }
    found
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

fn running_line(text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.find(|line| runs_server(line)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSHD: (&str, &str) = (
        "usr/lib/systemd/system/ssh.service",
        "[Service]\nExecStart=/usr/sbin/sshd -D\n[Install]\nWantedBy=multi-user.target\n",
    );
    const MULTI_USER: (&str, &str) = ("usr/lib/systemd/system/multi-user.target", "[Unit]\n");
    const MACHINE_ID: (&str, &str) = ("etc/machine-id", "");

    fn paths(files: &[(&str, &str)], links: &[(&str, &str)]) -> Vec<String> {
        let mut all = vec![SSHD, MULTI_USER, MACHINE_ID];
        all.retain(|(path, _)| !files.iter().any(|(other, _)| other == path));
        all.extend_from_slice(files);
        let mut links = links.to_vec();
        links.push(("usr/lib/systemd/system/default.target", "multi-user.target"));
        check(&System::of(&all, &links), &[])
            .into_iter()
            .map(|found| found.path)
            .collect()
    }

    #[test]
    fn an_installed_server_that_nothing_starts_is_no_finding() {
        assert_eq!(paths(&[], &[]), Vec::<String>::new());
        let rescue = (
            "usr/lib/systemd/system/rescue-ssh.target",
            "[Unit]\nRequires=ssh.service\n",
        );
        assert_eq!(paths(&[rescue], &[]), Vec::<String>::new());
        let left_behind = ("etc/runit/runsvdir/default/ssh", "");
        assert_eq!(paths(&[left_behind], &[]), Vec::<String>::new(), "there is no runit");
        let stopped = ("etc/rc2.d/K01ssh", "../init.d/ssh");
        assert_eq!(paths(&[("etc/init.d/ssh", "sshd")], &[stopped]), Vec::<String>::new());
    }

    #[test]
    fn every_way_to_start_it_is_found() {
        let unit = "/usr/lib/systemd/system/ssh.service";
        let wants = "etc/systemd/system/multi-user.target.wants/ssh.service";
        let odd = "etc/systemd/system/some.target.requires/remote.service";
        let remote = (
            "etc/systemd/system/remote.service",
            "[Service]\nExecStart=/opt/bin/dropbear -F\n",
        );
        let drop_in = (
            "etc/systemd/system/multi-user.target.d/x.conf",
            "[Unit]\nWants=ssh.service\n",
        );
        assert_eq!(paths(&[], &[(wants, unit)]), [wants]);
        assert_eq!(
            paths(&[], &[(odd, unit)]),
            [odd],
            "an alias, of a target that nothing starts"
        );
        assert_eq!(
            paths(&[remote], &[(odd, "../remote.service")]),
            [odd],
            "known by what it runs"
        );
        assert_eq!(paths(&[drop_in], &[]), [drop_in.0]);
        for path in [
            "etc/rc5.d/S01ssh",
            "etc/init.d/S50sshd",
            "etc/runlevels/default/sshd",
            "etc/service/ssh",
            "etc/runit/runsvdir/default/dropbear",
        ] {
            assert_eq!(paths(&[(path, ""), ("usr/bin/runsvdir", "")], &[]), [path]);
        }
        for path in ["etc/rc.local", "etc/cron.d/boot"] {
            assert_eq!(paths(&[(path, "#!/bin/sh\n/usr/sbin/sshd\n")], &[]), [path]);
        }
    }

    #[test]
    fn a_masked_server_is_not_started() {
        let unit = "/usr/lib/systemd/system/ssh.service";
        let wants = "etc/systemd/system/multi-user.target.wants/ssh.service";
        let masked = ("etc/systemd/system/ssh.service", "/dev/null");
        assert_eq!(paths(&[], &[(wants, unit), masked]), Vec::<String>::new());
    }

    #[test]
    fn presets_count_by_the_first_rule_and_at_a_first_boot_by_none() {
        let enable = (
            "usr/lib/systemd/system-preset/90-live.preset",
            "enable ssh*\ndisable *\n",
        );
        assert_eq!(paths(&[enable], &[]), [enable.0]);
        let disable = ("etc/systemd/system-preset/10-no.preset", "disable ssh.?ervice\n");
        assert_eq!(paths(&[enable, disable], &[]), Vec::<String>::new());
        assert_eq!(paths(&[("etc/machine-id", "uninitialized\n")], &[]), ["etc/machine-id"]);
    }
}
