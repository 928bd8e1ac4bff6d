//! What is asked of one file; each function answers with its complaints, one line each.

use crate::source::{Kind, Token, has_extension, test_only, tokens};
use regex::Regex;
use std::sync::LazyLock;

/// A longer file holds more than one idea.
const RUST_LINES_MAX: usize = 400;

/// Macros that mark unfinished work.
const UNFINISHED: &[&str] = &["dbg", "todo", "unimplemented"];

/// Tests that may wait for time to pass, each with its reason; the others wait for the event they mean.
const SLEEPERS: &[(&str, &str)] = &[
    (
        "src/serial/tap/tests.rs",
        "the clock is the test's own, so nobody waits",
    ),
    ("tests/ssh_login.rs", "a peer that drips its bytes is slow by nature"),
];

// Written in two halves, so that this file does not hold what it looks for.
static LEFTOVER: LazyLock<Regex> = LazyLock::new(|| pattern(concat!(r"\b(FIX", r"ME|TO", r"DO|X", r"XX)\b")));
static HOME: LazyLock<Regex> =
    LazyLock::new(|| pattern(concat!(r#"(^|[\s"'=:(`])/(home/[a-z]|Users/[A-Z]|wo"#, r#"rk/)"#)));
static PINNED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v[0-9][0-9.]*$"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is valid")
}

/// A Rust file of `src/` or `tests/`.
pub(crate) fn rust_source(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > RUST_LINES_MAX {
        found.push(format!(
            "{name}: {lines} lines, at most {RUST_LINES_MAX}: split it by idea"
        ));
    }
    let tokens = tokens(text);
    for (at, token) in tokens.iter().enumerate() {
        let before = |kind: Kind| at > 0 && tokens[at - 1].kind == kind;
        let after = |kind: Kind| tokens.get(at + 1).is_some_and(|next| next.kind == kind);
        let Kind::Word(word) = &token.kind else { continue };
        if UNFINISHED.contains(&word.as_str()) && after(Kind::Mark('!')) {
            found.push(format!("{name}:{}: `{word}!` marks unfinished work", token.line));
        }
        if word == "ignore" && before(Kind::Open('[')) {
            found.push(format!(
                "{name}:{}: an ignored test proves nothing: mend it or remove it",
                token.line
            ));
        }
    }
    if !SLEEPERS.iter().any(|(sleeper, _)| *sleeper == name) {
        found.extend(sleeps(name, &tokens));
    }
    found
}

/// Calls of a sleep in code that is compiled for tests only.
fn sleeps(name: &str, tokens: &[Token]) -> Vec<String> {
    let in_test = test_only(tokens);
    let is_test_file = name.starts_with("tests/") || name.ends_with("/tests.rs");
    let calls = (1..tokens.len()).filter(|at| {
        let sleeps = tokens[at - 1].is_word("sleep") || tokens[at - 1].is_word("sleep_until");
        sleeps && tokens[*at].kind == Kind::Open('(') && (in_test[*at] || is_test_file)
    });
    calls
        .map(|at| {
            format!(
                "{name}:{}: a test waits for the event it means and never for time to pass",
                tokens[at].line
            )
        })
        .collect()
}

/// Any text file.
pub(crate) fn text(name: &str, text: &str) -> Vec<String> {
    // A recording or a guest's file is as it is.
    let is_given = name.starts_with("fixtures/") || has_extension(name, "snap");
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let at = format!("{name}:{}", index + 1);
        if LEFTOVER.is_match(line) {
            found.push(format!("{at}: an open end: file an issue and say what holds today"));
        }
        if HOME.is_match(line) && !is_given {
            found.push(format!("{at}: a path of one person's machine"));
        }
        if line.ends_with([' ', '\t']) && !is_given {
            found.push(format!("{at}: blanks at the end of the line"));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') && !is_given {
        found.push(format!("{name}: the last line has no end"));
    }
    found
}

/// A file that begins with `#!`, and its mode.
pub(crate) fn script(name: &str, text: &str, mode: u32) -> Vec<String> {
    let mut found = Vec::new();
    let first = text.lines().next().unwrap_or_default();
    if mode & 0o111 == 0 {
        found.push(format!(
            "{name}: begins with `#!` and is not executable: chmod +x {name}"
        ));
    }
    if first.contains("bash") {
        if first != "#!/usr/bin/env bash" {
            found.push(format!("{name}: begins with {first:?}, not `#!/usr/bin/env bash`"));
        }
        if !text.lines().any(|line| line == "set -euo pipefail") {
            found.push(format!("{name}: has no line `set -euo pipefail`"));
        }
    }
    found
}

/// What a release needs, job by job: to sign its provenance, and to be made.
const RELEASE_WRITES: &[&str] = &["id-token: write", "attestations: write", "contents: write"];

/// A hosted workflow.
pub(crate) fn workflow(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut jobs = 0;
    let mut limited_jobs = 0;
    let mut checkouts = 0;
    let mut dropped_credentials = 0;
    for (index, line) in text.lines().enumerate() {
        let step = line.trim_start().trim_start_matches("- ");
        if let Some(action) = step.strip_prefix("uses: ") {
            if !PINNED.is_match(action) {
                found.push(format!(
                    "{name}:{}: `{action}` is not pinned as OWNER/NAME@SHA # vVERSION",
                    index + 1
                ));
            }
            checkouts += usize::from(action.starts_with("actions/checkout@"));
        }
        dropped_credentials += usize::from(step == "persist-credentials: false");
        jobs += usize::from(line.starts_with("    runs-on:"));
        limited_jobs += usize::from(line.starts_with("    timeout-minutes:"));
        let is_ours = name.ends_with("/release.yml") && RELEASE_WRITES.contains(&step);
        if (step.ends_with(": write") && !is_ours) || step == "permissions: write-all" {
            found.push(format!("{name}:{}: no job needs a right to write", index + 1));
        }
    }
    if !text.contains("\npermissions:\n  contents: read\n") {
        found.push(format!(
            "{name}: has no top-level `permissions:` of `contents: read` alone"
        ));
    }
    if checkouts != dropped_credentials {
        found.push(format!(
            "{name}: {checkouts} checkouts, {dropped_credentials} `persist-credentials: false`"
        ));
    }
    if jobs == 0 || jobs != limited_jobs {
        found.push(format!("{name}: {jobs} jobs, {limited_jobs} with `timeout-minutes`"));
    }
    if !text.contains("\nconcurrency:\n") {
        found.push(format!("{name}: has no `concurrency:`, so an outdated run goes on"));
    }
    found
}
