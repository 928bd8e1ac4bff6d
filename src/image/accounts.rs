//! Who can log in: passwords and keys that lie in the image.

use super::finding::{Check, Finding};
use super::listing::{Kind, base_name};
use super::system::System;

/// The table of passwords, and the one of users.
pub(super) const SHADOW: &str = "etc/shadow";
pub(super) const PASSWD: &str = "etc/passwd";

/// Names under which OpenSSH and dropbear look for keys by default.
const KEY_FILES: [&str; 2] = ["authorized_keys", "authorized_keys2"];

/// A user whose empty password is meant, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedEmpty {
    /// The user.
    pub user: String,
    /// Why it must be empty.
    pub reason: String,
}

/// What a password field says (`shadow(5)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Locked,
    Empty,
    Set,
}

fn field(text: &str) -> Field {
    match text.chars().next() {
        None => Field::Empty,
        Some('!' | '*') => Field::Locked,
        Some(_) => Field::Set,
    }
}

/// Passwords that are set or empty. Gives the findings, and a note for each empty password that is allowed.
pub(super) fn passwords(system: &System, allowed: &[AllowedEmpty]) -> (Vec<Finding>, Vec<String>) {
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    let tables = [
        (SHADOW, false),
        ("etc/shadow-", false),
        (PASSWD, true),
        ("etc/passwd-", true),
    ];
    for (path, refers) in tables {
        let text = system.text(path).unwrap_or_default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let mut fields = line.split(':');
            let user = fields.next().unwrap_or_default();
            let Some(password) = fields.next() else {
                found.push(Finding::new(
                    Check::PasswordSet,
                    path,
                    format!("`{user}` has no password field at all"),
                ));
                continue;
            };
            // In the table of users, `x` says that the password is in the other one.
            if refers && password == "x" {
                continue;
            }
            let known = allowed.iter().find(|allowed| allowed.user == user);
            match (field(password), known) {
                (Field::Locked, _) => {}
                (Field::Empty, Some(allowed)) => {
                    notes.push(format!(
                        "{path}: the password of `{user}` is empty, as allowed: {}",
                        allowed.reason
                    ));
                }
                (Field::Empty, None) => {
                    found.push(Finding::new(
                        Check::PasswordEmpty,
                        path,
                        format!("the password of `{user}` is empty"),
                    ));
                }
                (Field::Set, _) => {
                    found.push(Finding::new(
                        Check::PasswordSet,
                        path,
                        format!("`{user}` has a password"),
                    ));
                }
            }
        }
    }
    (found, notes)
}

/// How many users the table of passwords has. `None`: it is not there, or was not read.
pub(super) fn users(system: &System) -> Option<usize> {
    let text = system.text(SHADOW)?;
    let users = text.lines().filter(|line| line.contains(':')).count();
    (users > 0).then_some(users)
}

/// Keys that may log in, wherever they lie, and settings that look for them elsewhere.
pub(super) fn keys(system: &System) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, entry) in system.tree.iter() {
        let in_directory = path.split('/').rev().nth(1) == Some("authorized_keys.d");
        let holds = match &entry.kind {
            Kind::File { size_bytes } => *size_bytes > 0,
            Kind::Symlink { .. } => true,
            Kind::Directory | Kind::Other => false,
        };
        if holds && (KEY_FILES.contains(&base_name(path)) || in_directory) {
            found.push(Finding::new(
                Check::AuthorizedKey,
                path,
                "a file of keys that may log in",
            ));
        }
    }
    for (path, content) in system.contents().filter(|(path, _)| path.starts_with("etc/ssh/")) {
        let text = String::from_utf8_lossy(content);
        for line in text.lines().map(str::trim) {
            let mut words = line.split_whitespace();
            if !words
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case("AuthorizedKeysFile"))
            {
                continue;
            }
            for place in words.filter_map(|word| word.trim_matches('"').strip_prefix('/')) {
                let fixed = place.split('%').next().unwrap_or(place).trim_end_matches('/');
                let there = system.tree.resolve(fixed).filter(|fixed| !fixed.is_empty());
                if there.is_some_and(|fixed| has_content(system, &fixed)) {
                    found.push(Finding::new(
                        Check::AuthorizedKey,
                        path,
                        format!("keys are read from `/{place}`"),
                    ));
                }
            }
        }
    }
    found
}

fn has_content(system: &System, path: &str) -> bool {
    let is_full = |kind: &Kind| matches!(kind, Kind::File { size_bytes } if *size_bytes > 0);
    system.tree.get(path).is_some_and(|entry| is_full(&entry.kind))
        || system.tree.below(path).any(|(_, entry)| is_full(&entry.kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(shadow: &str, allowed: &[AllowedEmpty]) -> (Vec<Check>, usize) {
        let (found, notes) = passwords(&System::of(&[(SHADOW, shadow)], &[]), allowed);
        (found.iter().map(|found| found.check).collect(), notes.len())
    }

    #[test]
    fn only_locked_passwords_pass() {
        assert_eq!(
            judged("root:*:1::::::\ndaemon:!:1::\nbin:!!:\nx:!$6$a$b:\n", &[]),
            (vec![], 0)
        );
        assert_eq!(judged("root:$6$a$b:1::::::\n", &[]).0, [Check::PasswordSet]);
        assert_eq!(
            judged("root:$y$j9T$a$b:1:\nlive::1:\n", &[]).0,
            [Check::PasswordSet, Check::PasswordEmpty]
        );
        assert_eq!(judged("root\n", &[]).0, [Check::PasswordSet]);
        let allowed = AllowedEmpty {
            user: "live".to_owned(),
            reason: "a kiosk".to_owned(),
        };
        assert_eq!(judged("live::1:\n", std::slice::from_ref(&allowed)), (vec![], 1));
        assert_eq!(
            judged("live:abc:1:\n", &[allowed]).0,
            [Check::PasswordSet],
            "set is not empty"
        );
    }

    #[test]
    fn a_table_of_users_may_hold_passwords_too() {
        let system = System::of(
            &[(PASSWD, "root:x:0:0::/root:/bin/sh\nold:abJnggxhB/yWI:1:1::/:/bin/sh\n")],
            &[],
        );
        assert_eq!(passwords(&system, &[]).0.len(), 1);
        assert_eq!(users(&system), None);
    }

    #[test]
    fn keys_are_found_wherever_they_lie() {
        let system = System::of(
            &[
                ("root/.ssh/authorized_keys", "ssh-ed25519 AAAA"),
                ("etc/skel/.ssh/authorized_keys", ""),
                ("etc/ssh/authorized_keys.d/live", "ssh-ed25519 AAAA"),
                (
                    "etc/ssh/sshd_config.d/a.conf",
                    "authorizedkeysfile .ssh/a /opt/keys/%u\n",
                ),
                ("opt/keys/root", "ssh-ed25519 AAAA"),
            ],
            &[("home/live/.ssh/authorized_keys", "/run/keys")],
        );
        let mut found: Vec<_> = keys(&system).into_iter().map(|found| found.path).collect();
        found.sort();
        assert_eq!(
            found,
            [
                "etc/ssh/authorized_keys.d/live",
                "etc/ssh/sshd_config.d/a.conf",
                "home/live/.ssh/authorized_keys",
                "root/.ssh/authorized_keys",
            ]
        );
    }
}
