//! The users of a system: who is let in without a password, and who may become root.

use super::accounts::{PASSWD, SHADOW};
use super::system::System;

/// Where sudo's rules lie.
const SUDOERS: &str = "etc/sudoers";
const SUDOERS_DIRECTORY: &str = "etc/sudoers.d";
/// Users that are looked at.
const USERS_MAX: usize = 1000;

/// A user of the system who has a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name: letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// What is asked for.
    pub password: Password,
    /// The file that lets the user become root without a password, if any does. For root, the table of users.
    pub root_by: Option<String>,
}

/// What a user's password field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Password {
    /// Nothing is asked for.
    Empty,
    /// It is set, and only its hash lies in the image.
    Set,
    /// No password lets in.
    Locked,
}

/// The users with a shell, in the order of the table.
pub(super) fn people(system: &System) -> Vec<Person> {
    let shadow = system.text(SHADOW).unwrap_or_default();
    let passwd = system.text(PASSWD).unwrap_or_default();
    let lines = passwd.lines().take(USERS_MAX);
    lines.filter_map(|line| person(system, line, &shadow)).collect()
}

fn person(system: &System, line: &str, shadow: &str) -> Option<Person> {
    let fields: Vec<_> = line.split(':').collect();
    let [name, own, id, _, _, _, shell] = fields[..] else {
        return None;
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let has_shell = !["nologin", "false", "sync", "halt", "shutdown"]
        .iter()
        .any(|end| shell.ends_with(end));
    if name.is_empty() || name.starts_with('-') || !name.chars().all(is_plain) || !has_shell {
        return None;
    }
    let mut shadows = shadow.lines().map(|line| line.split(':'));
    let of_shadow = shadows.find_map(|mut fields| (fields.next() == Some(name)).then(|| fields.next()).flatten());
    let field = if own == "x" { of_shadow? } else { own };
    let password = match field.chars().next() {
        None => Password::Empty,
        Some('!' | '*') => Password::Locked,
        Some(_) => Password::Set,
    };
    let root_by = if id == "0" {
        Some(PASSWD.to_owned())
    } else {
        may_sudo(system, name)
    };
    Some(Person {
        name: name.to_owned(),
        password,
        root_by,
    })
}

/// The file whose rule lets the user run everything as root and asks for no password.
fn may_sudo(system: &System, user: &str) -> Option<String> {
    let group = system.text("etc/group").unwrap_or_default();
    let is_member = |of: &str| {
        let mut lines = group.lines().map(|line| line.split(':').collect::<Vec<_>>());
        lines.any(|fields| fields.len() == 4 && fields[0] == of && fields[3].split(',').any(|member| member == user))
    };
    let files = system.names(SUDOERS_DIRECTORY).map(|(_, path)| path);
    // sudo leaves out names with a dot and backups.
    let files = files.filter(|path| !path[SUDOERS_DIRECTORY.len()..].contains('.') && !path.ends_with('~'));
    for path in std::iter::once(SUDOERS).chain(files) {
        let text = system.text(path).unwrap_or_default();
        for line in text.lines().map(str::trim) {
            let Some((who, rule)) = line.split_once(char::is_whitespace) else {
                continue;
            };
            let is_meant = who == user || who.strip_prefix('%').is_some_and(is_member);
            let all = rule.split("NOPASSWD:").nth(1).map(str::trim);
            if is_meant && all == Some("ALL") {
                return Some(path.to_owned());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_let_in_and_who_becomes_root() {
        let system = System::of(
            &[
                (
                    PASSWD,
                    "root:x:0:0::/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\n\
                     live:x:1000:1000::/live:/bin/bash\nguest:x:1001:1001::/guest:/bin/sh\n\
                     op:x:1002:1002::/:/bin/sh\n-bad:x:3:3::/:/bin/sh\na\"b:x:3:3::/:/bin/sh\n",
                ),
                (SHADOW, "root:*:1:\nlive::1:\nguest:$y$a:1:\nop:!:1:\n"),
                ("etc/group", "wheel:x:10:live,op\nsudo:x:27:guest\n"),
                (
                    SUDOERS,
                    "root ALL=(ALL) ALL\n%wheel ALL=(ALL:ALL) NOPASSWD: ALL\n%sudo ALL=(ALL) ALL\n",
                ),
                ("etc/sudoers.d/README.md", "guest ALL=(ALL) NOPASSWD: ALL\n"),
            ],
            &[],
        );
        let found = people(&system);
        let told: Vec<_> = found
            .iter()
            .map(|person| (person.name.as_str(), person.password, person.root_by.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("root", Password::Locked, Some(PASSWD)),
                ("live", Password::Empty, Some(SUDOERS)),
                ("guest", Password::Set, None),
                ("op", Password::Locked, Some(SUDOERS)),
            ]
        );
    }
}
