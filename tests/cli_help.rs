//! What a user reads who asks for help, or types something that is not there.

mod cli_support;

use cli_support::{bootgate, run, see};

/// In the order in which the help groups them.
const COMMANDS: [&str; 21] = [
    "init",
    "check",
    "doctor",
    "demo",
    "run",
    "decide",
    "ps",
    "reap",
    "inspect",
    "trace",
    "report",
    "explain",
    "bundle",
    "reopen",
    "replay",
    "triage",
    "debug-iso",
    "verify-production",
    "diagram",
    "completions",
    "man",
];

#[test]
fn every_command_is_known_here() {
    let help = run(["--help"]).stdout;
    // From the first group to the options: a command's line is indented by two.
    let listed = help.lines().skip(1).take_while(|line| *line != "Options:");
    let listed: Vec<_> = listed
        .filter_map(|line| line.strip_prefix("  "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(listed, COMMANDS);
}

#[test]
fn every_help_has_an_example() {
    insta::assert_snapshot!("help", run(["--help"]).page(&[]));
    insta::assert_snapshot!("short_help", run(["-h"]).page(&[]));
    insta::assert_snapshot!("short_help_run", run(["run", "-h"]).page(&[]));
    for command in COMMANDS {
        let seen = run([command, "--help"]);
        assert!(
            seen.stdout.contains(&format!("Example:\n  bootgate {command}")),
            "{}",
            seen.stdout
        );
        insta::assert_snapshot!(format!("help_{command}"), seen.page(&[]));
    }
}

#[test]
fn what_is_not_there_is_refused_with_the_nearest_word() {
    let cases: [&[&str]; 7] = [
        &[],
        &["chekc", "gate.toml"],
        &["run"],
        &["run", "gate.toml", "--jason"],
        &["check", "gate.toml", "another.toml"],
        &["diagram", "--format", "picture"],
        &["demo"],
    ];
    let pages: Vec<_> = cases
        .iter()
        .map(|arguments| {
            let seen = run(*arguments);
            assert_eq!(seen.code, Some(2), "{seen:?}");
            format!("$ bootgate {}\n{}", arguments.join(" "), seen.page(&[]))
        })
        .collect();
    insta::assert_snapshot!("mistyped", pages.join("\n"));
}

#[test]
fn the_diagram_is_printed_at_once() {
    for (form, file) in [
        (None, "gate.mmd"),
        (Some("transitions"), "transitions.csv"),
        (Some("deadlines"), "deadlines.csv"),
    ] {
        let mut command = bootgate(["diagram"]);
        command.args(form.map(|form| format!("--format={form}")));
        let seen = see(&mut command);
        let committed = std::fs::read_to_string(format!("{}/state-diagrams/{file}", cli_support::ROOT));
        assert_eq!(seen.stdout, committed.expect("the diagrams are part of the repository"));
        assert_eq!((seen.code, &*seen.stderr), (Some(0), ""));
    }
}
