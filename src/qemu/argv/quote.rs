//! A command line as a person reads it.

/// The command line as a POSIX shell would take it, an option to a line. Only for showing: nothing here runs a shell.
pub fn shell_quoted(arguments: &[String]) -> String {
    let mut text = String::new();
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            text.push_str(if argument.starts_with('-') { " \\\n  " } else { " " });
        }
        quote_into(&mut text, argument);
    }
    text
}

fn quote_into(text: &mut String, argument: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        text.push_str(argument);
        return;
    }
    text.push('\'');
    text.push_str(&argument.replace('\'', r"'\''"));
    text.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    /// What a real shell makes of the text.
    fn read_by_sh(text: &str) -> Vec<String> {
        let script = format!("printf '%s\\0' {text}");
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        printed.split_terminator('\0').map(str::to_owned).collect()
    }

    #[test]
    fn options_stand_on_their_own_lines() {
        let arguments = ["qemu", "-m", "64M", "-append", "console=ttyS0 it's"].map(str::to_owned);
        assert_eq!(
            shell_quoted(&arguments),
            "qemu \\\n  -m 64M \\\n  -append 'console=ttyS0 it'\\''s'"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_the_same_arguments(arguments in prop::collection::vec("[^\0]{0,12}", 1..6)) {
            prop_assert_eq!(read_by_sh(&shell_quoted(&arguments)), arguments);
        }
    }
}
