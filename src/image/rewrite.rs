//! A squashfs anew, with changes: it flows as a tar archive from `sqfs2tar` through this process to `tar2sqfs`, so that
//! nothing is unpacked, nobody needs to be root, and owners, modes, times, attributes, hard links and devices stay.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

use tar::{Archive, Builder, EntryType, Header};

use super::changes::{Change, ChangeTo};

/// Bytes of a name or of extended attributes in an archive.
const EXTENSION_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What the record of a file's SELinux label is called.
const LABEL: &[u8] = b"SCHILY.xattr.security.selinux=";

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rewritten {
    /// The paths that were changed, added or removed.
    pub(super) done: BTreeSet<String>,
}

/// Copies an archive with changes. Everything else is copied byte by byte.
pub(super) fn rewrite(from: impl Read, to: impl Write, changes: &[Change], mtime: u64) -> io::Result<Rewritten> {
    let mut archive = Archive::new(from);
    let mut out = Builder::new(to);
    let mut rewritten = Rewritten::default();
    let mut labels: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut pending: Vec<(Header, Vec<u8>)> = Vec::new();
    let mut name: Option<String> = None;
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let mut header = entry.header().clone();
        let kind = header.entry_type();
        if is_extension(kind) {
            let mut data = Vec::new();
            if header.entry_size()? > EXTENSION_BYTES_MAX {
                return Err(io::Error::other("a name or an attribute in it has no end"));
            }
            entry.read_to_end(&mut data)?;
            name = extended_name(kind, &data).or(name);
            pending.push((header, data));
            continue;
        }
        let path = plain(&name.take().unwrap_or_else(|| lossy(&header.path_bytes())));
        if kind == EntryType::Directory
            && let Some(label) = pending.iter().find_map(|(_, data)| label(data))
        {
            labels.insert(path.clone(), label);
        }
        let change = changes.iter().find(|change| change.path == path);
        match change.map(|change| &change.to) {
            Some(ChangeTo::Removed) => {
                rewritten.done.insert(path);
                pending.clear();
            }
            Some(ChangeTo::Content(content)) => {
                write_all(&mut out, &mut pending)?;
                header.set_size(content.len() as u64);
                if kind == EntryType::Link {
                    header.set_entry_type(EntryType::Regular);
                    header.set_link_name_literal("")?;
                }
                header.set_cksum();
                out.append(&header, content.as_slice())?;
                rewritten.done.insert(path);
            }
            // What is added can't be there already, or the plan is wrong.
            Some(_) => return Err(io::Error::other(format!("`{path}` is there already"))),
            None => {
                write_all(&mut out, &mut pending)?;
                out.append(&header, &mut entry)?;
            }
        }
    }
    for change in changes {
        if add(&mut out, change, &mut labels, mtime)? {
            rewritten.done.insert(change.path.clone());
        }
    }
    out.into_inner()?.flush()?;
    Ok(rewritten)
}

fn write_all(out: &mut Builder<impl Write>, pending: &mut Vec<(Header, Vec<u8>)>) -> io::Result<()> {
    pending
        .drain(..)
        .try_for_each(|(header, data)| out.append(&header, data.as_slice()))
}

/// Appends what a change adds. It gets the label of its directory, as a file gets it that is made there.
fn add(
    out: &mut Builder<impl Write>,
    change: &Change,
    labels: &mut BTreeMap<String, Vec<u8>>,
    mtime: u64,
) -> io::Result<bool> {
    let (kind, content, mode) = match &change.to {
        ChangeTo::NewFile { content, mode } => (EntryType::Regular, content.as_slice(), *mode),
        ChangeTo::NewLink(_) => (EntryType::Symlink, &[][..], 0o777),
        ChangeTo::NewDirectory => (EntryType::Directory, &[][..], 0o755),
        ChangeTo::Content(_) | ChangeTo::Removed => return Ok(false),
    };
    let parent = change.path.rsplit_once('/').map_or("", |(parent, _)| parent);
    if let Some(label) = labels.get(parent).cloned() {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        header.set_path("PaxHeader")?;
        header.set_mode(0o644);
        header.set_size(label.len() as u64);
        header.set_cksum();
        out.append(&header, label.as_slice())?;
        if kind == EntryType::Directory {
            labels.insert(change.path.clone(), label);
        }
    }
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(mtime);
    header.set_size(content.len() as u64);
    let path = format!("./{}", change.path);
    match &change.to {
        ChangeTo::NewLink(target) => out.append_link(&mut header, path, target)?,
        _ => out.append_data(&mut header, path, content)?,
    }
    Ok(true)
}

fn is_extension(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::XHeader | EntryType::XGlobalHeader | EntryType::GNULongName | EntryType::GNULongLink
    )
}

/// The name that an extension gives to the entry behind it.
fn extended_name(kind: EntryType, data: &[u8]) -> Option<String> {
    match kind {
        EntryType::GNULongName => Some(lossy(data.split(|byte| *byte == 0).next()?)),
        EntryType::XHeader => records(data).find_map(|record| record.strip_prefix(b"path=").map(lossy)),
        _ => None,
    }
}

/// The records of a PAX header: `LENGTH NAME=VALUE` and a line break, the length being that of all of it.
fn records(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let blank = data.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&data[..blank]).ok()?.parse().ok()?;
        let record = data.get(blank + 1..length.checked_sub(1)?)?;
        data = data.get(length..)?;
        Some(record)
    })
}

/// A header that holds the label of the given one alone.
fn label(data: &[u8]) -> Option<Vec<u8>> {
    let record = records(data).find(|record| record.starts_with(LABEL))?;
    // The length counts its own digits.
    let mut length = record.len() + 2;
    while length != record.len() + 2 + length.to_string().len() {
        length = record.len() + 2 + length.to_string().len();
    }
    Some([length.to_string().as_bytes(), b" ", record, b"\n"].concat())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A path as the tree has it: from no `./` on, with no slash at its end.
fn plain(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
    if path == "." { String::new() } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn archive() -> Vec<u8> {
        let mut out = Builder::new(Vec::new());
        let record = [LABEL, b"etc_t:s0\0"].concat();
        let record = [format!("{} ", record.len() + 4).as_bytes(), &record, b"\n"].concat();
        let mut x = Header::new_ustar();
        x.set_entry_type(EntryType::XHeader);
        x.set_path("PaxHeader").unwrap();
        x.set_size(record.len() as u64);
        x.set_cksum();
        out.append(&x, record.as_slice()).unwrap();
        let mut add = |kind, path: &str, content: &str, mode| {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_uid(1000);
            header.set_size(content.len() as u64);
            out.append_data(&mut header, path, content.as_bytes()).unwrap();
        };
        add(EntryType::Directory, "./etc/", "", 0o755);
        add(EntryType::Regular, "./etc/shadow", "old", 0o640);
        add(EntryType::Regular, &format!("./etc/{}", "n".repeat(150)), "long", 0o644);
        add(EntryType::Regular, "./etc/gone", "gone", 0o644);
        add(EntryType::Directory, "./proc/", "", 0o555);
        out.into_inner().unwrap()
    }

    fn change(path: &str, to: ChangeTo) -> Change {
        Change {
            path: path.to_owned(),
            to,
            why: "",
        }
    }

    #[test]
    fn without_changes_the_archive_stays_as_it_is_byte_by_byte() {
        let mut out = Vec::new();
        let before = archive();
        let rewritten = rewrite(before.as_slice(), &mut out, &[], 0).unwrap();
        assert_eq!(rewritten, Rewritten::default());
        assert_eq!(out, before);
    }

    #[test]
    fn changes_are_made_and_everything_else_stays() {
        let long = format!("etc/{}", "n".repeat(150));
        let changes = [
            change("etc/shadow", ChangeTo::Content(b"new content".to_vec())),
            change("etc/gone", ChangeTo::Removed),
            change(&long, ChangeTo::Content(b"L".to_vec())),
            change("etc/wants", ChangeTo::NewDirectory),
            change(
                "etc/wants/ssh.service",
                ChangeTo::NewLink("/usr/lib/ssh.service".to_owned()),
            ),
            change(
                "etc/note",
                ChangeTo::NewFile {
                    content: b"note".to_vec(),
                    mode: 0o600,
                },
            ),
        ];
        let mut out = Vec::new();
        let rewritten = rewrite(archive().as_slice(), &mut out, &changes, 7).unwrap();
        assert_eq!(rewritten.done.len(), changes.len());
        let mut archive = Archive::new(out.as_slice());
        let mut seen = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let path = plain(&entry.path().unwrap().to_string_lossy());
            let labelled = entry.pax_extensions().unwrap().is_some();
            let header = entry.header();
            let facts = (text, header.mode().unwrap(), header.uid().unwrap(), labelled);
            if let Some(target) = entry.link_name().unwrap() {
                assert_eq!(target, Path::new("/usr/lib/ssh.service"));
            }
            seen.insert(path, facts);
        }
        assert_eq!(seen["etc/shadow"], ("new content".to_owned(), 0o640, 1000, false));
        assert_eq!(seen[&long].0, "L");
        assert_eq!(seen["etc/note"], ("note".to_owned(), 0o600, 0, true));
        assert!(
            seen["etc/wants/ssh.service"].3,
            "the label of the directory that was added"
        );
        assert!(seen.contains_key("proc"));
        assert!(!seen.contains_key("etc/gone"));
    }

    #[test]
    fn a_file_that_is_there_is_not_added_again() {
        let new = ChangeTo::NewFile {
            content: Vec::new(),
            mode: 0o644,
        };
        assert!(rewrite(archive().as_slice(), &mut Vec::new(), &[change("etc/shadow", new)], 0).is_err());
    }
}
