//! What was seen, as sentences.

use super::look::{Medium, Survey};
use super::page::quote;
use crate::image::{LiveTool, MenuEntry, Password, Person, Server};

/// The image in a sentence.
pub(super) fn medium(survey: &Survey) -> String {
    match &survey.medium {
        Medium::Iso(volume) if volume.label.is_empty() => "An ISO 9660 image without a label.".to_owned(),
        Medium::Iso(volume) => format!("An ISO 9660 image with the label {}.", quote(&volume.label)),
        Medium::Disk(format) => format!("A {} disk.", format.as_str()),
    }
}

/// The system in sentences.
pub(super) fn system(survey: &Survey) -> String {
    let Some(system) = &survey.system else {
        if !survey.encrypted.is_empty() {
            return "The system lies in an encrypted volume, or where it could not be read.".to_owned();
        }
        return match survey.unseen.as_slice() {
            [] => "No system was found in it.".to_owned(),
            unseen => format!(
                "No system was found where it could be read. Not looked into: {}.",
                unseen.iter().map(|what| plain(what)).collect::<Vec<_>>().join("; ")
            ),
        };
    };
    let place = quote(&system.place);
    let name = match &system.name {
        Some(name) => format!(
            "The system in {place} is {} ({}).",
            quote(&name.what),
            quote(&name.file)
        ),
        None => format!("There is a system in {place}."),
    };
    let live = match &system.live {
        Some((tool, file)) => format!(" {} makes it a live system ({}).", tool_name(*tool), quote(file)),
        None => String::new(),
    };
    let systemd = match system.systemd {
        Some(version) => format!("It has systemd {version}"),
        None => "It has no systemd that shows its version".to_owned(),
    };
    let target = match &system.target {
        Some(target) => format!(" and boots to {}", quote(target)),
        None => String::new(),
    };
    format!("{name}{live} {systemd}{target}.")
}

pub(super) fn tool_name(tool: LiveTool) -> &'static str {
    match tool {
        LiveTool::LiveConfig => "live-config",
        LiveTool::LiveBoot => "live-boot",
        LiveTool::Casper => "casper",
        LiveTool::Livesys => "livesys",
        LiveTool::Dracut => "dracut",
        LiveTool::Archiso => "archiso",
    }
}

/// Boot loaders in a sentence.
pub(super) fn loaders(survey: &Survey) -> Option<String> {
    let named = survey
        .loaders
        .iter()
        .map(|(name, file)| format!("{name} ({})", quote(file)));
    let named: Vec<_> = named.collect();
    (!named.is_empty()).then(|| format!("Boot loader: {}.", named.join(", ")))
}

/// An entry of a boot menu.
pub(super) fn entry(entry: &MenuEntry) -> String {
    let title = if entry.title.is_empty() {
        String::new()
    } else {
        format!("{} of ", quote(&entry.title))
    };
    format!("{title}{}", quote(&entry.file))
}

/// The SSH server in a sentence.
pub(super) fn server(server: &Server) -> String {
    match server {
        Server::None => "The system has no SSH server.".to_owned(),
        Server::Installed(file) => format!("An SSH server is installed ({}), and nothing starts it.", quote(file)),
        Server::Started(seen) => format!(
            "An SSH server is started: {} ({}).",
            plain(&seen.what),
            quote(&seen.file)
        ),
    }
}

/// A sentence of ours that may hold the image's words.
pub(super) fn plain(text: &str) -> String {
    crate::text::terminal_name(text, 300)
}

/// Who has a login that everybody who has the image knows.
pub(super) fn logins(people: &[Person], keys: &[String]) -> Option<String> {
    let with = |password: Password| {
        let names = people
            .iter()
            .filter(|person| person.password == password)
            .map(|person| quote(&person.name));
        names.collect::<Vec<_>>().join(", ")
    };
    let mut told = Vec::new();
    let (empty, set) = (with(Password::Empty), with(Password::Set));
    if !empty.is_empty() {
        told.push(format!("an empty password for {empty}"));
    }
    if !set.is_empty() {
        told.push(format!("a password for {set}"));
    }
    if !keys.is_empty() {
        let files = keys
            .iter()
            .take(3)
            .map(|file| quote(file))
            .collect::<Vec<_>>()
            .join(", ");
        told.push(format!("keys that may log in ({files})"));
    }
    if told.is_empty() {
        return None;
    }
    let told = told.join(", ");
    Some(format!(
        "The same in every copy of the image: {told}. `bootgate verify-production` judges that for an ISO image."
    ))
}
