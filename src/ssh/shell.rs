//! Scripts for the guest's POSIX shell, and what they answer. Pure.

/// Reads the boot id and the machine's UUID.
pub(super) const FACTS: &str = include_str!("guest/facts.sh");
/// Stores standard input as a file.
pub(super) const UPLOAD: &str = include_str!("guest/upload.sh");
/// Starts a command that outlives the connection.
pub(super) const START: &str = include_str!("guest/start.sh");
/// Runs that command and writes its status down.
pub(super) const RUN: &str = include_str!("guest/run.sh");
/// Streams its output until it ends.
pub(super) const FOLLOW: &str = include_str!("guest/follow.sh");
/// Ends it.
pub(super) const KILL: &str = include_str!("guest/kill.sh");

/// Bytes of a command line that every server takes: Dropbear's limit (`MAX_CMD_LEN`) is 9000.
#[cfg(test)]
const COMMAND_LINE_BYTES_MAX: usize = 9000;

/// `text` as one word of a POSIX shell.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A command line that runs `script` with arguments, whatever the user's login shell is. Lines of nothing but a comment
/// stay here.
pub(super) fn command_line(script: &str, arguments: &[&str]) -> String {
    let mut line = format!("exec sh -c {} bootgate", quote(&strip(script)));
    for argument in arguments {
        line.push(' ');
        line.push_str(&quote(argument));
    }
    line
}

/// The script without comments, blank lines and indentation.
pub(super) fn strip(script: &str) -> String {
    let lines = script.lines().map(str::trim_start);
    let kept: Vec<&str> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    kept.join("\n")
}

/// The words behind `bootgate-WORD` in the last whole line of `output` that starts with it. Other lines are noise, such
/// as what a login shell's start-up file prints.
pub(super) fn answer(output: &[u8], word: &str) -> Option<Vec<String>> {
    let whole = &output[..=output.iter().rposition(|byte| *byte == b'\n')?];
    let said = format!("bootgate-{word} ");
    whole.split(|byte| *byte == b'\n').rev().find_map(|line| {
        let rest = line.strip_prefix(said.as_bytes())?;
        let text = std::str::from_utf8(rest).ok()?;
        Some(text.split_ascii_whitespace().map(str::to_owned).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fits_every_server() {
        let long = "x".repeat(200);
        let run = strip(RUN);
        let arguments = [&long, &run, &long, &long, &long, &long].map(String::as_str);
        for script in [FACTS, UPLOAD, START, FOLLOW, KILL] {
            let line = command_line(script, &arguments);
            assert!(line.len() < COMMAND_LINE_BYTES_MAX, "{} bytes", line.len());
        }
    }

    #[test]
    fn answers_are_found_in_noise() {
        let output = b"hello from .bashrc\nbootgate-boot a b\nbootgate-boot c\nbootgate-boot d";
        assert_eq!(answer(output, "boot"), Some(vec!["c".to_owned()]));
        assert_eq!(answer(output, "uuid"), None);
        assert_eq!(answer(b"", "uuid"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn a_quoted_word_arrives_as_it_is(text in "[^\0]{0,40}") {
            let line = command_line("printf %s \"$1\"", &[&text]);
            let output = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
            prop_assert_eq!(output.stdout, text.as_bytes());
        }
    }
}
