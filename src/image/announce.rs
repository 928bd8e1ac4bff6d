//! The line by which a system says on its console that it is up, as far as its units and their scripts show it.

use std::sync::LazyLock;

use regex::Regex;

use super::system::System;
use super::units::{Units, pattern};

/// Scripts that are read of one system.
const SCRIPTS_MAX: usize = 300;
/// The shortest and the longest text that is worth looking for, in characters.
const TEXT_CHARS_MIN: usize = 6;
const TEXT_CHARS_MAX: usize = 200;

/// What goes to a console.
static TO_CONSOLE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"/dev/(ttyS0|console)\b|(journal|kmsg)\+console|/dev/kmsg"));
/// What is printed: the text in quotes behind a command that prints, or that is called as if it did.
static PRINTED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"\b(?:echo|printf|say|log|print)\b(?:[ \t]+-[a-zA-Z]+)*[ \t]+(?:'([^'\n]*)'|"((?:[^"\\\n]|\\.)*)")"#)
});
/// Where a text is not the same each time.
static VARIABLE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"%[-0-9.]*[a-zA-Z]|\$\([^)]*\)?|\$\{[^}]*\}?|\$\w+|`[^`]*`?|\\(?:[0-7]{1,3}|.)"));
/// What a system says that is up.
static SAYS_READY: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)ready|\bmarker\b|\bis up\b|up and running|boot(ed|ing)? (complete|finished|done)"));
/// Programs that a unit starts, and files that a script takes in.
static STARTS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^[ \t]*ExecStart(?:Pre|Post)?[ \t]*=[-@:+!]*[ \t]*(/\S+)"));
static TAKES_IN: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^[ \t]*(?:\.|source)[ \t]+(/\S+)"));
/// Units that write to consoles, and say nothing of the system as a whole.
const NO_ANNOUNCERS: [&str; 7] = [
    "getty",
    "emergency",
    "rescue",
    "plymouth",
    "debug-shell",
    "systemd-",
    "ask-password",
];

/// A line that is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The text that is the same each time. The image's words.
    pub text: String,
    /// The unit that prints it.
    pub unit: String,
    /// The file that the text stands in.
    pub file: String,
}

/// A unit and the programs that it starts.
struct Candidate {
    unit: String,
    text: String,
    file: String,
    scripts: Vec<String>,
}

/// Units that the default target starts, with their scripts: those are to be read before [`announcement`].
pub(super) fn scripts(system: &System) -> Vec<String> {
    let mut scripts: Vec<String> = candidates(system).into_iter().flat_map(|unit| unit.scripts).collect();
    scripts.sort();
    scripts.dedup();
    scripts.truncate(SCRIPTS_MAX);
    scripts
}

/// Files that scripts take in.
pub(super) fn taken_in(system: &System, scripts: &[String]) -> Vec<String> {
    let texts = scripts.iter().filter_map(|path| system.text(path));
    let mut files: Vec<String> = texts
        .flat_map(|text| {
            TAKES_IN
                .captures_iter(&text)
                .map(|found| inside(&found[1]))
                .collect::<Vec<_>>()
        })
        .collect();
    files.sort();
    files.dedup();
    files.truncate(SCRIPTS_MAX);
    files
}

/// The line that says that the system is up. Of several the longest.
pub(super) fn announcement(system: &System) -> Option<Announcement> {
    let found = candidates(system).into_iter().flat_map(|candidate| {
        let scripts = candidate
            .scripts
            .iter()
            .filter_map(|path| Some((path.clone(), system.text(path)?)));
        let own = (candidate.file.clone(), candidate.text.clone());
        let texts: Vec<(String, String)> = std::iter::once(own).chain(scripts).collect();
        let around = texts.iter().flat_map(|(_, text)| {
            let files = TAKES_IN
                .captures_iter(text)
                .filter_map(|found| system.text(&inside(&found[1])));
            files.collect::<Vec<_>>()
        });
        let goes_to_console = texts
            .iter()
            .map(|(_, text)| text.clone())
            .chain(around)
            .any(|text| TO_CONSOLE.is_match(&text));
        let said = texts
            .into_iter()
            .filter(|_| goes_to_console)
            .filter_map(|(file, text)| {
                let text = printed(&text)?;
                Some(Announcement {
                    text,
                    unit: candidate.unit.clone(),
                    file,
                })
            });
        said.collect::<Vec<_>>()
    });
    found.max_by_key(|announcement| announcement.text.len())
}

/// The constant part of what a script prints, if it says that the system is up.
fn printed(script: &str) -> Option<String> {
    let texts = PRINTED.captures_iter(script).filter_map(|found| {
        let text = found.get(1).or_else(|| found.get(2))?.as_str();
        SAYS_READY.is_match(text).then_some(text)
    });
    let parts = texts.flat_map(|text| VARIABLE.split(text).map(str::trim).collect::<Vec<_>>());
    let fit = parts.filter(|part| {
        let length = part.chars().count();
        (TEXT_CHARS_MIN..=TEXT_CHARS_MAX).contains(&length)
            && part.chars().all(|c| matches!(c, ' '..='~'))
            && SAYS_READY.is_match(part)
    });
    fit.max_by_key(|part| part.len()).map(str::to_owned)
}

fn candidates(system: &System) -> Vec<Candidate> {
    let units = Units(system);
    let reached = units.pulled_in(&[units.default_target()]);
    let meant = reached.into_keys().filter(|unit| {
        let is_service = unit.rsplit_once('.').is_some_and(|(_, suffix)| suffix == "service");
        is_service && !NO_ANNOUNCERS.iter().any(|other| unit.contains(other))
    });
    let candidate = |unit: String| {
        let texts = units.texts(&unit);
        let file = texts.first()?.0.clone();
        let text = texts
            .iter()
            .map(|(_, text)| text.as_str())
            .collect::<Vec<_>>()
            .join("\n");
        let scripts = STARTS.captures_iter(&text).map(|found| inside(&found[1])).collect();
        Some(Candidate {
            unit,
            text,
            file,
            scripts,
        })
    };
    meant.filter_map(candidate).collect()
}

/// A path as the tree has it.
fn inside(path: &str) -> String {
    path.trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(script: &str, common: &str) -> Option<String> {
        let system = System::of(
            &[
                (
                    "usr/lib/systemd/system/graphical.target",
                    "[Unit]\nWants=ready.service\n",
                ),
                (
                    "usr/lib/systemd/system/ready.service",
                    "[Service]\nExecStart=-/usr/lib/live/ready --now\n",
                ),
                ("usr/lib/live/ready", script),
                ("usr/lib/live/common.sh", common),
            ],
            &[],
        );
        assert_eq!(scripts(&system), ["usr/lib/live/ready"]);
        announcement(&system).map(|found| {
            assert_eq!(
                (found.unit.as_str(), found.file.as_str()),
                ("ready.service", "usr/lib/live/ready")
            );
            found.text
        })
    }

    #[test]
    fn the_constant_part_of_what_a_unit_prints_is_found() {
        let direct = "#!/bin/sh\necho \"LIVE-READY $(uname -r)\" > /dev/ttyS0\n";
        assert_eq!(said(direct, "").as_deref(), Some("LIVE-READY"));
        let by_function = "#!/bin/sh\n. /usr/lib/live/common.sh\nsay 'live: SYSTEM-READY uuid=%s\\n' \"$uuid\"\n";
        assert_eq!(
            said(by_function, "say() { printf \"$@\" >/dev/console; }\n").as_deref(),
            Some("live: SYSTEM-READY uuid=")
        );
        assert_eq!(
            said(by_function, "say() { printf \"$@\"; }\n"),
            None,
            "it goes to no console"
        );
        assert_eq!(
            said("echo 'loading modules' >/dev/console\n", ""),
            None,
            "it says nothing of being up"
        );
        assert_eq!(
            said("echo \"$READY\" >/dev/console\n", ""),
            None,
            "nothing of it is constant"
        );
    }
}
