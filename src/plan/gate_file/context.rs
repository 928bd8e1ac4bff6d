//! What every reader shares: the text, the place it came from and the mistakes found so far.

use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::diagnostic::Mistake;

/// The gate file that is being read.
pub(super) struct Context<'a> {
    pub(super) text: &'a str,
    directory: &'a Path,
    /// Values that the TOML parser has complained about already: a second complaint would only be noise.
    broken: Vec<Range<usize>>,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str, syntax: Vec<Mistake>) -> Self {
        Self {
            text,
            directory: file.parent().unwrap_or(Path::new("")),
            broken: syntax.iter().map(|mistake| mistake.span.clone()).collect(),
            mistakes: RefCell::new(syntax),
        }
    }

    /// Adds a mistake. The same one is added once, so a key may be read more than once.
    pub(super) fn report(&self, mistake: Mistake) {
        let overlaps = |broken: &Range<usize>| mistake.span.start < broken.end && broken.start < mistake.span.end;
        let mut mistakes = self.mistakes.borrow_mut();
        if !self.broken.iter().any(overlaps) && !mistakes.contains(&mistake) {
            mistakes.push(mistake);
        }
    }

    /// A path of the gate file, seen from bootgate's own directory. Only the text is looked at.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes.into_inner()
    }
}
