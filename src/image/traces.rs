//! What a debug build leaves behind, and what the caller forbids.

use std::sync::LazyLock;

use regex::Regex;

use super::changes::MARK;
use super::finding::{Check, Finding};
use super::system::{System, UNIT_DIRECTORIES};
use super::units::pattern;

/// The word that debug builds set.
static DEBUG_SET: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?m)^[^#\n]*(?:^|[^A-Za-z0-9_])DEBUG=["']?1\b"#));
/// Where that word tells how the system was built or is set up; elsewhere it is a script's own affair.
const SETTINGS: [&str; 7] = [
    "etc/environment",
    "etc/environment.d/",
    "etc/default/",
    "etc/profile.d/",
    "etc/live/",
    "usr/lib/os-release",
    "etc/os-release",
];

/// What the caller forbids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forbidden {
    /// A path, from a slash on.
    Path(String),
    /// A text in any of the files that are read.
    Text(String),
}

impl Forbidden {
    /// A path if it begins with a slash, else a text.
    pub fn of(word: &str) -> Self {
        match word.strip_prefix('/') {
            Some(path) => Self::Path(path.trim_end_matches('/').to_owned()),
            None => Self::Text(word.to_owned()),
        }
    }
}

/// Everything that a debug image or a debug build leaves in a system.
pub(super) fn marks(system: &System) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, _) in system.tree.iter().filter(|(path, _)| path.contains(MARK)) {
        found.push(Finding::new(
            Check::DebugMarker,
            path,
            "it is made by `bootgate debug-iso`",
        ));
    }
    for (path, content) in system.contents() {
        let text = String::from_utf8_lossy(content);
        if text.contains(MARK) && !path.contains(MARK) {
            let what = format!("it names `{MARK}`, which `bootgate debug-iso` writes");
            found.push(Finding::new(Check::DebugMarker, path, what));
        }
        let is_setting = SETTINGS
            .iter()
            .chain(&UNIT_DIRECTORIES)
            .any(|place| path.starts_with(place));
        if is_setting && let Some(line) = debug_line(&text) {
            found.push(Finding::new(
                Check::DebugMarker,
                path,
                format!("a debug build's setting: `{line}`"),
            ));
        }
    }
    found
}

/// The line of a text that sets `DEBUG=1`.
pub(super) fn debug_line(text: &str) -> Option<String> {
    DEBUG_SET.find(text).map(|found| found.as_str().trim().to_owned())
}

/// What is there of what the caller forbids.
pub(super) fn forbidden(system: &System, forbidden: &[Forbidden]) -> Vec<Finding> {
    let mut found = Vec::new();
    for word in forbidden {
        match word {
            Forbidden::Path(path) => {
                if system.tree.get(path).is_some() || system.tree.resolve(path).is_some() {
                    found.push(Finding::new(Check::Forbidden, path, "a forbidden path"));
                }
            }
            Forbidden::Text(text) => {
                let holds = system.contents().filter(|(_, content)| holds(content, text));
                found.extend(
                    holds.map(|(path, _)| Finding::new(Check::Forbidden, path, format!("it holds the text `{text}`"))),
                );
            }
        }
    }
    found
}

/// True if the bytes hold the text.
pub(super) fn holds(content: &[u8], text: &str) -> bool {
    content.windows(text.len().max(1)).any(|part| part == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_by_name_text_and_setting() {
        let system = System::of(
            &[
                ("etc/bootgate-debug", ""),
                ("etc/default/live", "A=1\nexport DEBUG=1\n"),
                ("etc/default/quiet", "# DEBUG=1\nNO_DEBUG=1\nDEBUG=10\n"),
                ("etc/init.d/some", "DEBUG=1\n"),
                ("etc/motd", "see bootgate-debug"),
            ],
            &[],
        );
        let found: Vec<_> = marks(&system).into_iter().map(|found| found.path).collect();
        assert_eq!(found, ["etc/bootgate-debug", "etc/default/live", "etc/motd"]);
    }

    #[test]
    fn what_the_caller_forbids_is_a_path_or_a_text() {
        let system = System::of(&[("etc/motd", "internal only"), ("opt/x", "")], &[]);
        let words = ["/opt", "/nothing", "internal", "external"].map(Forbidden::of);
        let found: Vec<_> = forbidden(&system, &words).into_iter().map(|found| found.path).collect();
        assert_eq!(found, ["opt", "etc/motd"]);
    }
}
