//! The parts of the file that follow from what was seen: machine, console, stages.

use super::look::{Medium, Survey};
use super::page::{Page, literal, quote, toml_string};
use super::wording;
use crate::image::{Getty, MenuEntry};

/// What a login prompt looks like, on a line that has no end.
const LOGIN_PROMPT: &str = r"\blogin: ?$";
/// What a question for a disk's passphrase looks like.
const PASSPHRASE: &str = r"(?i)\bpass(phrase|word) for\b|\bunlock disk\b";

/// The firmware that the gate starts with.
pub(super) fn firmware(survey: &Survey) -> &'static str {
    if survey.bios.is_none() && survey.uefi.is_some() {
        "uefi"
    } else {
        "bios"
    }
}

/// The entry that the firmware's boot loader starts, as far as it can be told: the first of its menu.
pub(super) fn entry(survey: &Survey) -> Option<&MenuEntry> {
    let prefers = firmware(survey) == "bios";
    let own = survey.entries.iter().find(|entry| entry.of_syslinux == prefers);
    own.or(survey.entries.first())
}

/// True if the kernel's console is on the serial port, or nothing is known to the contrary.
pub(super) fn is_serial(survey: &Survey) -> bool {
    entry(survey).is_none_or(|entry| entry.serial_console().is_some())
}

pub(super) fn machine(page: &mut Page, survey: &Survey) {
    page.table("[machine]");
    let seen = |name: &str, why: &Option<String>| match why {
        Some(why) => format!("{name}: yes, {}.", wording::plain(why)),
        None => format!("{name}: nothing was seen that it could start."),
    };
    page.note(&format!(
        "{} {}",
        seen("BIOS", &survey.bios),
        seen("UEFI", &survey.uefi)
    ));
    if survey.bios.is_some() && survey.uefi.is_some() {
        page.note(
            "BIOS needs nothing installed on the host; write \"uefi\" to test that way (or a second gate file for it).",
        );
    }
    page.set("firmware", &toml_string(firmware(survey)));
    page.note("Enough for most; a live system keeps what it writes in memory.");
    let small = survey.system.is_none() && matches!(survey.medium, Medium::Iso(_));
    page.set("memory", if small { "\"1GiB\"" } else { "\"2GiB\"" });
}

pub(super) fn console(page: &mut Page, survey: &Survey) {
    page.table("[console]");
    serial_note(page, survey);
    let mut markers = Vec::new();
    let announcement = survey.system.as_ref().and_then(|system| system.announcement.as_ref());
    if let Some(announcement) = announcement {
        page.note(&format!(
            "{} prints this line when the system is up ({}).",
            quote(&announcement.unit),
            quote(&announcement.file)
        ));
        markers.push(toml_string(&announcement.text));
    }
    if !survey.encrypted.is_empty() {
        page.note(
            "The question for the passphrase proves that the boot loader, the kernel and its initial RAM disk work, and \
             nothing behind it: only an installed-boot stage can answer it (`unlock`).",
        );
        markers.push(format!(
            "{{ name = \"passphrase-asked\", regex = {} }}",
            literal(PASSPHRASE)
        ));
    }
    match survey.system.as_ref().map(|system| &system.getty) {
        Some(Getty::Autologin { file, user }) => {
            let (file, user) = (quote(file), quote(user));
            page.note(&format!(
                "{user} is logged in on the serial console by itself ({file}), and agetty says so."
            ));
            markers.push("{ name = \"automatic-login\", text = \"(automatic login)\" }".to_owned());
        }
        Some(Getty::Prompt(file)) => {
            page.note(&format!(
                "A login prompt comes to the serial console ({}).",
                quote(file)
            ));
            markers.push(prompt());
        }
        Some(Getty::None) | None => {
            page.note("No line was seen that says that the system is up, so a login prompt is waited for.");
            markers.push(prompt());
        }
    }
    page.note(
        "Any of these says that the image is up. If the image prints a line of its own then, put it here instead.",
    );
    page.line("markers = [");
    for marker in markers {
        page.line(&format!("    {marker},"));
    }
    page.line("]");
}

fn prompt() -> String {
    format!("{{ name = \"login-prompt\", regex = {} }}", literal(LOGIN_PROMPT))
}

fn serial_note(page: &mut Page, survey: &Survey) {
    let Some(entry) = entry(survey) else {
        page.note(
            "No kernel arguments were found, so it is not known whether the image has a serial console. Without \
             `console=ttyS0` among them nothing is seen of it.",
        );
        return;
    };
    let told = wording::entry(entry);
    if let Some(console) = entry.serial_console() {
        page.note(&format!(
            "The kernel's console is on the serial port: {} in {told}.",
            quote(&format!("console={console}"))
        ));
        return;
    }
    page.note(&format!(
        "THE KERNEL'S CONSOLE IS NOT ON THE SERIAL PORT: {told} has no `console=ttyS0`, so this gate sees nothing of the \
         system and may well end as no-serial-console. Add `console=tty0 console=ttyS0,115200` to the image's kernel arguments."
    ));
    let other = survey.entries.iter().find(|entry| entry.serial_console().is_some());
    if let Some(other) = other {
        page.note(&format!("{} has it; make it the default entry.", wording::entry(other)));
    }
}

pub(super) fn stages(page: &mut Page, survey: &Survey) {
    page.line("");
    page.note("Times are for KVM; without it, bootgate gives four times as much.");
    page.line("[[stage]]");
    let is_disk = matches!(survey.medium, Medium::Disk(_));
    page.set("name", if is_disk { "\"boot\"" } else { "\"boot-live\"" });
    page.set("kind", "\"boot\"");
    page.set("timeout", if survey.system.is_some() { "\"10m\"" } else { "\"5m\"" });
    if is_disk {
        return;
    }
    let installers = survey.system.as_ref().map_or(&[][..], |system| &system.installers);
    let named: Vec<_> = installers.iter().map(|path| quote(path)).collect();
    page.line("");
    if named.is_empty() {
        page.note("No installer was seen. If the image has one:");
    } else {
        page.note(&format!(
            "May install the system: {}. To prove that it does:",
            named.join(", ")
        ));
    }
    page.note(
        "switch these on, with the command that installs without asking, and the line that it prints when it is done.",
    );
    let command = installers
        .first()
        .map_or("install-it --unattended".to_owned(), |path| format!("sudo /{path}"));
    let command = toml_string(&command);
    for line in [
        "[[disk]]",
        "name = \"target\"",
        "size = \"16GiB\"",
        "",
        "[[stage]]",
        "name = \"install\"",
        "kind = \"command\"",
        &format!("command = {command}"),
        "pass = [\"Installation finished\"]",
        "timeout = \"30m\"",
        "",
        "[[stage]]",
        "name = \"installed\"",
        "kind = \"installed-boot\"",
        "target = { regex = 'Reached target .*(Graphical Interface|Multi-User System)' }",
        "timeout = \"10m\"",
    ] {
        page.off(line);
    }
}
