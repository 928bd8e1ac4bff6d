//! The image anew around its new squashfs, with the boot loaders' records that it had.

use std::path::Path;
use std::time::Duration;

use super::error::ImageError;
use super::iso::{Iso, IsoFile, stdio};
use super::tool::XORRISO;

/// How long a large image may take on a slow disk.
const REBUILD_WITHIN: Duration = Duration::from_secs(3600);
const REPORT_WITHIN: Duration = Duration::from_secs(120);
/// Bytes of what xorriso reports.
const REPORT_BYTES_MAX: usize = 1024 * 1024;
/// Lists of checksums that lie on live images: of Debian, and of Ubuntu.
const CHECKSUMS: [&str; 3] = ["/md5sum.txt", "/sha256sum.txt", "/SHA256SUMS"];

/// Writes the new image. Gives what is worth knowing.
pub(super) fn rebuild(iso: &Iso, file: &IsoFile, squashfs: &Path, to: &Path) -> Result<Vec<String>, ImageError> {
    let mut command = XORRISO.command()?;
    command.args([
        "-no_rc",
        "-report_about",
        "WARNING",
        "-abort_on",
        "FAILURE",
        "-return_with",
        "SORRY",
        "32",
    ]);
    command
        .arg("-indev")
        .arg(stdio(&iso.path))
        .arg("-outdev")
        .arg(stdio(to));
    command.args(["-boot_image", "any", "replay"]);
    command.args(["-volume_date", "uuid", &iso.changed()?]);
    command
        .args(["-overwrite", "on", "-pathspecs", "off", "-map"])
        .arg(squashfs)
        .arg(&file.path);
    command.args(["-padding", "0", "-commit_eject", "all", "-end"]);
    XORRISO.output(command, "rebuilding the image", REBUILD_WITHIN, REPORT_BYTES_MAX)?;
    let lists = CHECKSUMS.iter().filter(|list| iso.file(list).is_some());
    Ok(lists
        .map(|list| {
            format!(
                "{list} still holds the production image's checksum of {}: a check of the medium fails",
                file.path
            )
        })
        .collect())
}

/// Holds the new image against the old one: boot records, volume, time, files; and the squashfs in it against its file.
pub(super) fn check(old: &Iso, new: &Iso, file: &IsoFile, squashfs: &Path) -> Result<(), ImageError> {
    let wrong = |what: String| Err(ImageError::NotAsPlanned(what));
    if old.changed()? != new.changed()? {
        return wrong("the volume's time is another one, by which GRUB finds its medium".to_owned());
    }
    let (records_before, records_after) = (records(old)?, records(new)?);
    if records_before != records_after {
        let lost = records_before.iter().find(|record| !records_after.contains(record));
        return wrong(format!("the boot records are not what they were: {lost:?}"));
    }
    for before in old.files() {
        let Some(after) = new.file(&before.path) else {
            return wrong(format!("{} is not on it", before.path));
        };
        if before.path != file.path && before.size_bytes() != after.size_bytes() {
            return wrong(format!("{} has another size", before.path));
        }
    }
    let size = squashfs
        .metadata()
        .map_err(ImageError::io("can't read", squashfs))?
        .len();
    match new.file(&file.path) {
        Some(after) if after.size_bytes() == size => Ok(()),
        _ => wrong(format!("{} is not the new one", file.path)),
    }
}

/// The boot loaders' records and the volume's name, without the places that change with the squashfs's size.
fn records(iso: &Iso) -> Result<Vec<String>, ImageError> {
    let mut command = XORRISO.command()?;
    command
        .args(["-no_rc", "-report_about", "WARNING", "-indev"])
        .arg(stdio(&iso.path));
    command.args([
        "-report_el_torito",
        "plain",
        "-report_system_area",
        "plain",
        "-pvd_info",
    ]);
    let report = XORRISO.output(command, "reading the boot records", REPORT_WITHIN, REPORT_BYTES_MAX)?;
    let report = String::from_utf8_lossy(&report).into_owned();
    Ok(report.lines().filter_map(lasting).collect())
}

/// What of a line must not change.
fn lasting(line: &str) -> Option<String> {
    let (name, value) = line.split_once(':')?;
    let words: Vec<&str> = value.split_whitespace().collect();
    let kept = match name.trim() {
        // Number, platform, bootable, emulation, load segment, partition type, load size; then the place.
        "El Torito boot img" if words.len() == 8 => words[..7].join(" "),
        "El Torito img path" | "El Torito img opts" | "El Torito cat path" | "System area summary" | "Volume Id" => {
            words.join(" ")
        }
        // Number, status, type; then the place.
        "MBR partition" if words.len() >= 3 => words[..3].join(" "),
        "GPT type GUID" | "GPT partition name" => words.join(" "),
        _ => return None,
    };
    Some(format!("{}: {kept}", name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_no_part_of_what_must_last() {
        let line = "El Torito boot img :   2  UEFI  y   none  0x0000  0x00   4096       20155";
        assert_eq!(
            lasting(line).unwrap(),
            "El Torito boot img: 2 UEFI y none 0x0000 0x00 4096"
        );
        let part = "MBR partition      :   2   0x00  0xef        80620         4096";
        assert_eq!(lasting(part).unwrap(), "MBR partition: 2 0x00 0xef");
        assert_eq!(lasting("ISO image size/512 : 85316"), None);
    }
}
