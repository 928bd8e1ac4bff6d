//! Whether an image may be published, as far as its files can tell: nothing is started, mounted or unpacked.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::accounts::{self, AllowedEmpty, SHADOW};
use super::boot_config;
use super::error::ImageError;
use super::finding::{Check, Finding};
use super::iso::Iso;
use super::squashfs::Squashfs;
use super::sshd;
use super::system::System;
use super::traces::{self, Forbidden};

/// Squashfs file systems of one image that are looked at.
const SQUASHFS_MAX: usize = 64;
/// What a squashfs is called, at its end, that holds an image of a file system in place of files.
const NESTED: &str = "rootfs.img";

/// What an image is held against.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Paths and texts that must not be there.
    pub forbidden: Vec<Forbidden>,
    /// Users whose empty passwords are meant.
    pub allowed_empty: Vec<AllowedEmpty>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The image.
    pub image: PathBuf,
    /// What speaks against publishing it. Empty: nothing does.
    pub findings: Vec<Finding>,
    /// What was looked at.
    pub looked_at: LookedAt,
    /// Worth knowing.
    pub notes: Vec<String>,
}

/// What was looked at: a proof names what it rests on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LookedAt {
    /// The squashfs file systems.
    pub squashfs: Vec<String>,
    /// Names in them.
    pub entries: usize,
    /// Files of them that were read.
    pub files_read: usize,
    /// Users in the table of passwords.
    pub users: usize,
    /// The boot loaders' configurations.
    pub configurations: Vec<String>,
}

/// Looks at an image.
///
/// # Errors
/// If it can't be read at all. What is missing in it is a finding.
pub fn verify(image: &Path, options: &VerifyOptions) -> Result<Verification, ImageError> {
    let iso = Iso::open(image)?;
    let configs = boot_config::read(&iso);
    let mut findings = boot_config::check(&configs, &options.forbidden);
    let mut looked_at = LookedAt {
        configurations: configs.iter().map(|(path, _)| path.clone()).collect(),
        ..LookedAt::default()
    };
    if !configs.iter().any(boot_config::boots) {
        let what = "no configuration of a boot loader that starts a kernel lies on the image";
        findings.push(Finding::new(Check::NotLookedAt, "/", what));
    }
    let wanted = boot_config::units(&configs);
    let mut notes = Vec::new();
    let all = iso.squashfs_files();
    if all.is_empty() {
        let files = iso.files().len();
        let what = format!("no squashfs lies on the image: none of its {files} files begins like one");
        findings.push(Finding::new(Check::NotLookedAt, "/", what));
    }
    if all.len() > SQUASHFS_MAX {
        return Err(ImageError::Implausible(format!(
            "it holds {} squashfs file systems",
            all.len()
        )));
    }
    for file in all {
        let squashfs = Squashfs::of(&iso, file)?;
        let system = System::read(&squashfs)?;
        looked_at.squashfs.push(file.path.clone());
        looked_at.entries += system.tree.len();
        looked_at.files_read += system.contents().count();
        looked_at.users += accounts::users(&system).unwrap_or(0);
        let (found, told) = judge(&system, &wanted, options);
        let within = |path: &str| format!("{}:/{path}", file.path);
        findings.extend(found.into_iter().map(|finding| Finding {
            path: within(&finding.path),
            ..finding
        }));
        notes.extend(told.into_iter().map(|note| format!("{}: {note}", file.path)));
    }
    if looked_at.users == 0 && !looked_at.squashfs.is_empty() {
        let what = format!("no squashfs of the image has a /{SHADOW} with a user in it");
        findings.push(Finding::new(Check::NotLookedAt, "/", what));
    }
    findings.sort();
    findings.dedup();
    Ok(Verification {
        image: image.to_owned(),
        findings,
        looked_at,
        notes,
    })
}

/// Everything that speaks against one system.
fn judge(system: &System, wanted: &[String], options: &VerifyOptions) -> (Vec<Finding>, Vec<String>) {
    let mut findings = sshd::check(system, wanted);
    let (found, notes) = accounts::passwords(system, &options.allowed_empty);
    findings.extend(found);
    findings.extend(accounts::keys(system));
    findings.extend(traces::marks(system));
    findings.extend(traces::forbidden(system, &options.forbidden));
    if let Some(inside) = nested(system) {
        let what = "the squashfs holds an image of a file system, which is not looked into";
        findings.push(Finding::new(Check::NotLookedAt, inside, what));
    }
    (findings, notes)
}

/// The image of a file system that a squashfs holds in place of a system's files.
pub(super) fn nested(system: &System) -> Option<String> {
    let has_system = system.tree.resolve("etc").is_some();
    let mut images = system.tree.iter().filter(|(path, _)| path.ends_with(NESTED));
    images.next().filter(|_| !has_system).map(|(path, _)| path.to_owned())
}
