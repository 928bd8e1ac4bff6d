//! How the image can be made to let a gate in, if it can.

use super::look::{Medium, Survey};
use super::page::{Page, quote, toml_string};
use super::wording;
use crate::image::{Getty, LiveTool, Outline, Password, Server};

/// The systemd that takes a key for root from a credential, and the one that takes units to start
/// (`systemd.system-credentials(7)`).
const TAKES_KEY_SINCE: u32 = 252;
const TAKES_UNITS_SINCE: u32 = 256;

/// A way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Access {
    /// The login that was made with a debug image.
    Record { user: String, key: bool, file: String },
    /// The key of the run goes to root as a systemd credential.
    Credentials { units: bool },
    /// A login on the serial console.
    Console {
        user: String,
        password: Option<&'static str>,
        why: String,
    },
    /// None that works without knowing more, and why.
    None(String),
}

/// What tools make of a live system's user when it boots: the name, the password, and what says so.
const KNOWN: [(LiveTool, &str, Option<&str>); 3] = [
    (LiveTool::LiveConfig, "user", Some("live")),
    (LiveTool::Casper, "ubuntu", None),
    (LiveTool::Livesys, "root", None),
];

/// The way in that needs to know the least. `serial`: the kernel's console is on the serial port.
pub(super) fn choose(survey: &Survey, serial: bool) -> Access {
    if let Some(record) = &survey.record
        && let Some(file) = &record.login.file
    {
        return Access::Record {
            user: record.login.user.clone(),
            key: record.login.by == "key",
            file: file.clone(),
        };
    }
    let Some(system) = &survey.system else {
        return Access::None(
            "The system was not looked into, so nobody knows whether it has an SSH server.".to_owned(),
        );
    };
    let takes_key = system.takes_key.is_some() && system.root_refused.is_none();
    let since = |version: u32| takes_key && system.systemd.is_some_and(|systemd| systemd >= version);
    if matches!(system.server, Server::Started(_)) && since(TAKES_KEY_SINCE) {
        return Access::Credentials { units: false };
    }
    if system.server == Server::None {
        return Access::None("An SSH server is what a gate drives an image by, and the system has none.".to_owned());
    }
    if let Some(access) = console(system, serial) {
        return access;
    }
    if since(TAKES_UNITS_SINCE) {
        return Access::Credentials { units: true };
    }
    Access::None(why_not(survey, system, serial))
}

fn console(system: &Outline, serial: bool) -> Option<Access> {
    if !serial || system.getty == Getty::None {
        return None;
    }
    let automatic = match &system.getty {
        Getty::Autologin { user, file } => Some((user, file)),
        _ => None,
    };
    let fit = system.people.iter().find(|person| {
        let is_let_in = person.password == Password::Empty || automatic.is_some_and(|(user, _)| *user == person.name);
        is_let_in && person.root_by.is_some()
    });
    if let Some(person) = fit {
        let root_by = quote(person.root_by.as_deref().unwrap_or_default());
        let how = match automatic {
            Some((user, file)) if *user == person.name => format!("is logged in by itself ({})", quote(file)),
            _ => "has an empty password (`etc/shadow`)".to_owned(),
        };
        let why = if person.name == "root" {
            format!("{} {how}", quote(&person.name))
        } else {
            format!("{} {how} and becomes root without one ({root_by})", quote(&person.name))
        };
        return Some(Access::Console {
            user: person.name.clone(),
            password: None,
            why,
        });
    }
    let (tool, file) = system.live.as_ref()?;
    let (_, user, password) = KNOWN.iter().find(|(known, ..)| known == tool)?;
    let name = wording::tool_name(*tool);
    let why = format!(
        "{name} ({}) is known to make this user when the image boots; it was not seen",
        quote(file)
    );
    Some(Access::Console {
        user: (*user).to_owned(),
        password: *password,
        why,
    })
}

fn why_not(survey: &Survey, system: &Outline, serial: bool) -> String {
    let debug = if matches!(survey.medium, Medium::Iso(_)) {
        " `bootgate debug-iso IMAGE -o DEBUG` makes a debug image with a key; `bootgate init DEBUG` then writes its gate."
    } else {
        ""
    };
    let started = matches!(system.server, Server::Started(_));
    let why = if started {
        "its users' passwords are not known here"
    } else if !serial || system.getty == Getty::None {
        "there is no login on the serial console by which it could be started"
    } else {
        "no user is let in on the serial console without a password and becomes root"
    };
    format!("The SSH server can't be used without knowing more: {why}.{debug}")
}

/// Writes `[ssh]`, switched off where there is no way in.
pub(super) fn write(page: &mut Page, survey: &Survey, access: &Access) {
    page.line("");
    if let Some(system) = &survey.system {
        page.note(&wording::server(&system.server));
        if let Some(logins) = wording::logins(&system.people, &system.keys) {
            page.note(&logins);
        }
    }
    match access {
        Access::Record { user, key, file } => {
            page.note("The record beside the image says who was let in when this debug image was made.");
            page.line("[ssh]");
            page.set("user", &toml_string(user));
            let file = format!("{{ file = {} }}", toml_string(file));
            page.set(if *key { "key" } else { "password" }, &file);
        }
        Access::Credentials { units } => {
            let takes = survey.system.as_ref().and_then(|system| system.takes_key.as_deref());
            let takes = quote(takes.unwrap_or_default());
            page.note(&format!(
                "systemd takes a key for root that is made for each run from the machine's firmware tables ({takes}). If that \
                 is wrong, name a user with `password = {{ env = \"IMAGE_PASSWORD\" }}` or `key = {{ file = \"…\" }}` instead of `open-by`."
            ));
            page.line("[ssh]");
            page.set("user", "\"root\"");
            let value = if *units {
                "{ credentials = { units = [\"ssh.service\", \"sshd.service\"] } }"
            } else {
                "{ credentials = {} }"
            };
            page.set("open-by", value);
        }
        Access::Console { user, password, why } => {
            page.note(&format!(
                "The image is driven as it is: a login on its serial console puts a key of the run in place and starts the \
                 SSH server. {why}. If that is wrong, name another user, with `password = {{ env = \"IMAGE_PASSWORD\" }}` \
                 if one is asked for."
            ));
            page.line("[ssh]");
            page.set("user", &toml_string(user));
            page.table("[ssh.open-by.serial-login]");
            page.set("user", &toml_string(user));
            if let Some(password) = password {
                page.set("password", &toml_string(password));
            }
        }
        Access::None(why) => {
            page.note(&format!(
                "{why} So the gate proves the marker and no login. Switch this on if you know one; the password is then taken \
                 from the environment."
            ));
            page.off("[ssh]");
            page.off("user = \"root\"");
            page.off("password = { env = \"IMAGE_PASSWORD\" }");
        }
    }
}
