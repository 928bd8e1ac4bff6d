//! What the runner of GitHub Actions reads: workflow commands in the log, and files of outputs.
//!
//! A command is a line `::name key=value,…::data`. Nothing but this file writes one, each with its values escaped as the
//! runner unescapes them (actions/toolkit:packages/core/src/command.ts). All other lines of ours begin with words that are
//! not the guest's, and what is the guest's in them has its commands broken ([`crate::text`]). That is why `stop-commands`
//! is not used: it would end our own groups and annotations too, and prove nothing that a test against the runner's two
//! parsers does not.

use std::fmt::Write as _;

use crate::plan::Place;
use crate::text::terminal_line;

/// How much of an annotation is shown, in characters.
const MESSAGE_CHARS_MAX: usize = 1200;
const TITLE_CHARS_MAX: usize = 160;
/// How many annotations a step may leave: the runner drops more than ten of each kind.
pub const ANNOTATIONS_MAX: usize = 10;

/// How loud an annotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loudness {
    /// Red.
    Error,
    /// Yellow.
    Warning,
}

/// A mark beside a line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// How loud it is.
    pub loudness: Loudness,
    /// The file, as seen from the top of the repository, and the place in it.
    pub place: Option<(String, Place)>,
    /// One line.
    pub title: String,
    /// The lines of its text.
    pub message: Vec<String>,
}

impl Annotation {
    /// A red one that is nowhere in a file and says nothing yet.
    pub fn error(title: &str) -> Self {
        Self {
            loudness: Loudness::Error,
            place: None,
            title: title.to_owned(),
            message: Vec::new(),
        }
    }

    /// The command that makes it, as a line.
    pub fn to_command(&self) -> String {
        let name = match self.loudness {
            Loudness::Error => "error",
            Loudness::Warning => "warning",
        };
        let mut command = format!("::{name} ");
        if let Some((file, place)) = &self.place {
            let file = property(&terminal_line(file, MESSAGE_CHARS_MAX));
            let _ = write!(command, "file={file},line={},col={},", place.line, place.column);
        }
        let _ = write!(
            command,
            "title={}::",
            property(&terminal_line(&self.title, TITLE_CHARS_MAX))
        );
        let lines = self.message.iter().map(|line| terminal_line(line, MESSAGE_CHARS_MAX));
        command + &data(&lines.collect::<Vec<_>>().join("\n"))
    }
}

/// Begins a group of lines that is folded away.
pub(super) fn group(title: &str) -> String {
    format!("::group::{}", data(&terminal_line(title, TITLE_CHARS_MAX)))
}

pub(super) const END_GROUP: &str = "::endgroup::";

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Outputs of a step, as they are appended to the file that `GITHUB_OUTPUT` names. `nonce` must be new and random: a value
/// that holds the line behind which it ends could set other outputs.
pub fn outputs(values: &[(&str, String)], nonce: &str) -> String {
    let mut text = String::new();
    for (name, value) in values {
        let _ = writeln!(text, "{name}<<bootgate-{nonce}\n{value}\nbootgate-{nonce}");
    }
    text
}
