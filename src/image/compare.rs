//! Whether a repacked system is the old one with the planned changes, and nothing else.

use super::changes::{Change, ChangeTo};
use super::error::ImageError;
use super::listing::{Entry, Kind, Tree};

/// Holds the new listing against the old one and the plan: every file, directory (the empty ones too), owner and mode.
/// Gives how many entries are as they were.
pub(super) fn compare(before: &Tree, after: &Tree, changes: &[Change]) -> Result<usize, ImageError> {
    let wrong = |what: String| Err(ImageError::NotAsPlanned(what));
    let changed = |path: &str| changes.iter().find(|change| change.path == path);
    let mut kept = 0;
    for (path, old) in before.iter() {
        match (changed(path), after.get(path)) {
            (None, Some(new)) if new == old => kept += 1,
            (None, Some(_)) => return wrong(format!("`/{path}` is not what it was")),
            (None, None) => return wrong(format!("`/{path}` is lost")),
            (Some(change), new) => check(change, Some(old), new)?,
        }
    }
    for (path, new) in after.iter().filter(|(path, _)| before.get(path).is_none()) {
        match changed(path) {
            Some(change) => check(change, None, Some(new))?,
            None => return wrong(format!("`/{path}` was not there before")),
        }
    }
    if let Some(change) = changes
        .iter()
        .find(|c| c.to != ChangeTo::Removed && after.get(&c.path).is_none())
    {
        return wrong(format!("`/{}` is not there", change.path));
    }
    Ok(kept)
}

fn check(change: &Change, old: Option<&Entry>, new: Option<&Entry>) -> Result<(), ImageError> {
    let file = |content: &[u8]| Kind::File {
        size_bytes: content.len() as u64,
    };
    let same_owner = || {
        old.zip(new)
            .is_some_and(|(old, new)| (&old.mode, &old.owner) == (&new.mode, &new.owner))
    };
    let kind = new.map(|new| &new.kind);
    let is_right = match &change.to {
        ChangeTo::Removed => new.is_none(),
        ChangeTo::Content(content) => kind == Some(&file(content)) && same_owner(),
        ChangeTo::NewFile { content, .. } => kind == Some(&file(content)),
        ChangeTo::NewLink(target) => matches!(kind, Some(Kind::Symlink { target: to }) if to == target),
        ChangeTo::NewDirectory => kind == Some(&Kind::Directory),
    };
    if is_right {
        return Ok(());
    }
    Err(ImageError::NotAsPlanned(format!(
        "`/{}`: {} did not happen",
        change.path,
        change.to.as_str()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree {
        let entries: Vec<_> = paths.iter().map(|path| (*path, Kind::Directory)).collect();
        Tree::of(&entries)
    }

    #[test]
    fn an_empty_directory_that_is_lost_is_noticed() {
        let before = tree(&["", "proc", "sys"]);
        assert_eq!(compare(&before, &before, &[]).unwrap(), 3);
        let error = compare(&before, &tree(&["", "sys"]), &[]).unwrap_err();
        assert!(error.to_string().contains("`/proc` is lost"), "{error}");
        assert!(compare(&before, &tree(&["", "proc", "sys", "new"]), &[]).is_err());
    }

    #[test]
    fn a_change_that_did_not_happen_is_noticed() {
        let change = |to| Change {
            path: "a".to_owned(),
            to,
            why: "",
        };
        let (without, with) = (tree(&[""]), tree(&["", "a"]));
        assert_eq!(compare(&without, &with, &[change(ChangeTo::NewDirectory)]).unwrap(), 1);
        assert!(compare(&without, &without, &[change(ChangeTo::NewDirectory)]).is_err());
        assert!(compare(&with, &with, &[change(ChangeTo::Removed)]).is_err());
        assert!(compare(&without, &with, &[change(ChangeTo::NewLink("b".to_owned()))]).is_err());
    }
}
