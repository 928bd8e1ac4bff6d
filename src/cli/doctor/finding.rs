//! What the doctor finds, as data, and how it is shown.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::driver::{self, Check};
use crate::text::terminal_line;

/// The longest text that is shown, in characters. A list of the places where firmware was looked for is long.
const TEXT_CHARS_MAX: usize = 2000;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Nothing is to be done.
    Ok,
    /// A gate runs, though slower, or with less protection, or with less room than it may need.
    Warn,
    /// No gate runs, or this one does not.
    Fail,
}

impl Level {
    /// The word in JSON; in the list for people a failure is in capitals.
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// What was looked at, as one word for a program.
    pub(super) id: &'static str,
    pub(super) level: Level,
    /// What was found, as a sentence without an end.
    pub(super) found: String,
    /// What to do about it. Nothing, if there is nothing to do.
    pub(super) mend: Option<String>,
}

impl Finding {
    pub(super) fn ok(id: &'static str, found: impl Into<String>) -> Self {
        Self {
            id,
            level: Level::Ok,
            found: found.into(),
            mend: None,
        }
    }

    pub(super) fn warn(id: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            level: Level::Warn,
            mend: Some(mend.into()),
            ..Self::ok(id, found)
        }
    }

    pub(super) fn fail(id: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            level: Level::Fail,
            ..Self::warn(id, found, mend)
        }
    }
}

impl From<Check> for Finding {
    fn from(check: Check) -> Self {
        Self {
            id: check.id,
            level: match check.level {
                driver::Level::Ok => Level::Ok,
                driver::Level::Warn => Level::Warn,
                driver::Level::Refuse { .. } => Level::Fail,
            },
            found: check.found,
            mend: check.mend,
        }
    }
}

/// True if anything fails.
pub(super) fn any_fails(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.level == Level::Fail)
}

/// A line for each finding, its mend below it, and a last line that says what all of it means.
pub(super) fn render(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.id.len()).max().unwrap_or(0);
    let mut page = String::new();
    for finding in findings {
        let level = match finding.level {
            Level::Fail => "FAIL",
            level => level.as_str(),
        };
        let text = terminal_line(&finding.found, TEXT_CHARS_MAX);
        let _ = writeln!(page, "{level:4}  {:width$}  {text}", finding.id);
        if let Some(mend) = &finding.mend {
            let mend = terminal_line(mend, TEXT_CHARS_MAX);
            let _ = writeln!(page, "      {:width$}  mend: {mend}", "");
        }
    }
    let _ = writeln!(page, "\n{}", summary(findings));
    page
}

fn summary(findings: &[Finding]) -> String {
    let count = |level, noun: &str| {
        let count = findings.iter().filter(|finding| finding.level == level).count();
        counted(count, noun)
    };
    let warnings = count(Level::Warn, "warning");
    if any_fails(findings) {
        let failures = count(Level::Fail, "failure");
        format!("not ready: {failures}, {warnings}; mend the failures first")
    } else {
        format!("ready: no failures, {warnings}")
    }
}

/// A number of things: `1 stage`, `2 stages`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The findings for a program.
pub(super) fn to_json(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        json!({
            "id": finding.id,
            "level": finding.level.as_str(),
            "finding": finding.found,
            "mend": finding.mend,
        })
    };
    findings.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::ok("qemu", "QEMU emulator version 7.2.22, /usr/bin/qemu-system-x86_64"),
            Finding::warn("user", "bootgate runs as root", "use another user"),
            Finding::fail("inputs", "the image `a\u{1b}[2J.iso` does not exist", "check the path"),
        ]
    }

    #[test]
    fn people_get_a_list_with_the_mends() {
        insta::assert_snapshot!(render(&findings()), @r"
        ok    qemu    QEMU emulator version 7.2.22, /usr/bin/qemu-system-x86_64
        warn  user    bootgate runs as root
                      mend: use another user
        FAIL  inputs  the image `a.iso` does not exist
                      mend: check the path

        not ready: 1 failure, 1 warning; mend the failures first
        ");
        insta::assert_snapshot!(summary(&findings()[..1]), @"ready: no failures, 0 warnings");
    }

    #[test]
    fn programs_get_the_same() {
        insta::assert_snapshot!(to_json(&findings()[1..2]), @r#"[{"id":"user","level":"warn","finding":"bootgate runs as root","mend":"use another user"}]"#);
        assert!(any_fails(&findings()) && !any_fails(&findings()[..2]));
    }
}
