//! The place where a run is shown, and what it can do.

use std::io::{self, IsTerminal as _};

use rustix::process::getpgrp;
use rustix::termios::{tcgetpgrp, tcgetwinsize};

use crate::report::{Ci, Sheet};
use crate::view::Look;

use super::failure::Surroundings;

/// The window of a terminal that does not know its size.
const COLUMNS: usize = 80;
const ROWS: usize = 24;
/// A window of less is none: a wrong size, or nothing that a person reads in.
const COLUMNS_MIN: usize = 20;
const ROWS_MIN: usize = 4;

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Aside,
}

/// A terminal that a person watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) stream: Stream,
    pub(super) colour: bool,
    pub(super) unicode: bool,
    /// A view may be drawn and drawn again.
    pub(super) live: bool,
}

/// Where the lines of a run go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The stream of the lines.
    pub(super) stream: Stream,
    /// The terminal at its end, if there is one.
    pub(super) window: Option<Window>,
    /// Only the verdict is wanted.
    pub(super) quiet: bool,
}

impl Place {
    /// Looks where this process's lines go: on standard error, if standard output is for programs.
    pub(super) fn look(json: bool, quiet: bool, ci: Ci) -> Self {
        let stream = if json { Stream::Aside } else { Stream::Output };
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is_terminal = match stream {
            Stream::Output => io::stdout().is_terminal(),
            Stream::Aside => io::stderr().is_terminal(),
        };
        let is_dumb = variable("TERM").is_none_or(|term| term == "dumb");
        let is_job = ci != Ci::Plain || Surroundings::look(json).ci;
        let window = is_terminal.then(|| Window {
            stream,
            colour: variable("NO_COLOR").is_none() && !is_dumb,
            unicode: is_unicode(["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable).as_deref()),
            live: !quiet && !is_dumb && !is_job,
        });
        Self { stream, window, quiet }
    }

    /// True if a view is drawn.
    pub(super) fn is_live(self) -> bool {
        self.window.is_some_and(|window| window.live)
    }

    /// Where the last words go.
    pub(super) fn sheet(self) -> Sheet {
        Sheet::new(self.screen())
    }

    /// What the terminal can do now, if there is one.
    pub(super) fn screen(self) -> Option<Look> {
        self.window.map(Window::look)
    }
}

/// True if text in this locale may be more than ASCII. Without any, it is the C locale.
fn is_unicode(locale: Option<&str>) -> bool {
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    ["utf-8", "utf8"].iter().any(|charset| locale.contains(charset))
}

impl Window {
    /// What it can do now: its owner may make it wider or narrower at any time.
    pub(super) fn look(self) -> Look {
        let size = match self.stream {
            Stream::Output => tcgetwinsize(io::stdout()),
            Stream::Aside => tcgetwinsize(io::stderr()),
        };
        let known = |told: u16, unknown: usize, min: usize| match usize::from(told) {
            0 => unknown,
            told => told.max(min),
        };
        let (columns, rows) = size.map_or((0, 0), |size| (size.ws_col, size.ws_row));
        Look {
            columns: known(columns, COLUMNS, COLUMNS_MIN),
            rows: known(rows, ROWS, ROWS_MIN),
            colour: self.colour,
            unicode: self.unicode,
        }
    }

    /// False if another job has the terminal (after `bg`): it is not to be drawn over.
    pub(super) fn is_ours(self) -> bool {
        let foreground = match self.stream {
            Stream::Output => tcgetpgrp(io::stdout()),
            Stream::Aside => tcgetpgrp(io::stderr()),
        };
        // Another session's terminal knows no foreground for us: a hold in the background still shows its run.
        foreground.map_or(true, |group| group == getpgrp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_says_what_can_be_shown() {
        for locale in ["C.UTF-8", "en_US.utf8", "de_DE.UTF-8@euro"] {
            assert!(is_unicode(Some(locale)), "{locale}");
        }
        for locale in [None, Some("C"), Some("POSIX"), Some("de_DE.ISO-8859-1")] {
            assert!(!is_unicode(locale), "{locale:?}");
        }
    }
}
