//! What each command's help says.

use std::fmt::Write as _;

use crate::cli_support::run;

use super::markdown::MADE;

/// The commands, in the order in which the program lists them in groups, each with its summary.
fn listed() -> Vec<(String, String)> {
    let help = run(["--help"]).stdout;
    let lines = help.lines().skip_while(|line| !line.starts_with("Usage:")).skip(1);
    let lines = lines.take_while(|line| *line != "Options:");
    let commands: Vec<_> = lines
        .filter_map(|line| line.strip_prefix("  ")?.split_once(' '))
        .map(|(name, about)| (name.to_owned(), about.trim().to_owned()))
        .collect();
    assert!(commands.len() >= 21, "{commands:?}");
    commands
}

pub(super) fn page() -> String {
    let mut page = format!("{MADE}\n# Commands\n");
    for (name, about) in listed() {
        let help = run([name.as_str(), "--help"]);
        assert_eq!(help.code, Some(0), "{name}");
        let lines: Vec<_> = help.stdout.trim_end().lines().map(str::trim_end).collect();
        let end = if about.ends_with('?') { "" } else { "." };
        let _ = write!(
            page,
            "\n## bootgate {name}\n\n{about}{end}\n\n```text\n{}\n```\n",
            lines.join("\n")
        );
    }
    page
}
