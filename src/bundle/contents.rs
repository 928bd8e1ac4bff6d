//! What goes into a bundle. Blocks.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::checkpoint::{Checkpoint, MACHINE_FILE, ORIGIN, StoredFile, safe_relative};

use super::error::PackError;
use super::manifest::{Dropped, FILES_MAX, FORMAT, Image, MANIFEST, Manifest, Packed, Role};

/// Files of a run that mean nothing elsewhere: its lock, the room that it kept back, and this bundle's kind.
const NOT_EVIDENCE: [&str; 4] = ["lock", "reserve", "last", MANIFEST];
/// The directory of the disks in a run.
const DISKS: &str = "disks";

/// What a bundle is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The run directory.
    pub run_dir: PathBuf,
    /// The name of its checkpoint's directory, if there is one.
    pub checkpoint: Option<String>,
    /// True if the images are taken along that the guest only read. Otherwise they are named by their digests.
    pub full: bool,
}

/// A file to be packed, held open: what is replaced or removed meanwhile is packed as it was.
pub(super) struct Source {
    pub(super) packed: Packed,
    pub(super) file: File,
}

/// All that could go into a bundle, by what matters most.
pub(super) struct Contents {
    pub(super) sources: Vec<Source>,
    images: Vec<Image>,
    missing: Vec<Dropped>,
    checkpoint: Option<String>,
    run: String,
}

impl Contents {
    /// Looks through a run. `step` is told the bytes that were read.
    pub(super) fn collect(options: &Options, step: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Result<Self, PackError> {
        let run_dir = &options.run_dir;
        let name = run_dir.file_name().unwrap_or_default().to_string_lossy();
        let mut contents = Self {
            sources: Vec::new(),
            images: Vec::new(),
            missing: Vec::new(),
            checkpoint: None,
            run: crate::text::terminal_line(name.as_bytes(), 100),
        };
        let checkpoint = options.checkpoint.as_ref();
        let opened = checkpoint.map(|name| Checkpoint::open(&run_dir.join(name)));
        let disks_of = match &opened {
            Some(Ok(checkpoint)) => Some(checkpoint),
            Some(Err(error)) => {
                contents.drop_role(Role::Memory, 0, format!("the machine was not saved whole: {error}"));
                None
            }
            None => None,
        };
        let mut known: BTreeSet<String> = BTreeSet::new();
        if let (Some(checkpoint), Some(name)) = (disks_of, checkpoint) {
            contents.checkpoint = Some(name.clone());
            known = contents.add_checkpoint(checkpoint, name, options.full, step)?;
        }
        for path in files_below(run_dir)? {
            let in_checkpoint = checkpoint.is_some_and(|name| path.starts_with(&format!("{name}/")))
                // What the run went on with is another run's; what is still needed of it is known by now.
                || path.starts_with(&format!("{ORIGIN}/"));
            let is_disk = path.starts_with(&format!("{DISKS}/"));
            if known.contains(&path) || in_checkpoint || (is_disk && disks_of.is_some()) {
                continue;
            }
            let role = if is_disk { Role::Disk } else { Role::Evidence };
            contents.add(run_dir, &path, role, step)?;
        }
        contents.sources.sort_by_key(|source| source.packed.role);
        Ok(contents)
    }

    fn add_checkpoint(
        &mut self,
        checkpoint: &Checkpoint,
        name: &str,
        full: bool,
        step: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<BTreeSet<String>, PackError> {
        let root = checkpoint.root();
        let record = checkpoint.record();
        self.add(root, &format!("{name}/{MACHINE_FILE}"), Role::Memory, step)?;
        let memory = record.memory.iter().map(|memory| &memory.file);
        let memory = memory.chain(record.firmware_files());
        let disks = record.layers().map(|layer| &layer.file);
        let files = memory.map(|file| (Role::Memory, file));
        for (role, file) in files.chain(disks.map(|file| (Role::Disk, file))) {
            // Its digest was made when it was saved, and is compared while it is packed.
            self.add_known(root, role, file.clone())?;
        }
        for image in record.base_images() {
            let path = full.then(|| format!("images/{}", image.sha256));
            if let Some(path) = &path {
                let file = StoredFile {
                    path: path.clone(),
                    size_bytes: image.size_bytes,
                    extents: None,
                    sha256: image.sha256,
                };
                let opened = File::open(&image.path).map_err(PackError::host("read", &image.path))?;
                self.push(Role::Image, file, opened)?;
            }
            self.images.push(Image {
                image: image.clone(),
                path,
            });
        }
        Ok(self
            .sources
            .iter()
            .map(|source| source.packed.file.path.clone())
            .collect())
    }

    fn add(
        &mut self,
        root: &Path,
        path: &str,
        role: Role,
        step: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<(), PackError> {
        let place = root.join(path);
        let opened = File::open(&place).map_err(PackError::host("read", &place))?;
        let described = StoredFile::describe_open(&opened, path, step).map_err(PackError::host("read", &place))?;
        self.push(role, described, opened)
    }

    fn add_known(&mut self, root: &Path, role: Role, file: StoredFile) -> Result<(), PackError> {
        let place = root.join(&file.path);
        let opened = File::open(&place).map_err(PackError::host("read", &place))?;
        self.push(role, file, opened)
    }

    fn push(&mut self, role: Role, file: StoredFile, opened: File) -> Result<(), PackError> {
        if self.sources.len() >= FILES_MAX {
            let problem = format!("it has more than {FILES_MAX} files");
            return Err(PackError::Run { problem });
        }
        self.sources.push(Source {
            packed: Packed { role, file },
            file: opened,
        });
        Ok(())
    }

    fn drop_role(&mut self, role: Role, data_bytes: u64, reason: String) {
        self.missing.push(Dropped {
            role,
            data_bytes,
            reason: crate::text::terminal_line(reason, 400),
        });
    }

    /// Bytes of data of a role.
    pub(super) fn data_bytes(&self, role: Role) -> u64 {
        let of_role = self.sources.iter().filter(|source| source.packed.role == role);
        of_role.map(|source| source.packed.file.data_bytes()).sum()
    }

    /// Leaves out what matters least, for the reason given. False if there is nothing but evidence.
    pub(super) fn drop_least(&mut self, reason: &str) -> bool {
        let least = self.sources.iter().map(|source| source.packed.role).max();
        let Some(role) = least.filter(|role| *role != Role::Evidence) else {
            return false;
        };
        self.drop_role(role, self.data_bytes(role), reason.to_owned());
        self.sources.retain(|source| source.packed.role != role);
        if role == Role::Image {
            for image in &mut self.images {
                image.path = None;
            }
        }
        if role == Role::Memory {
            self.checkpoint = None;
        }
        true
    }

    /// The manifest of what is left.
    pub(super) fn manifest(&self) -> Manifest {
        Manifest {
            format: FORMAT,
            bootgate_version: env!("CARGO_PKG_VERSION").to_owned(),
            run: self.run.clone(),
            checkpoint: self.checkpoint.clone(),
            files: self.sources.iter().map(|source| source.packed.clone()).collect(),
            images: self.images.clone(),
            dropped: self.missing.clone(),
        }
    }
}

/// The plain files below a directory that are worth keeping, by their paths below it, in order. Links, sockets and
/// unfinished files are not.
fn files_below(root: &Path) -> Result<Vec<String>, PackError> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let place = root.join(&folder);
        let entries = std::fs::read_dir(&place).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in entries.map_err(PackError::host("read", &place))? {
            let kind = entry.file_type().map_err(PackError::host("examine", &entry.path()))?;
            let name = entry.file_name();
            let path = match name.to_str() {
                Some(name) if folder.is_empty() => name.to_owned(),
                Some(name) => format!("{folder}/{name}"),
                None => continue,
            };
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && is_wanted(&path) {
                let refused = |problem| PackError::Run {
                    problem: format!("`{}`: {problem}", crate::text::terminal_line(path.as_bytes(), 200)),
                };
                safe_relative(&path).map_err(|unsafe_path| refused(unsafe_path.problem))?;
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn is_wanted(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    !NOT_EVIDENCE.contains(&path)
        && !name.starts_with(".draft-")
        && !name.ends_with(".partial")
        && !name.ends_with(".tar.zst")
}
