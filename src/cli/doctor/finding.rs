//! How it is shown what the doctor finds.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::driver::{Check, Level};
use crate::text::terminal_line;

/// The longest text that is shown, in characters. A list of the places where firmware was looked for is long.
const TEXT_CHARS_MAX: usize = 2000;

/// The word in JSON; in the list for people a failure is in capitals.
fn word(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Warn => "warn",
        Level::Refuse { .. } => "fail",
    }
}

/// True if anything fails.
pub(super) fn any_fails(findings: &[Check]) -> bool {
    findings.iter().any(Check::refuses)
}

/// A line for each finding, its mend below it, and a last line that says what all of it means.
pub(super) fn render(findings: &[Check]) -> String {
    let width = findings.iter().map(|finding| finding.id.len()).max().unwrap_or(0);
    let mut page = String::new();
    for finding in findings {
        let level = match finding.level {
            Level::Refuse { .. } => "FAIL",
            level => word(level),
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

fn summary(findings: &[Check]) -> String {
    let warnings = findings.iter().filter(|finding| finding.level == Level::Warn);
    let warnings = counted(warnings.count(), "warning");
    if any_fails(findings) {
        let failures = findings.iter().filter(|finding| finding.refuses());
        let failures = counted(failures.count(), "failure");
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
pub(super) fn to_json(findings: &[Check]) -> Value {
    let one = |finding: &Check| {
        json!({
            "id": finding.id,
            "level": word(finding.level),
            "finding": finding.found,
            "mend": finding.mend,
        })
    };
    findings.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Check> {
        vec![
            Check::ok("qemu", "QEMU emulator version 7.2.22, /usr/bin/qemu-system-x86_64"),
            Check::warn("user", "bootgate runs as root", "use another user"),
            Check::usage("inputs", "the image `a\u{1b}[2J.iso` does not exist", "check the path"),
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
