//! The files of a system, from a listing of its squashfs: what there is, not what is in it.

use std::collections::BTreeMap;

use super::error::ImageError;

/// Links that are followed on the way to one file, as Linux does (`MAXSYMLINKS`).
const LINKS_MAX: usize = 40;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    File {
        size_bytes: u64,
    },
    Directory,
    Symlink {
        target: String,
    },
    /// A device, a pipe or a socket.
    Other,
}

/// A name in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// As `ls -l` shows it.
    pub(super) mode: String,
    /// `UID/GID`.
    pub(super) owner: String,
}

/// The files of a system by their paths, which begin with no slash. The root's path is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tree(BTreeMap<String, Entry>);

impl Tree {
    /// Reads what `unsquashfs -lln -d ROOT` prints. `root` is a word that nobody can have foreseen: a name may hold line
    /// breaks, and without such a word a name could play a line of the listing.
    pub(super) fn parse(listing: &[u8], root: &str) -> Result<Self, ImageError> {
        let text = String::from_utf8_lossy(listing);
        let mut tree = Self::default();
        let mut pending: Option<(Entry, String)> = None;
        for line in text.split('\n') {
            if let Some(begun) = begin(line, root) {
                tree.add(pending.replace(begun));
            } else if let Some((_, name)) = &mut pending {
                name.push('\n');
                name.push_str(line);
            }
        }
        // What stands behind the last line's end is no part of the last name.
        if let Some((_, name)) = &mut pending {
            name.truncate(name.trim_end_matches('\n').len());
        }
        tree.add(pending);
        if tree.0.is_empty() {
            return Err(ImageError::Implausible("its listing is empty".to_owned()));
        }
        Ok(tree)
    }

    fn add(&mut self, entry: Option<(Entry, String)>) {
        let Some((mut entry, name)) = entry else { return };
        let name = match (&mut entry.kind, name.split_once(" -> ")) {
            (Kind::Symlink { target }, Some((name, to))) => {
                to.clone_into(target);
                name.to_owned()
            }
            _ => name,
        };
        self.0.insert(name, entry);
    }

    /// Every path and what it is, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        let size = |entry: &Entry| match entry.kind {
            Kind::File { size_bytes } => size_bytes,
            _ => 0,
        };
        self.0.values().map(size).fold(0, u64::saturating_add)
    }

    /// What lies at exactly this path; links on the way are not followed.
    pub(super) fn get(&self, path: &str) -> Option<&Entry> {
        self.0.get(path)
    }

    /// What lies below a directory, at any depth, with its path.
    pub(super) fn below<'a>(&'a self, directory: &str) -> impl Iterator<Item = (&'a str, &'a Entry)> + use<'a> {
        let from = format!("{directory}/");
        let range = self.0.range(from.clone()..);
        range
            .take_while(move |(path, _)| path.starts_with(&from))
            .map(|(path, entry)| (path.as_str(), entry))
    }

    /// Where a path leads to when every link is followed, its own included. `None`: nowhere within the tree.
    pub(super) fn resolve(&self, path: &str) -> Option<String> {
        let mut links = 0;
        let mut done = String::new();
        let mut todo: Vec<String> = steps(path);
        while let Some(step) = todo.pop() {
            match step.as_str() {
                "." | "" => continue,
                ".." => {
                    done.truncate(done.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = if done.is_empty() {
                step
            } else {
                format!("{done}/{step}")
            };
            match &self.0.get(&next)?.kind {
                Kind::Symlink { target } => {
                    links += 1;
                    if links > LINKS_MAX {
                        return None;
                    }
                    if target.starts_with('/') {
                        done.clear();
                    }
                    todo.extend(steps(target));
                }
                _ => done = next,
            }
        }
        Some(done)
    }

    /// The file that a path leads to, with its size in bytes.
    pub(super) fn file(&self, path: &str) -> Option<(String, u64)> {
        let path = self.resolve(path)?;
        match self.0.get(&path)?.kind {
            Kind::File { size_bytes } => Some((path, size_bytes)),
            _ => None,
        }
    }

    /// A tree of which only the kinds are known. Directories on the way to what is there are there, too.
    pub(super) fn from_kinds(entries: impl Iterator<Item = (String, Kind)>) -> Self {
        let entry = |kind| Entry {
            kind,
            mode: String::new(),
            owner: String::new(),
        };
        let mut tree: BTreeMap<String, Entry> = entries.map(|(path, kind)| (path, entry(kind))).collect();
        let above = tree
            .keys()
            .flat_map(|path| path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
        for directory in above.collect::<Vec<_>>() {
            tree.entry(directory).or_insert_with(|| entry(Kind::Directory));
        }
        Self(tree)
    }

    #[cfg(test)]
    pub(super) fn of(entries: &[(&str, Kind)]) -> Self {
        let entry = |kind: &Kind| Entry {
            kind: kind.clone(),
            mode: String::new(),
            owner: "0/0".to_owned(),
        };
        Self(
            entries
                .iter()
                .map(|(path, kind)| ((*path).to_owned(), entry(kind)))
                .collect(),
        )
    }
}

/// The last name of a path.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The steps of a path, the first one last.
fn steps(path: &str) -> Vec<String> {
    path.split('/').rev().map(str::to_owned).collect()
}

/// The first line of an entry, such as `-rw-r--r-- 0/0      3 2026-11-23 14:04 ROOT/etc/a`.
fn begin(line: &str, root: &str) -> Option<(Entry, String)> {
    let at = line.find(root)?;
    let (head, name) = (&line[..at], &line[at + root.len()..]);
    if !name.is_empty() && !name.starts_with('/') {
        return None;
    }
    let mut words = head.split_whitespace();
    let (mode, owner) = (words.next()?, words.next()?);
    let kind = match mode.chars().next()? {
        '-' => Kind::File {
            size_bytes: words.next()?.parse().ok()?,
        },
        'd' => Kind::Directory,
        'l' => Kind::Symlink { target: String::new() },
        'b' | 'c' | 'p' | 's' => Kind::Other,
        _ => return None,
    };
    let entry = Entry {
        kind,
        mode: mode.to_owned(),
        owner: owner.to_owned(),
    };
    Some((entry, name.trim_start_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOT: &str = "root-5f1c";

    fn tree(text: &str) -> Tree {
        Tree::parse(text.replace('@', ROOT).as_bytes(), ROOT).unwrap()
    }

    #[test]
    fn a_listing_is_read_whatever_the_names_hold() {
        let tree = tree(
            "drwxr-xr-x 0/0                      82 2026-11-23 14:04 @\n\
             drwxr-xr-x 0/0                      82 2026-11-23 14:04 @/etc\n\
             crw-r--r-- 0/0                   1,  3 2026-11-23 14:04 @/dev/null\n\
             -rw-r----- 0/42                      3 2026-11-23 14:04 @/etc/shadow\n\
             -rw-r--r-- 0/0                       0 2026-11-23 14:04 @/etc/a -> b\n\
             -rw-r--r-- 0/0                       7 2026-11-23 14:04 @/etc/new\n\
             lrwxrwxrwx 0/0 9 2026-11-23 14:04 squashfs-root/etc/shadow -> /dev/null\n\
             lrwxrwxrwx 0/0                       7 2026-11-23 14:04 @/lib -> usr/lib\n",
        );
        assert_eq!(tree.len(), 7);
        assert_eq!(tree.get("dev/null").unwrap().kind, Kind::Other);
        assert_eq!(tree.file("/etc/shadow"), Some(("etc/shadow".to_owned(), 3)));
        assert_eq!(tree.get("etc/shadow").unwrap().owner, "0/42");
        assert!(tree.get("etc/a -> b").is_some());
        assert_eq!(
            tree.get("lib").unwrap().kind,
            Kind::Symlink {
                target: "usr/lib".to_owned()
            }
        );
        let odd = tree.iter().find(|(path, _)| path.starts_with("etc/new")).unwrap();
        assert!(odd.0.contains('\n'), "a forged line stays part of the name");
    }

    #[test]
    fn links_are_followed_within_the_tree_and_no_circle_for_ever() {
        let link = |target: &str| Kind::Symlink {
            target: target.to_owned(),
        };
        let file = Kind::File { size_bytes: 1 };
        let tree = Tree::of(&[
            ("lib", link("usr/lib")),
            ("usr", Kind::Directory),
            ("usr/lib", Kind::Directory),
            ("usr/lib/a", file),
            ("usr/lib/b", link("../../lib/./a")),
            ("c", link("/../../lib/b")),
            ("round", link("round")),
            ("out", link("/nowhere")),
        ]);
        assert_eq!(tree.resolve("/lib/a").as_deref(), Some("usr/lib/a"));
        assert_eq!(tree.file("c").unwrap().0, "usr/lib/a");
        assert_eq!(tree.resolve("round"), None);
        assert_eq!(tree.resolve("out"), None);
    }

    proptest! {
        #[test]
        fn no_listing_breaks_the_reader(text in "[-dlcbps rwx0-9/@>\n:]{0,400}") {
            let text = text.replace('@', ROOT);
            if let Ok(tree) = Tree::parse(text.as_bytes(), ROOT) {
                for (path, _) in tree.iter() {
                    let _ = tree.resolve(path);
                }
            }
        }

        #[test]
        fn a_name_is_never_two_entries(name in "[a-z \n>-]{1,40}") {
            let line = format!("-rw-r--r-- 0/0 3 2026-11-23 14:04 {ROOT}/{name}x\n");
            let tree = Tree::parse(line.as_bytes(), ROOT).unwrap();
            prop_assert_eq!(tree.len(), 1);
            let path = format!("{name}x");
            prop_assert!(tree.get(&path).is_some());
        }
    }
}
