//! An image looked into for a gate file: what boots it, what its kernel is told, and what its system does.

use std::collections::BTreeMap;
use std::path::Path;

use super::boot_config;
use super::debug::ROOTS;
use super::el_torito::{self, Volume};
use super::error::ImageError;
use super::iso::{Iso, IsoFile};
use super::menu::MenuEntry;
use super::menu_order::menu;
use super::outline::{Outline, outline};
use super::squashfs::Squashfs;
use super::system::{SomeFile, System};
use super::verify::nested;

/// What was found in an ISO image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsoSurvey {
    /// What its first sectors say.
    pub volume: Volume,
    /// The image's size in bytes.
    pub size_bytes: u64,
    /// Boot loaders, each with a file of its own.
    pub loaders: Vec<(&'static str, String)>,
    /// What their configurations start, in the order in which they are read.
    pub entries: Vec<MenuEntry>,
    /// The system, if it lies where it can be read.
    pub system: Option<Outline>,
    /// What was not looked into, and why.
    pub unseen: Vec<String>,
}

/// Looks into an ISO image.
///
/// # Errors
/// If it is none, or is damaged, or the host lacks a program to read it with. What can't be read in it is told in `unseen`.
pub fn survey_iso(path: &Path) -> Result<IsoSurvey, ImageError> {
    let iso = Iso::open(path)?;
    let volume = el_torito::volume(&iso)?;
    let configs = boot_config::read(&iso);
    let entries = menu(&configs);
    let mut unseen = Vec::new();
    let wanted = boot_config::units(&configs);
    let system = match system(&iso, &wanted, &mut unseen) {
        Err(error @ (ImageError::ToolMissing { .. } | ImageError::Io { .. })) => return Err(error),
        Err(error) => {
            unseen.push(format!("the system: {error}"));
            None
        }
        Ok(system) => system,
    };
    let initrds = iso
        .files()
        .iter()
        .filter(|file| is_initrd(&file.path))
        .map(|file| file.path.as_str());
    let initrds: Vec<_> = initrds.take(3).collect();
    if !initrds.is_empty() {
        unseen.push(format!("the initial RAM disk ({})", initrds.join(", ")));
    }
    Ok(IsoSurvey {
        volume,
        size_bytes: iso.size_bytes(),
        loaders: loaders(iso.files().iter().map(|file| file.path.as_str())),
        entries,
        system,
        unseen,
    })
}

fn is_initrd(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    ["initrd", "initramfs"].iter().any(|begin| name.starts_with(begin))
}

/// Boot loaders by their files' paths, from a slash on.
fn loaders<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<(&'static str, String)> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    for path in paths {
        let lower = path.to_ascii_lowercase();
        let name = if lower.ends_with("/isolinux.bin") || lower.ends_with("/ldlinux.sys") {
            "SYSLINUX"
        } else if lower.ends_with("/grub.cfg") {
            "GRUB"
        } else if lower.contains("/loader/entries/") && lower.rsplit('.').next() == Some("conf") {
            "systemd-boot"
        } else {
            continue;
        };
        if !found.iter().any(|(known, _)| *known == name) {
            found.push((name, path.to_owned()));
        }
    }
    found
}

fn system(iso: &Iso, wanted: &[String], unseen: &mut Vec<String>) -> Result<Option<Outline>, ImageError> {
    let all = iso.squashfs_files();
    let Some(file) = root_of(&all) else {
        return Ok(None);
    };
    for other in all.iter().filter(|other| other.path != file.path) {
        unseen.push(format!("another squashfs ({})", other.path));
    }
    let squashfs = Squashfs::of(iso, file)?;
    let system = System::read(&squashfs)?;
    if let Some(inside) = nested(&system) {
        unseen.push(format!(
            "the system: {} holds an image of a file system ({inside})",
            file.path
        ));
        return Ok(None);
    }
    let tree = system.tree.clone();
    let read = |paths: &[String]| squashfs.read(&tree, paths.iter().map(String::as_str));
    outline(system, &file.path, wanted, &read).map(Some)
}

/// The squashfs that holds the system: one that live systems are known to have, else the largest.
fn root_of<'a>(all: &[&'a IsoFile]) -> Option<&'a IsoFile> {
    let known = ROOTS.iter().find_map(|root| all.iter().find(|file| file.path == *root));
    known
        .or_else(|| all.iter().max_by_key(|file| file.size_bytes()))
        .copied()
}

/// Reads files of a system by their paths, as far as they are there and small.
pub type ReadFiles<'a> = dyn Fn(&[String]) -> BTreeMap<String, Vec<u8>> + 'a;

/// The outline of a system of which somebody else has read the names and the small files: paths begin with no slash.
///
/// # Errors
/// As `read`, which reads more files by their paths.
pub fn outline_of(
    files: Vec<(String, SomeFile)>,
    configs: &[(String, String)],
    place: &str,
    read: &ReadFiles<'_>,
) -> Result<Outline, ImageError> {
    let system = System::from_files(files);
    let wanted = boot_config::units(configs);
    outline(system, place, &wanted, &|paths| Ok(read(paths)))
}

/// What the configurations of boot loaders start: pairs of a path and a text.
pub fn menu_of(configs: &[(String, String)]) -> Vec<MenuEntry> {
    menu(configs)
}

/// Boot loaders by the paths of files, which begin with a slash.
pub fn loaders_of<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<(&'static str, String)> {
    loaders(paths)
}
