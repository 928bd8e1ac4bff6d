//! How far an installer is, as it says itself.

use std::cmp::Ordering;

use serde_json::Value;

use super::percentage::percentage;

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

/// How many lines without a percentage a bar stays for.
const SILENT_LINES_MAX: u16 = 200;
/// How often a bar has risen more than it has fallen, at most: what falls after that is soon no bar any more.
const TRUST_MAX: i8 = 8;

/// Reads the lines of a command's output. Two forms are known: JSON objects with a `percent`, and `NN %` in a line that comes
/// again with a higher number, since a single one may be anything (`df` prints how full disks are).
#[derive(Debug, Clone, Default)]
pub struct ProgressReader {
    progress: Option<Progress>,
    /// It speaks JSON, so percentages elsewhere mean something else.
    speaks_json: bool,
    bar: Bar,
}

/// The line with the last percentage.
#[derive(Debug, Clone, Default)]
struct Bar {
    /// Its beginning, without what changes.
    shape: String,
    percent: f64,
    /// How often it has risen; a fall counts twice. A bar that falls is a gauge, but some bars do it once or twice, when
    /// they find that there is more to do.
    trust: i8,
    /// How many lines have come since.
    silent_lines: u16,
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
        // A bar is wiped away by a line of blanks.
        if !self.speaks_json && !line.trim().is_empty() && !self.take_bar(line) {
            self.bar.silent_lines = self.bar.silent_lines.saturating_add(1);
            if self.bar.silent_lines > SILENT_LINES_MAX {
                self.progress = None;
            }
            self.leave_finished();
        }
        false
    }

    /// Looks at a line that goes on: some installers write all their percentages into one.
    pub fn peek(&mut self, line: &str) {
        if line.len() <= LINE_BYTES_MAX && !self.speaks_json {
            self.take_bar(line);
        }
    }

    /// True if the line tells how far something is.
    fn take_bar(&mut self, line: &str) -> bool {
        let Some(share) = percentage(line) else {
            return false;
        };
        let shape = shape(share.before);
        let bar = &mut self.bar;
        bar.silent_lines = 0;
        if bar.shape != shape {
            (bar.shape, bar.percent, bar.trust) = (shape, share.percent, 0);
            self.leave_finished();
            return true;
        }
        // The next bar of its kind begins where the last one has ended, or anew after a failure.
        let is_next = bar.percent >= 99.0 || share.percent < 1.0;
        match share.percent.total_cmp(&bar.percent) {
            Ordering::Greater => bar.trust = (bar.trust + 1).min(TRUST_MAX),
            Ordering::Less if !is_next => bar.trust = (bar.trust - 2).max(-TRUST_MAX),
            _ => {}
        }
        bar.percent = share.percent;
        self.progress = (bar.trust > 0).then(|| Progress {
            percent: whole(share.percent),
            what: shortened(share.what()),
        });
        true
    }

    /// Something else has begun: a bar that is full says nothing any more.
    fn leave_finished(&mut self) {
        self.progress.take_if(|progress| progress.percent >= 100);
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

/// A line's beginning without what changes in a line that shows progress: numbers, and the signs of which bars are made.
fn shape(before: &str) -> String {
    before
        .chars()
        .filter(|c| c.is_alphabetic())
        .take(WHAT_CHARS_MAX)
        .collect()
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
