//! How far an installer is, as it says itself.

use serde_json::Value;

/// How much of a line is looked at, in bytes.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// How much of what it says it does is kept, in characters.
const WHAT_CHARS_MAX: usize = 120;

/// How far a command is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// From 0 to 100.
    pub percent: u8,
    /// What it does at the moment, as it says. Untrusted.
    pub what: String,
}

/// Reads the lines of a command's output. Two forms are known: JSON objects with a `percent`, and `NN %` in a line that comes
/// again with other numbers, since a single one may be anything (`df` prints how full disks are).
#[derive(Debug, Clone, Default)]
pub struct ProgressReader {
    progress: Option<Progress>,
    /// It speaks JSON, so percentages elsewhere mean something else.
    speaks_json: bool,
    /// The line with the last percentage, without its numbers.
    shape: Option<String>,
}

impl ProgressReader {
    /// Takes a line, without its end. True if it is for a program that shows how far the installer is, and not for people.
    pub fn take(&mut self, line: &str) -> bool {
        if line.len() > LINE_BYTES_MAX {
            return false;
        }
        if let Some(progress) = json(line, self.progress.as_ref()) {
            self.speaks_json = true;
            self.progress = Some(progress);
            return true;
        }
        if !self.speaks_json
            && let Some((percent, at)) = percentage(line)
        {
            let shape = Some(shape(line));
            if self.shape == shape {
                let what = shortened(line[..at].trim_matches(|c: char| !c.is_alphanumeric()));
                self.progress = Some(Progress { percent, what });
            }
            self.shape = shape;
        }
        false
    }

    /// How far it is, if it says so.
    pub fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }
}

/// `{"message":"Copying system","step":3,"steps":8,"percent":42}`; a line that only has a message keeps the percentage.
fn json(line: &str, before: Option<&Progress>) -> Option<Progress> {
    let line = line.trim();
    if !line.starts_with('{') {
        return None;
    }
    let value: Value = serde_json::from_str(line).ok()?;
    let first = |names: &[&str]| names.iter().find_map(|name| value.get(name));
    let number = first(&["percent", "percentage", "progress"]).and_then(Value::as_f64);
    let percent = match number.filter(|number| (0.0..=100.0).contains(number)) {
        Some(number) => whole(number),
        None => before?.percent,
    };
    let what = first(&["message", "msg", "status", "description"]).and_then(Value::as_str);
    let step = value.get("step").and_then(Value::as_u64);
    let what = match (what, step.zip(value.get("steps").and_then(Value::as_u64))) {
        (Some(what), Some((step, steps))) => format!("{step}/{steps} {what}"),
        (what, _) => what.unwrap_or_default().to_owned(),
    };
    Some(Progress {
        percent,
        what: shortened(&what),
    })
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it lies between 0 and 100"
)]
fn whole(percent: f64) -> u8 {
    percent as u8
}

/// The last percentage of a line, and where its number begins.
fn percentage(line: &str) -> Option<(u8, usize)> {
    let mut found = None;
    for (sign, _) in line.match_indices('%') {
        let before = line[..sign].trim_end_matches(' ');
        let from = before
            .rfind(|c: char| !c.is_ascii_digit() && c != '.')
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let number = before[from..].parse::<f64>().ok();
        if let Some(number) = number.filter(|number| (0.0..=100.0).contains(number)) {
            found = Some((whole(number), from));
        }
    }
    found
}

/// A line without what changes in a line that shows progress: numbers, and the signs of which bars are made.
fn shape(line: &str) -> String {
    let words = line.chars().filter(|c| c.is_alphabetic() || *c == '%');
    words.take(WHAT_CHARS_MAX).collect()
}

fn shortened(what: &str) -> String {
    what.chars().take(WHAT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(lines: &[&str]) -> Option<(u8, String)> {
        let mut reader = ProgressReader::default();
        for line in lines {
            reader.take(line);
        }
        let progress = reader.progress().cloned();
        progress.map(|progress| (progress.percent, progress.what))
    }

    #[test]
    fn an_installer_says_how_far_it_is() {
        let copying = r#"{"message":"Copying system","step":3,"steps":8,"percent":42,"time":"2026-11-23T14:59:46Z"}"#;
        let plain = r#"{"message":"Writing hostname: dakota-plain-test"}"#;
        assert_eq!(read(&[copying]), Some((42, "3/8 Copying system".to_owned())));
        assert_eq!(
            read(&[copying, plain, "+ df: 99%", "+ df: 98%"]),
            Some((42, "Writing hostname: dakota-plain-test".to_owned()))
        );
        assert_eq!(
            read(&[plain, "{", "{}", r#"{"percent":-1}"#, r#"{"percent":"x"}"#]),
            None
        );
        assert_eq!(
            read(&["Copying:  41% [=>  ]", "Copying:  42.9 % [==> ]"]),
            Some((42, "Copying".to_owned()))
        );
        assert_eq!(read(&["/dev/vda1  50% /boot", "/dev/vda2  51% /"]), None);
        assert_eq!(read(&["a 1%", "a 101%", "a 3.4.5%", "a %"]), None);
    }

    proptest! {
        #[test]
        fn no_line_panics_and_what_is_kept_is_bounded(lines in prop::collection::vec("\\PC*|.{0,5}[0-9.]{0,4} ?%.{0,5}", 0..9)) {
            let mut reader = ProgressReader::default();
            for line in &lines {
                reader.take(line);
            }
            if let Some(progress) = reader.progress() {
                prop_assert!(progress.percent <= 100 && progress.what.chars().count() <= WHAT_CHARS_MAX);
            }
        }
    }
}
