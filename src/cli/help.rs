//! Help that teaches: commands in groups, a short `-h` and a long `--help` with examples.

use std::fmt::Write as _;

use clap::Command;

/// The commands, by what somebody is about to do, each with what it does in a few words.
const GROUPS: [(&str, &[(&str, &str)]); 6] = [
    (
        "Begin",
        &[
            ("init", "look into an image and write a gate file for it"),
            ("check", "read a gate file, show what it would do"),
            ("doctor", "look at this host: can it run the gate?"),
            ("demo", "the whole gate on a tiny guest"),
        ],
    ),
    (
        "Run",
        &[
            ("run", "run a gate, or one stage of it"),
            ("decide", "decide from runs whether the image may be published"),
            ("ps", "list what runs and what is held"),
            ("reap", "end what is held, and what killed runs have left"),
        ],
    ),
    (
        "Look into a run",
        &[
            ("inspect", "why it failed; look into its machine"),
            ("trace", "what happened when, with the evidence; compare two runs"),
            ("report", "write its page again"),
            ("explain", "what a cause means, and what to do about it"),
        ],
    ),
    (
        "Keep and repeat",
        &[
            ("bundle", "pack a run into one file"),
            ("reopen", "the machine of a bundle again, paused where it failed"),
            ("replay", "a recorded run again, without QEMU"),
            ("triage", "run the rules over old logs or runs"),
        ],
    ),
    (
        "Images",
        &[
            ("debug-iso", "make a debug image of a production ISO"),
            ("verify-production", "prove that a production ISO lets nobody in"),
        ],
    ),
    (
        "About bootgate",
        &[
            ("diagram", "print the state machine"),
            ("completions", "print the completions for a shell"),
            ("man", "write the manual pages"),
        ],
    ),
];

/// What stands below the list of commands in the long help.
const EXAMPLES: &str = "\
Examples:
  bootgate init live.iso      look into an image and write a gate file for it
  bootgate doctor gate.toml   can this host run the gate?
  bootgate check gate.toml    what would the gate do?
  bootgate run gate.toml      run it; the exit code is the verdict
  bootgate explain CAUSE      what the verdict's cause means, and what to do
  bootgate trace last         what happened, and where the evidence lies
  bootgate inspect last       why it failed; look into the held machine
  bootgate replay last        the same again without QEMU: what would other rules change?
  bootgate triage old.log     what do the rules know about an old log?

Exit codes: 0 passed, 1 failed, 2 wrong gate file or arguments, 3 known failure,
  4 infrastructure, 5 untestable, 70 a defect of bootgate, 130 and 143 cancelled.

BOOTGATE_LOG=debug prints what bootgate does on standard error; NO_COLOR=1 keeps colours out.";

/// Groups the commands, and keeps the examples for the long help.
pub(super) fn taught(command: Command) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|known| known.get_name().to_owned())
        .collect();
    let command = command
        .help_template("{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}Options:\n{options}{after-help}")
        .before_help(groups())
        .after_help("`bootgate --help` has examples and the exit codes; `bootgate COMMAND --help` one command's.")
        .after_long_help(EXAMPLES);
    names
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, long_examples))
}

/// The examples of a command go to its long help; the short one says so.
fn long_examples(command: Command) -> Command {
    let Some(examples) = command.get_after_help().cloned() else {
        return command;
    };
    let more = format!("More, with examples: bootgate {} --help", command.get_name());
    command.after_help(more).after_long_help(examples)
}

/// The commands in their groups.
fn groups() -> String {
    let names = GROUPS.iter().flat_map(|(_, commands)| commands.iter());
    let width = names.map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (title, commands) in GROUPS {
        let _ = writeln!(text, "{title}:");
        for (name, about) in commands {
            let _ = writeln!(text, "  {name:<width$}  {about}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::args;
    use super::*;

    #[test]
    fn every_command_stands_in_one_group() {
        let command = args::command();
        let mut known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        let mut grouped: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, commands)| commands.iter().map(|(name, _)| *name))
            .collect();
        known.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, known);
        assert!(groups().lines().all(|line| line.len() <= 80), "{}", groups());
    }

    /// The examples of a help: the lines that begin with the program's name, without what explains them.
    fn examples(help: &str) -> Vec<Vec<String>> {
        let lines = help.lines().filter_map(|line| line.strip_prefix("  bootgate "));
        let words = |line: &str| {
            let line = line.split("  ").next().unwrap_or_default();
            let line = line.split([';', '|', '>']).next().unwrap_or_default();
            // What a shell would put in place of `$(…)` or `…` is one word.
            let words = line.split_whitespace().map(|word| word.trim_matches('"').to_owned());
            std::iter::once("bootgate".to_owned()).chain(words).collect()
        };
        lines.map(words).collect()
    }

    #[test]
    fn every_example_is_a_command_line_that_is_taken() {
        let command = args::command();
        let mut tried = 0;
        let of_commands = command.get_subcommands().map(|known| {
            let help = known.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                help.starts_with("Example:\n  bootgate "),
                "{}: {help}",
                known.get_name()
            );
            help
        });
        for help in of_commands.chain([EXAMPLES.to_owned()]) {
            for example in examples(&help) {
                let taken = args::command().try_get_matches_from(&example);
                assert!(taken.is_ok(), "{example:?}: {}", taken.unwrap_err());
                tried += 1;
            }
        }
        assert!(tried > 30, "{tried}");
    }

    #[test]
    fn an_example_that_is_wrong_is_refused() {
        for wrong in ["  bootgate init", "  bootgate init a b", "  bootgate trace --format x"] {
            let [example] = &examples(wrong)[..] else {
                panic!("{wrong}")
            };
            assert!(args::command().try_get_matches_from(example).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_short_help_is_short_and_the_long_one_teaches() {
        let mut command = args::command();
        let (short, long) = (
            command.render_help().to_string(),
            command.render_long_help().to_string(),
        );
        assert!(
            !short.contains("Examples:") && long.contains("Examples:"),
            "{short}\n{long}"
        );
        assert!(short.lines().count() < 50, "{short}");
        let mut init = command.find_subcommand("init").unwrap().clone();
        assert!(!init.render_help().to_string().contains("Example:"));
        assert!(init.render_long_help().to_string().contains("Example:"));
    }
}
