//! A file system as a tree of names, whoever reads it.

use std::collections::VecDeque;
use std::io;

use super::source::SPENT;

/// Names of one directory, at most.
pub const NAMES_MAX: usize = 100_000;
/// Bytes of a symbolic link's target, and of a path, at most.
pub(super) const LINK_BYTES_MAX: u64 = 4096;
/// Links that are followed for one path, as Linux does.
const LINKS_MAX: usize = 40;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with content.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharacterDevice,
}

impl EntryKind {
    /// For a sentence.
    pub fn described(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Symlink => "a symbolic link",
            Self::Fifo => "a named pipe",
            Self::Socket => "a socket",
            Self::BlockDevice => "a block device",
            Self::CharacterDevice => "a character device",
        }
    }
}

/// One name of a directory. Everything in it is the guest's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its bytes; any byte may be in it.
    pub name: Vec<u8>,
    /// What it stands for.
    pub kind: EntryKind,
    /// Size of its content in bytes.
    pub size_bytes: u64,
    /// Permission bits with setuid, setgid and sticky, where the file system has them.
    pub mode: Option<u16>,
    /// When its content changed, in seconds since 1970. FAT knows no time zone: there it is as if it were UTC.
    pub modified_s: Option<i64>,
    /// Where a symbolic link leads.
    pub target: Option<Vec<u8>>,
}

/// Takes a part of a file.
pub(super) type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), Failure> + 'a;

/// Why a reader of a file system stopped.
#[derive(Debug)]
pub(super) enum Failure {
    NotThere,
    NotADirectory,
    NotAFile(EntryKind),
    Links,
    Damaged(String),
    Unsupported(String),
    Limit(String),
    /// The receiver could not take it.
    Write(io::Error),
    /// The other reader ended in another way than it should.
    Guestfish {
        how: String,
        complaint: String,
    },
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::QuotaExceeded => Self::Limit(SPENT.to_owned()),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

/// A reader of one file system. Its paths begin with `/` and hold no links, no `.` and no `..`.
pub(super) trait Tree {
    fn entry(&self, path: &[u8]) -> Result<Entry, Failure>;
    /// The names of a directory but `.` and `..`, in the file system's order.
    fn list(&self, path: &[u8]) -> Result<Vec<Entry>, Failure>;
    /// Where a symbolic link leads.
    fn link(&self, path: &[u8]) -> Result<Vec<u8>, Failure>;
    /// Gives out a file's first `limit_bytes` bytes and says how many there were.
    fn read(&self, path: &[u8], limit_bytes: u64, sink: &mut Sink<'_>) -> Result<u64, Failure>;
}

/// Follows `path` to what it means within this file system, through links and `..`, and never out of its root.
pub(super) fn resolve(tree: &dyn Tree, path: &[u8]) -> Result<(Vec<u8>, Entry), Failure> {
    let mut ahead: VecDeque<Vec<u8>> = parts(path).collect();
    // The way so far: each name's path, and the links that were followed.
    let mut way: Vec<usize> = Vec::new();
    let mut here = b"/".to_vec();
    let mut links = 0;
    let mut entry = tree.entry(&here)?;
    while let Some(name) = ahead.pop_front() {
        if entry.kind != EntryKind::Directory {
            return Err(Failure::NotADirectory);
        }
        if name == b".." {
            here.truncate(way.pop().unwrap_or(1));
            entry = tree.entry(&here)?;
            continue;
        }
        let before = here.len();
        if before > 1 {
            here.push(b'/');
        }
        here.extend_from_slice(&name);
        if here.len() as u64 > LINK_BYTES_MAX {
            return Err(Failure::Links);
        }
        let next = tree.entry(&here)?;
        if next.kind != EntryKind::Symlink {
            way.push(before);
            entry = next;
            continue;
        }
        links += 1;
        let target = tree.link(&here)?;
        if links > LINKS_MAX || target.is_empty() || ahead.len() > 4096 {
            return Err(Failure::Links);
        }
        here.truncate(before);
        if target.starts_with(b"/") {
            here.truncate(1);
            way.clear();
            entry = tree.entry(&here)?;
        }
        for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
            ahead.push_front(part);
        }
    }
    Ok((here, entry))
}

/// A path's names, without what changes nothing.
fn parts(path: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    path.split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .map(<[u8]>::to_vec)
}
