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

    #[test]
    fn options_stand_on_their_own_lines() {
        let arguments = ["qemu", "-m", "64M", "-append", "console=ttyS0 it's"].map(str::to_owned);
        assert_eq!(
            shell_quoted(&arguments),
            "qemu \\\n  -m 64M \\\n  -append 'console=ttyS0 it'\\''s'"
        );
    }
}
