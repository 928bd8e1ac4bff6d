//! What each command's help says.

use std::fmt::Write as _;

use crate::cli_support::run;

use super::markdown::MADE;

/// The commands, in the order in which the program lists them, each with its summary.
fn listed() -> Vec<(String, String)> {
    let help = run(["--help"]).stdout;
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in lines {
        if let Some(line) = line.strip_prefix("  ").filter(|line| !line.starts_with(' ')) {
            let (name, about) = line.split_once(' ').unwrap_or((line, ""));
            commands.push((name.to_owned(), about.trim().to_owned()));
        } else {
            // The summary's second line.
            let about = &mut commands.last_mut().expect("a command has a first line").1;
            *about = format!("{about} {}", line.trim());
        }
    }
    commands.retain(|(name, _)| name != "help");
    assert!(commands.len() >= 17, "{commands:?}");
    commands
}

pub(super) fn page() -> String {
    let mut page = format!("{MADE}\n# Commands\n");
    for (name, about) in listed() {
        let help = run([name.as_str(), "--help"]);
        assert_eq!(help.code, Some(0), "{name}");
        let lines: Vec<_> = help.stdout.trim_end().lines().map(str::trim_end).collect();
        let _ = write!(
            page,
            "\n## bootgate {name}\n\n{about}.\n\n```text\n{}\n```\n",
            lines.join("\n")
        );
    }
    page
}
