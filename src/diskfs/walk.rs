//! The names below some directories of a volume, and the contents of its small files, each in one go.

use super::disk::{Disk, Volume, error, join};
use super::error::DiskFsError;
use super::place::Place;
use super::tree::{Entry, EntryKind, Failure, Tree, resolve};

/// How far a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkLimits {
    /// Names, of all directories together. What is behind them is left out.
    pub names_max: usize,
    /// The size in bytes up to which a file is read.
    pub file_bytes_max: u64,
    /// The bytes that all files that are read may have together.
    pub files_bytes_max: u64,
}

/// A name below a directory, with its path from a slash on. Everything in it is the guest's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// The path.
    pub path: Vec<u8>,
    /// What it is; a link with its target.
    pub entry: Entry,
}

/// A file's path, and what is in it.
pub type Content = (Vec<u8>, Vec<u8>);

impl Disk {
    /// The names below directories, at most so many levels deep, in no order. A directory that is not there, or can't be
    /// read, is left out.
    pub fn walk(
        &self,
        volume: &Volume,
        directories: &[(&str, usize)],
        limits: WalkLimits,
    ) -> Result<Vec<Walked>, DiskFsError> {
        let walked = self.within(volume, 0, |tree| {
            let mut found = Vec::new();
            for (directory, depth) in directories {
                match resolve(tree, directory.as_bytes()) {
                    Ok((real, entry)) if entry.kind == EntryKind::Directory => {
                        below(tree, &real, *depth, limits.names_max, &mut found)?;
                    }
                    Ok(_) | Err(Failure::NotThere | Failure::NotADirectory | Failure::Links) => {}
                    Err(failure) => return Err(failure),
                }
            }
            Ok(found)
        });
        walked.map_err(|failure| error(failure, volume, &nowhere(volume)))
    }

    /// The contents of the files that these paths lead to, with the paths asked for. What is no file, is too large or can't
    /// be read is left out.
    pub fn contents(
        &self,
        volume: &Volume,
        paths: &[Vec<u8>],
        limits: WalkLimits,
    ) -> Result<Vec<Content>, DiskFsError> {
        let read = self.within(volume, limits.files_bytes_max, |tree| {
            let mut contents = Vec::new();
            let mut left = limits.files_bytes_max;
            for path in paths {
                let Ok((real, entry)) = resolve(tree, path) else {
                    continue;
                };
                let bytes_max = limits.file_bytes_max.min(left);
                if entry.kind != EntryKind::File || entry.size_bytes > bytes_max {
                    continue;
                }
                let mut content = Vec::new();
                let read = tree.read(&real, bytes_max, &mut |part| {
                    content.extend_from_slice(part);
                    Ok(())
                });
                match read {
                    Ok(_) => {
                        left -= (content.len() as u64).min(left);
                        contents.push((path.clone(), content));
                    }
                    Err(failure @ Failure::Limit(_)) => return Err(failure),
                    Err(_) => {}
                }
            }
            Ok(contents)
        });
        read.map_err(|failure| error(failure, volume, &nowhere(volume)))
    }
}

fn below(
    tree: &dyn Tree,
    directory: &[u8],
    depth: usize,
    names_max: usize,
    found: &mut Vec<Walked>,
) -> Result<(), Failure> {
    let entries = match tree.list(directory) {
        Ok(entries) => entries,
        Err(failure @ Failure::Limit(_)) => return Err(failure),
        Err(_) => return Ok(()),
    };
    for mut entry in entries {
        if found.len() == names_max {
            return Ok(());
        }
        let path = join(directory, &entry.name);
        if entry.kind == EntryKind::Symlink {
            entry.target = tree.link(&path).ok();
        }
        let goes_on = entry.kind == EntryKind::Directory && depth > 1;
        found.push(Walked {
            path: path.clone(),
            entry,
        });
        if goes_on {
            below(tree, &path, depth - 1, names_max, found)?;
        }
    }
    Ok(())
}

fn nowhere(volume: &Volume) -> Place {
    Place {
        volume: Some(volume.number),
        path: b"/".to_vec(),
    }
}
