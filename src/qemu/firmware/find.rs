//! The search.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::descriptor::{self, Candidate};
use super::files::{FlashFile, UefiFiles};
use super::places::{DescriptorDir, Places};
use crate::plan::{Arch, DiskFormat};
use crate::qemu::binary::Qemu;

/// Bytes of a descriptor file. Real ones have some 1 kB.
const DESCRIPTOR_BYTES_MAX: u64 = 256 * 1024;

/// Something that looked like firmware and is not usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The descriptor, or the code of the pair.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Why there is no firmware.
#[derive(Debug, thiserror::Error)]
pub enum FirmwareError {
    /// Nothing usable was found.
    #[error("there is no UEFI firmware for `{machine}`{}; looked for {}", explain(.skipped), .searched.join(", "))]
    NotFound {
        /// The machine type.
        machine: String,
        /// What was found and not usable.
        skipped: Vec<Skipped>,
        /// Where it was looked for.
        searched: Vec<String>,
    },
}

fn explain(skipped: &[Skipped]) -> String {
    skipped.iter().fold(String::new(), |text, skipped| {
        format!("{text}; `{}` can't be used: {}", skipped.path.display(), skipped.reason)
    })
}

impl FirmwareError {
    /// What a person does about it.
    pub fn mend(&self) -> &'static str {
        "install the firmware (Debian and Ubuntu: `apt install ovmf`; Fedora: `dnf install edk2-ovmf`; \
         Arch: `pacman -S edk2-ovmf`; openSUSE: `zypper install qemu-ovmf-x86_64`), or set `firmware = \"bios\"`"
    }
}

/// The best UEFI firmware on this host for the machine `q35` of a QEMU.
pub fn find(qemu: &Qemu, arch: Arch) -> Result<UefiFiles, FirmwareError> {
    find_in(&Places::of(qemu), arch, &qemu.features.q35_machine)
}

/// The same in other places. `machine` is the versioned machine type, like `pc-q35-7.2`.
///
/// Firmware without Secure Boot comes before firmware with it, whatever the order: an image needs no signature to be
/// tested. Within a kind the order is that of QEMU's documentation.
pub fn find_in(places: &Places, arch: Arch, machine: &str) -> Result<UefiFiles, FirmwareError> {
    let mut skipped = Vec::new();
    let mut found = Vec::new();
    for (path, root) in descriptors(places) {
        match described(&path, root, arch, machine) {
            Ok(Some(candidate)) => found.push((candidate, format!("descriptor {}", path.display()))),
            Ok(None) => {}
            Err(reason) => skipped.push(Skipped { path, reason }),
        }
    }
    found.sort_by_key(|(candidate, _)| candidate.rank());
    // Pairs known by name are last of all, but before firmware that would refuse an unsigned image.
    let before_pairs = found.partition_point(|(candidate, _)| !candidate.enrolled_keys);
    let after = found.split_off(before_pairs);
    if found.is_empty() {
        found.extend(named_pairs(&places.pairs, &mut skipped));
    }
    found.extend(after);
    match found.into_iter().next() {
        Some((candidate, source)) => Ok(UefiFiles {
            code: candidate.code,
            vars: candidate.vars,
            requires_smm: candidate.requires_smm,
            enrolled_keys: candidate.enrolled_keys,
            source,
        }),
        None => Err(FirmwareError::NotFound {
            machine: machine.to_owned(),
            skipped,
            searched: places.searched(),
        }),
    }
}

/// The descriptor files in force: QEMU's own, then the host's, each sorted by name. A file hides files of the same name
/// in later directories, and an empty file hides them without saying anything itself.
fn descriptors(places: &Places) -> Vec<(PathBuf, Option<&Path>)> {
    let mut in_force = Vec::new();
    let mut seen = BTreeSet::new();
    for group in [&places.own, &places.host] {
        let mut by_name = BTreeMap::new();
        for DescriptorDir { dir, root } in group {
            let entries = fs::read_dir(dir).into_iter().flatten();
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                let Some(name) = path.file_name().map(ToOwned::to_owned) else {
                    continue;
                };
                if path.extension().is_some_and(|extension| extension == "json") && !seen.contains(&name) {
                    by_name.entry(name).or_insert((path, root.as_deref()));
                }
            }
        }
        seen.extend(by_name.keys().cloned());
        in_force.extend(by_name.into_values());
    }
    in_force.retain(|(path, _)| fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0));
    in_force
}

/// The candidate of a descriptor file, with files that exist.
fn described(path: &Path, root: Option<&Path>, arch: Arch, machine: &str) -> Result<Option<Candidate>, String> {
    let bytes = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if bytes > DESCRIPTOR_BYTES_MAX {
        return Err(format!("it has {bytes} bytes, which is no descriptor"));
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let Some(mut candidate) = descriptor::candidate(&text, arch, machine)? else {
        return Ok(None);
    };
    locate(&mut candidate.code, root)?;
    if let Some(vars) = &mut candidate.vars {
        locate(vars, root)?;
    }
    Ok(Some(candidate))
}

/// Finds the file of a descriptor, below the tree's root if it is there.
fn locate(file: &mut FlashFile, root: Option<&Path>) -> Result<(), String> {
    if let (Some(root), Ok(relative)) = (root, file.path.strip_prefix("/")) {
        let moved = root.join(relative);
        if moved.is_file() {
            file.path = moved;
        }
    }
    if file.path.is_file() {
        Ok(())
    } else {
        Err(format!("{} is missing", file.path.display()))
    }
}

/// The first pair that is complete.
fn named_pairs(pairs: &[(PathBuf, PathBuf)], skipped: &mut Vec<Skipped>) -> Option<(Candidate, String)> {
    for (code, vars) in pairs {
        if !code.is_file() {
            continue;
        }
        if !vars.is_file() {
            skipped.push(Skipped {
                path: code.clone(),
                reason: format!("its variables {} are missing", vars.display()),
            });
            continue;
        }
        let flash = |path: &Path| FlashFile {
            path: path.to_path_buf(),
            format: if path.extension().is_some_and(|extension| extension == "qcow2") {
                DiskFormat::Qcow2
            } else {
                DiskFormat::Raw
            },
        };
        let candidate = Candidate {
            code: flash(code),
            vars: Some(flash(vars)),
            requires_smm: false,
            secure_boot: false,
            enrolled_keys: false,
        };
        return Some((candidate, format!("well-known pair {}", code.display())));
    }
    None
}
