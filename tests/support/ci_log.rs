//! What CI systems obey in a job's log: ports of their parsers, to hold against what is printed.
#![allow(dead_code, reason = "each test binary uses its part")]

/// A command that the runner of GitHub Actions obeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obeyed {
    pub(crate) name: String,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) data: String,
}

/// Characters that .NET passes over when it compares text by a culture's rules, as `string.StartsWith` and `IndexOf` do: a
/// command with such a one in its middle is a command.
fn is_ignored(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\0')
}

/// Every command in a log. The worker reads lines that end with CR, LF or both (actions/runner:
/// src/Runner.Sdk/ProcessInvoker.cs), and tries both parsers on each (src/Runner.Worker/ActionCommandManager.cs). The check
/// that a command is registered is left out, so this finds more than the runner obeys.
pub(crate) fn github(log: &str) -> Vec<Obeyed> {
    let lines = log.split(['\r', '\n']);
    let seen = lines.map(|line| line.chars().filter(|c| !is_ignored(*c)).collect::<String>());
    seen.filter_map(|line| version_2(&line).or_else(|| version_1(&line)))
        .collect()
}

/// `TryParseV2` of src/Runner.Common/ActionCommand.cs: `::name key=value,…::data`, behind nothing but space.
fn version_2(line: &str) -> Option<Obeyed> {
    let rest = line.trim_start().strip_prefix("::")?;
    let (info, data) = rest.split_once("::")?;
    let (name, properties) = info.split_once(' ').unwrap_or((info, ""));
    let pairs = properties.trim().split(',').filter(|pair| !pair.is_empty());
    let pairs = pairs.filter_map(|pair| pair.split_once('='));
    let unescape = |text: &str| text.replace("%0D", "\r").replace("%0A", "\n");
    let property = |text: &str| {
        unescape(text)
            .replace("%3A", ":")
            .replace("%2C", ",")
            .replace("%25", "%")
    };
    Some(Obeyed {
        name: name.to_owned(),
        properties: pairs.map(|(key, value)| (key.to_owned(), property(value))).collect(),
        data: unescape(data).replace("%25", "%"),
    })
}

/// `TryParse` of the same file: `##[name key=value;…]data`, anywhere in a line.
fn version_1(line: &str) -> Option<Obeyed> {
    let (_, rest) = line.split_once("##[")?;
    let (info, data) = rest.split_once(']')?;
    let (name, properties) = info.split_once(' ').unwrap_or((info, ""));
    let pairs = properties.trim().split(';').filter_map(|pair| pair.split_once('='));
    Some(Obeyed {
        name: name.to_owned(),
        properties: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        data: data.to_owned(),
    })
}

/// The section markers in a log that GitLab obeys, as `start name` and `end name` (gitlab-org/gitlab:
/// lib/gitlab/ci/ansi2json/converter.rb): anywhere in a line, up to CR and the sequence that clears it.
pub(crate) fn gitlab(log: &str) -> Vec<String> {
    let marker = r"section_(start|end):(\d+):([a-zA-Z0-9_.-]+)(?:\[[^\]]*\])?\r\x1b\[0K";
    let marker = regex::Regex::new(marker).unwrap();
    let found = marker.captures_iter(log);
    found.map(|found| format!("{} {}", &found[1], &found[3])).collect()
}

/// A character that a terminal acts on, or that turns or hides text, if there is one. Line ends are no harm.
pub(crate) fn acts(log: &str) -> Option<char> {
    log.chars()
        .find(|c| (c.is_control() && *c != '\n') || is_ignored(*c) || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// A log in which nobody but ourselves commands anything.
#[track_caller]
pub(crate) fn assert_harmless(what: &str, log: &str) {
    assert_eq!(github(log), [], "{what}:\n{log}");
    assert_eq!(gitlab(log), [] as [String; 0], "{what}:\n{log}");
    assert_eq!(acts(log), None, "{what}:\n{log}");
}
