//! The gate file for an image: what was seen and what it suggests, in one text.

use std::path::Path;

use super::access::{self, Access};
use super::blocks;
use super::look::{Medium, Survey};
use super::page::{Page, quote, toml_string};
use super::wording;

/// The longest name of a gate, in bytes.
const NAME_BYTES_MAX: usize = 40;

/// How the gate file names its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateImage {
    /// The path as the file says it.
    pub written: String,
}

/// A gate file that is not written yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its text.
    pub text: String,
    /// What was seen, line by line.
    pub seen: Vec<String>,
    /// What keeps a run of it from passing, if anything was seen that does.
    pub warnings: Vec<String>,
}

/// Writes the file for what was seen.
pub fn draft(survey: &Survey, image: &GateImage) -> Draft {
    let access = access::choose(survey, blocks::is_serial(survey));
    let mut page = Page::default();
    head(&mut page, survey);
    page.line("");
    page.set("gate", &toml_string(&name(&survey.path)));
    write_image(&mut page, survey, image);
    blocks::machine(&mut page, survey);
    blocks::console(&mut page, survey);
    access::write(&mut page, survey, &access);
    blocks::stages(&mut page, survey);
    Draft {
        text: page.text(),
        seen: seen(survey, &access),
        warnings: warnings(survey),
    }
}

fn head(page: &mut Page, survey: &Survey) {
    let image = survey.path.file_name().unwrap_or_default().to_string_lossy();
    page.note(&format!(
        "A gate for {}, written by `bootgate init` from what lies in the image; nothing was started.",
        quote(&image)
    ));
    page.line("#");
    page.note(
        "`bootgate check FILE` shows what it would do, and `bootgate run FILE` does it: the exit code is the verdict.",
    );
    page.note(
        "Each setting says what was seen in which file of the image, and what to change if that is wrong. A line that \
         begins with `#` and no space is a setting that is switched off.",
    );
    if !survey.unseen.is_empty() {
        page.line("#");
        page.note("Not looked into:");
        for unseen in &survey.unseen {
            page.note(&format!("- {}", wording::plain(unseen)));
        }
    }
}

fn write_image(page: &mut Page, survey: &Survey, image: &GateImage) {
    page.table("[image]");
    page.note(&wording::medium(survey));
    page.note(&wording::system(survey));
    if let Some(loaders) = wording::loaders(survey) {
        page.note(&loaders);
    }
    if let Some(cut) = &survey.cut {
        page.note(&format!("It may be cut off: {}.", wording::plain(cut)));
    }
    if !survey.encrypted.is_empty() {
        let all = survey
            .encrypted
            .iter()
            .map(|volume| wording::plain(volume))
            .collect::<Vec<_>>()
            .join(", ");
        page.note(&format!("Encrypted, so not looked into: {all}."));
    }
    match &survey.medium {
        Medium::Iso(volume) => {
            page.set("iso", &toml_string(&image.written));
            if volume.stick {
                page.note("It can be written to a stick as well; `attach = \"usb\"` starts it from one.");
            }
        }
        Medium::Disk(format) => {
            page.set("disk", &toml_string(&image.written));
            page.set("format", &toml_string(format.as_str()));
        }
    }
    if let Some(record) = &survey.record {
        page.note(&format!(
            "A debug image of {}, says the record beside it.",
            quote(&record.production.file)
        ));
    }
    page.note("`sha256sum` gives the digest that pins it, for a key `sha256`.");
}

/// A name for the gate: what is left of the file's name.
fn name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let words = stem
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join("-");
    let name: String = joined
        .trim_start_matches(|c: char| !c.is_ascii_lowercase())
        .chars()
        .take(NAME_BYTES_MAX)
        .collect();
    let name = name.trim_end_matches('-');
    if name.is_empty() {
        "gate".to_owned()
    } else {
        name.to_owned()
    }
}

fn seen(survey: &Survey, access: &Access) -> Vec<String> {
    let mut lines = vec![wording::medium(survey), wording::system(survey)];
    lines.extend(wording::loaders(survey));
    let firmware = match (survey.bios.is_some(), survey.uefi.is_some()) {
        (true, true) => "Boots by BIOS and by UEFI.",
        (true, false) => "Boots by BIOS.",
        (false, true) => "Boots by UEFI.",
        (false, false) => "Nothing was seen that a firmware could start.",
    };
    lines.push(firmware.to_owned());
    lines.push(match access {
        Access::Record { .. } => "Way in: the login that was made with this debug image.".to_owned(),
        Access::Credentials { .. } => {
            "Way in: SSH as root, by a key that systemd takes from the firmware's tables.".to_owned()
        }
        Access::Console { user, .. } => format!(
            "Way in: a login on the serial console as {}, which starts SSH.",
            quote(user)
        ),
        Access::None(why) => format!("Way in: none. {why}"),
    });
    lines
}

fn warnings(survey: &Survey) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(cut) = &survey.cut {
        warnings.push(format!(
            "the image may be cut off: {}; check it against its published digest",
            wording::plain(cut)
        ));
    }
    if !blocks::is_serial(survey) {
        warnings.push(
            "the kernel's console is not on the serial port: the gate sees nothing of the system until the image has \
             `console=ttyS0` among its kernel arguments"
                .to_owned(),
        );
    }
    if survey.bios.is_none() && survey.uefi.is_none() {
        warnings.push("nothing was seen in the image that a BIOS or a UEFI on x86-64 could start".to_owned());
    }
    warnings
}
