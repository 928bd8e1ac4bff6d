//! A command line as a person reads it.

use std::fmt::{self, Write as _};

/// The command line as bash, ksh or zsh would take it, an option to a line; one without control characters, as any POSIX
/// shell would. Only for showing: nothing here runs a shell.
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
    if argument.chars().any(char::is_control) {
        // No value of a gate file moves the cursor of a terminal.
        let _ = write!(text, "$'{}'", Escaped(argument));
        return;
    }
    text.push('\'');
    text.push_str(&argument.replace('\'', r"'\''"));
    text.push('\'');
}

/// A text inside `$'…'`.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\'' | '\\' => write!(f, "\\{c}")?,
                _ if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_on_their_own_lines() {
        let arguments = ["qemu", "-m", "64M", "-append", "console=ttyS0 it's"].map(str::to_owned);
        assert_eq!(
            shell_quoted(&arguments),
            "qemu \\\n  -m 64M \\\n  -append 'console=ttyS0 it'\\''s'"
        );
    }

    #[test]
    fn no_control_character_is_left() {
        let arguments = ["-name", "\u{1b}[2Jit's\u{9b}\n\\é"].map(str::to_owned);
        assert_eq!(shell_quoted(&arguments), r"-name $'\u001b[2Jit\'s\u009b\u000a\\é'");
    }
}
