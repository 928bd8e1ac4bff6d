//! What can be seen on a disk: its volumes, boot loaders, and the system on it.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::error::InitError;
use crate::diskfs::{Disk, DiskFsError, Entry, EntryKind, Kind, Volume, WalkLimits, Walked};
use crate::image::{MenuEntry, Outline, SomeFile, loaders_of, menu_of, outline_of};
use crate::plan::DiskFormat;
use crate::qemu::disk::{Layer, flatten, has_boot_code, is_damaged};
use crate::units::{ByteSize, MIB};

/// How far each volume is looked at: what tells how a system is set up is small.
const LIMITS: WalkLimits = WalkLimits {
    names_max: 60_000,
    file_bytes_max: 256 * 1024,
    files_bytes_max: 64 * MIB,
};
/// Where boot loaders have their files, on a volume of their own or below `/boot`, with how deep that goes.
const BOOT_DIRECTORIES: [(&str, usize); 8] = [
    ("/boot", 4),
    ("/grub", 1),
    ("/grub2", 1),
    ("/EFI", 3),
    ("/efi", 3),
    ("/loader", 2),
    ("/syslinux", 1),
    ("/extlinux", 1),
];
/// Where a system keeps what tells how it is set up, with how deep that goes.
const SYSTEM_DIRECTORIES: [(&str, usize); 17] = [
    ("/", 1),
    ("/etc", 6),
    ("/usr/lib/systemd/system", 3),
    ("/usr/local/lib/systemd/system", 3),
    ("/usr/lib/systemd/system-preset", 1),
    ("/usr/lib/systemd", 1),
    ("/usr/lib/x86_64-linux-gnu/systemd", 1),
    ("/usr/lib/tmpfiles.d", 1),
    ("/usr/lib/live", 2),
    ("/lib/systemd", 3),
    ("/usr/bin", 1),
    ("/usr/sbin", 1),
    ("/usr/local/bin", 1),
    ("/usr/local/sbin", 1),
    ("/root", 2),
    ("/home", 3),
    ("/usr/lib/os-release", 1),
];
/// Where SYSLINUX puts its files on a FAT file system if it is told nothing else.
const FAT_ROOT: (&str, usize) = ("/", 1);
/// The boot loader that a UEFI without variables of its own starts on x86-64 (UEFI specification, 3.5.1.1).
const FALLBACK: &str = "/efi/boot/bootx64.efi";

/// What was seen on a disk.
#[derive(Debug, Default)]
pub(super) struct DiskSurvey {
    pub(super) bios: Option<String>,
    pub(super) uefi: Option<String>,
    pub(super) loaders: Vec<(&'static str, String)>,
    pub(super) entries: Vec<MenuEntry>,
    pub(super) system: Option<Outline>,
    pub(super) encrypted: Vec<String>,
    pub(super) unseen: Vec<String>,
    /// What tells that the file may end too early.
    pub(super) cut: Option<String>,
    /// Volumes that hold something that is known.
    pub(super) volumes: usize,
}

/// A temporary file, removed when this is dropped.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Looks into a qcow2, by way of a raw copy. A backing file that its header names is not opened.
pub(super) fn qcow2(path: &Path) -> Result<DiskSurvey, InitError> {
    let name = format!("bootgate-init-{}.raw", uuid::Uuid::new_v4().simple());
    let copy = Temporary(std::env::temp_dir().join(name));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let qemu = PathBuf::from("qemu-system-x86_64");
    let qemu = crate::qemu::binary::locate(&qemu).unwrap_or(qemu);
    let layer = Layer {
        path: path.to_owned(),
        format: DiskFormat::Qcow2,
    };
    let runtime = runtime.map_err(InitError::Runtime)?;
    runtime.block_on(flatten(&qemu, &[layer], &copy.0))?;
    let mut survey = raw(&copy.0)?;
    if runtime.block_on(is_damaged(&qemu, path)).unwrap_or(false) {
        survey.cut = Some("`qemu-img check` finds it damaged, as one that was cut off is".to_owned());
    }
    Ok(survey)
}

/// Looks into a raw disk.
pub(super) fn raw(path: &Path) -> Result<DiskSurvey, InitError> {
    let disk = Disk::open_without_guestfish(path)?;
    let mut survey = DiskSurvey::default();
    if has_boot_code(path).unwrap_or(false) && is_boot_sector(path) {
        survey.bios = Some("the first sector holds boot code".to_owned());
    }
    let mut configs = Vec::new();
    let mut root = None;
    for volume in disk.volumes() {
        let told = told(volume);
        if volume.missing_bytes > 0 && survey.cut.is_none() {
            let missing = ByteSize(volume.missing_bytes);
            survey.cut = Some(format!("{missing} of {told} lie behind the end of the file"));
        }
        match volume.kind {
            Kind::Luks => survey.encrypted.push(told.clone()),
            kind if kind.is_read_here() => match boot_files(&disk, volume, &mut survey) {
                Ok(found) => configs.extend(found),
                Err(error) => survey.unseen.push(format!("{told}: {error}")),
            },
            Kind::Blank | Kind::Unknown | Kind::Swap => {}
            _ => survey.unseen.push(format!("{told}, which is not read here")),
        }
        survey.volumes += usize::from(!matches!(volume.kind, Kind::Blank | Kind::Unknown));
        if root.is_none() && volume.kind.is_read_here() && volume.kind != Kind::Fat {
            root = system(&disk, volume)?.map(|files| (volume, files));
        }
    }
    survey.entries = menu_of(&configs);
    if let Some((volume, files)) = root {
        let read = |paths: &[String]| read(&disk, volume, paths);
        survey.system = Some(outline_of(files, &configs, &told(volume), &read)?);
    }
    Ok(survey)
}

/// What the boot sectors of FAT say that only tell that there is no boot loader: those of mkfs.fat and of mformat.
const NO_BOOT_LOADER: [&[u8]; 2] = [b"This is not a bootable disk", b"This disk is not bootable"];

/// True if a BIOS starts it, and it is more than a message.
fn is_boot_sector(path: &Path) -> bool {
    let mut sector = [0; 512];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut sector, 0));
    let says = |words: &&[u8]| sector.windows(words.len()).any(|part| part == *words);
    read.is_ok() && sector[510..] == [0x55, 0xaa] && !NO_BOOT_LOADER.iter().any(says)
}

/// `volume 3 (ext4)`.
fn told(volume: &Volume) -> String {
    match volume.number {
        0 => format!("the whole disk ({})", volume.kind),
        number => format!("volume {number} ({})", volume.kind),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The boot loaders' configurations of a volume; what they are is added to the survey.
fn boot_files(disk: &Disk, volume: &Volume, survey: &mut DiskSurvey) -> Result<Vec<(String, String)>, DiskFsError> {
    // FAT finds a directory by its name in any case, so it would be walked twice.
    let is_fat = volume.kind == Kind::Fat;
    let directories: Vec<_> = BOOT_DIRECTORIES
        .into_iter()
        .filter(|(path, _)| !is_fat || *path != "/efi")
        .chain(is_fat.then_some(FAT_ROOT))
        .collect();
    let walked = disk.walk(volume, &directories, LIMITS)?;
    let within = |path: &str| format!("{}:{path}", told(volume));
    let mut configs: Vec<Vec<u8>> = Vec::new();
    let mut paths = Vec::new();
    for found in walked.iter().filter(|found| found.entry.kind == EntryKind::File) {
        let path = text(&found.path);
        let lower = path.to_ascii_lowercase();
        if volume.kind == Kind::Fat && lower == FALLBACK {
            survey.uefi = Some(format!("{} is there", within(&path)));
        }
        let is_config = lower.ends_with("/grub.cfg")
            || lower.contains("/loader/entries/")
            || lower.ends_with("linux.cfg") && !lower.contains("/grub");
        if is_config {
            configs.push(found.path.clone());
        }
        paths.push(path);
    }
    survey.loaders.extend(
        loaders_of(paths.iter().map(String::as_str))
            .into_iter()
            .map(|(name, path)| (name, within(&path))),
    );
    let contents = disk.contents(volume, &configs, LIMITS)?;
    Ok(contents
        .into_iter()
        .map(|(path, content)| (within(&text(&path)), text(&content)))
        .collect())
}

/// The files of the system on a volume, if one lies there.
fn system(disk: &Disk, volume: &Volume) -> Result<Option<Vec<(String, SomeFile)>>, DiskFsError> {
    // What is damaged was told when its boot files were looked for.
    let Ok(walked) = disk.walk(volume, &SYSTEM_DIRECTORIES, LIMITS) else {
        return Ok(None);
    };
    if !walked.iter().any(|found| found.path == b"/etc/passwd") {
        return Ok(None);
    }
    let is_read = |found: &&Walked| {
        let path = found.path.as_slice();
        let is_setting = [
            b"/etc/".as_slice(),
            b"/usr/lib/systemd/system",
            b"/lib/systemd/system",
            b"/usr/lib/os-release",
        ];
        found.entry.kind == EntryKind::File && is_setting.iter().any(|begin| path.starts_with(begin))
    };
    let wanted: Vec<Vec<u8>> = walked.iter().filter(is_read).map(|found| found.path.clone()).collect();
    let mut contents: BTreeMap<Vec<u8>, Vec<u8>> = disk.contents(volume, &wanted, LIMITS)?.into_iter().collect();
    let files = walked.into_iter().map(|found| {
        let content = contents.remove(&found.path);
        (inside(&found.path), file(found.entry, content))
    });
    Ok(Some(files.collect()))
}

fn file(entry: Entry, content: Option<Vec<u8>>) -> SomeFile {
    match entry.kind {
        EntryKind::File => SomeFile::File(entry.size_bytes, content),
        EntryKind::Directory => SomeFile::Directory,
        EntryKind::Symlink => SomeFile::Symlink(text(&entry.target.unwrap_or_default())),
        _ => SomeFile::Other,
    }
}

/// A path as trees have it.
fn inside(path: &[u8]) -> String {
    text(path).trim_start_matches('/').to_owned()
}

fn read(disk: &Disk, volume: &Volume, paths: &[String]) -> BTreeMap<String, Vec<u8>> {
    let wanted: Vec<Vec<u8>> = paths.iter().map(|path| format!("/{path}").into_bytes()).collect();
    let contents = disk.contents(volume, &wanted, LIMITS).unwrap_or_default();
    contents
        .into_iter()
        .map(|(path, content)| (inside(&path), content))
        .collect()
}
