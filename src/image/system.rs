//! A system as far as it is looked at: the names of its files, and the contents of the small ones that set it up.

use std::collections::BTreeMap;

use super::error::ImageError;
use super::listing::{Kind, Tree, base_name};
use super::squashfs::{FILE_BYTES_MAX, Squashfs};

/// Where systemd finds units, the strongest first (`systemd.unit(5)`).
pub(super) const UNIT_DIRECTORIES: [&str; 7] = [
    "etc/systemd/system.control",
    "run/systemd/system",
    "etc/systemd/system",
    "etc/systemd/system.attached",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// Where systemd finds presets (`systemd.preset(5)`).
pub(super) const PRESET_DIRECTORIES: [&str; 5] = [
    "etc/systemd/system-preset",
    "run/systemd/system-preset",
    "usr/local/lib/systemd/system-preset",
    "usr/lib/systemd/system-preset",
    "lib/systemd/system-preset",
];

/// Single files outside of `etc` that are read.
const SINGLE_FILES: [&str; 2] = ["usr/lib/os-release", "usr/lib/machine-id"];

/// A file of a system that somebody else has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SomeFile {
    /// A file, its size in bytes, and its content if that was read.
    File(u64, Option<Vec<u8>>),
    /// A directory.
    Directory,
    /// A link and where it leads.
    Symlink(String),
    /// Anything else.
    Other,
}

/// A system.
#[derive(Debug, Clone, Default)]
pub(super) struct System {
    pub(super) tree: Tree,
    contents: BTreeMap<String, Vec<u8>>,
}

impl System {
    /// Looks at a system in a squashfs.
    pub(super) fn read(squashfs: &Squashfs) -> Result<Self, ImageError> {
        let tree = squashfs.tree()?;
        let directories = UNIT_DIRECTORIES.iter().chain(&PRESET_DIRECTORIES);
        let mut wanted: Vec<&str> = SINGLE_FILES.to_vec();
        for directory in ["etc"]
            .iter()
            .chain(directories.filter(|path| !path.starts_with("etc/")))
        {
            let files = tree.below(directory).filter(|(_, entry)| match &entry.kind {
                Kind::File { size_bytes } => *size_bytes <= FILE_BYTES_MAX,
                Kind::Symlink { .. } => true,
                Kind::Directory | Kind::Other => false,
            });
            wanted.extend(files.map(|(path, _)| path));
        }
        let contents = squashfs.read(&tree, wanted)?;
        Ok(Self { tree, contents })
    }

    /// A system whose files somebody else has read. A link has the content of the file that it leads to.
    pub(super) fn from_files(files: Vec<(String, SomeFile)>) -> Self {
        let kinds = files.iter().map(|(path, file)| {
            let kind = match file {
                SomeFile::File(size_bytes, _) => Kind::File {
                    size_bytes: *size_bytes,
                },
                SomeFile::Directory => Kind::Directory,
                SomeFile::Symlink(target) => Kind::Symlink { target: target.clone() },
                SomeFile::Other => Kind::Other,
            };
            (path.clone(), kind)
        });
        let tree = Tree::from_kinds(kinds);
        let mut contents: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (path, file) in files {
            if let SomeFile::File(_, Some(content)) = file {
                contents.insert(path, content);
            }
        }
        let links = tree
            .iter()
            .filter(|(_, entry)| matches!(entry.kind, Kind::Symlink { .. }));
        for (path, _) in links {
            let content = tree.file(path).and_then(|(real, _)| contents.get(&real).cloned());
            if let Some(content) = content {
                contents.insert(path.to_owned(), content);
            }
        }
        Self { tree, contents }
    }

    /// Adds files that were read later.
    pub(super) fn add(&mut self, contents: BTreeMap<String, Vec<u8>>) {
        self.contents.extend(contents);
    }

    /// A text, if it was read.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let content = self.contents.get(path)?;
        Some(String::from_utf8_lossy(content).into_owned())
    }

    /// Every file that was read, with its bytes.
    pub(super) fn contents(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.contents
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// The names in a directory, with their paths.
    pub(super) fn names<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let below = self.tree.below(directory);
        let direct = below.filter(move |(path, _)| !path[directory.len() + 1..].contains('/'));
        direct.map(|(path, _)| (base_name(path), path))
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)], links: &[(&str, &str)]) -> Self {
        let mut entries: Vec<(&str, Kind)> = Vec::new();
        for (path, _) in files.iter().chain(links) {
            let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
            entries.extend(parents.map(|parent| (parent, Kind::Directory)));
        }
        let file = |text: &str| Kind::File {
            size_bytes: text.len() as u64,
        };
        let link = |to: &str| Kind::Symlink { target: to.to_owned() };
        entries.extend(files.iter().map(|(path, text)| (*path, file(text))));
        entries.extend(links.iter().map(|(path, to)| (*path, link(to))));
        let tree = Tree::of(&entries);
        let mut contents: BTreeMap<_, _> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect();
        for (path, _) in links {
            let content = tree.file(path).and_then(|(real, _)| contents.get(&real).cloned());
            if let Some(content) = content {
                contents.insert((*path).to_owned(), content);
            }
        }
        Self { tree, contents }
    }
}
