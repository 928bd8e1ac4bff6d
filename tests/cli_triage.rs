//! `bootgate triage` as a user sees it.

mod cli_support;

use std::path::Path;

use cli_support::{Gate, bootgate, run, see};

const RULE: &str = r#"
[[rule]]
id = "our-known-failure"
class = "known-failure"
cause = "our-cause"
fatal = true
sources = ["command-output"]
text = "our step failed"
title = "Our step failed"
root-cause = "It is broken."
remedy = "Publish all the same."
tracker = "https://example.org/issues/1"
publishable = true
expires = 2999-01-01
matches = ["x: our step failed"]
ignores = ["x: our step went well"]
"#;

fn folder(files: &[(&str, &str)]) -> Gate {
    let gate = Gate::new("");
    for (name, text) in files {
        gate.file(name, text.as_bytes());
    }
    gate
}

#[test]
fn the_users_logs_name_cause_root_cause_and_remedy() {
    let logs = [
        "enospc-e2e-ci.log",
        "hostname-known.log",
        "hostname-not-complete.log",
        "squashfs-build.log",
    ];
    let paths: Vec<_> = logs.iter().map(|log| format!("fixtures/triage/{log}")).collect();
    let seen = run(std::iter::once("triage").chain(paths.iter().map(String::as_str)));
    insta::assert_snapshot!(seen.page(&[]));
}

#[test]
fn the_exit_code_is_that_of_what_would_decide_the_worst_log() {
    for (logs, code) in [
        (&["hostname-known.log"][..], 3),
        (&["squashfs-build.log"], 4),
        (&["hostname-known.log", "squashfs-build.log"], 4),
        (&["hostname-known.log", "hostname-not-complete.log"], 1),
    ] {
        let paths: Vec<_> = logs.iter().map(|log| format!("fixtures/triage/{log}")).collect();
        let seen = run(std::iter::once("triage").chain(paths.iter().map(String::as_str)));
        assert_eq!(seen.code, Some(code), "{logs:?}");
    }
    assert_eq!(run(["triage", "fixtures/serial/debian-12/clean.bin"]).code, Some(0));
    assert_eq!(
        run(["triage", "fixtures/serial/ovmf/network.bin"]).code,
        Some(0),
        "notes are no failure"
    );
    assert_eq!(run(["triage", "no-such.log"]).code, Some(2));
}

#[test]
fn a_source_is_all_that_a_log_is_taken_for() {
    let log = "fixtures/triage/squashfs-build.log";
    assert_eq!(
        run(["triage", log, "--source", "serial"]).code,
        Some(1),
        "a full disk, on a console"
    );
    assert_eq!(run(["triage", log, "--source", "qmp"]).code, Some(0));
    let refused = run(["triage", log, "--source", "cause"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("the sources are serial, command-output"),
        "{}",
        refused.stderr
    );
}

#[test]
fn standard_input_is_a_log_and_hostile_bytes_are_only_shown() {
    let hostile =
        b"\x1b]0;owned\x07##[group]x ::error::y \xff\xe2\x80\xae Kernel panic - not syncing: Fatal exception\n";
    let folder = folder(&[]);
    let path = folder.file("log", hostile);
    let mut command = bootgate(["triage", "-"]);
    command.stdin(std::fs::File::open(path).unwrap());
    let seen = see(&mut command);
    assert_eq!(seen.code, Some(1));
    assert!(seen.stdout.contains("kernel-panic-exception"), "{}", seen.stdout);
    assert!(
        !seen.stdout.contains(['\x1b', '\x07', '\u{202e}']) && !seen.stdout.contains("##["),
        "{:?}",
        seen.stdout
    );
    let json = run(["triage", "--json", folder.path().join("log").to_str().unwrap()]);
    assert!(json.stdout.is_ascii(), "{:?}", json.stdout);
    let finding = &json.json()["logs"][0]["findings"][0];
    assert_eq!(
        (&finding["decides"], &finding["evidence"][0]["offset_bytes"]),
        (&true.into(), &10.into())
    );
}

#[test]
fn rules_of_ones_own_come_first() {
    let folder = folder(&[
        ("rules.toml", RULE),
        ("job.log", "no space left on device\nx: our step failed\n"),
    ]);
    let arguments = ["triage", "job.log", "--rules", "rules.toml"];
    let seen = see(bootgate(arguments).current_dir(folder.path()));
    insta::assert_snapshot!(seen.page(&[]));
}

#[test]
fn an_expired_rule_knows_nothing_and_says_so() {
    let rule = RULE.replace("2999-01-01", "2020-01-01");
    let folder = folder(&[("rules.toml", &rule), ("job.log", "x: our step failed\n")]);
    let arguments = ["triage", "job.log", "--rules", "rules.toml"];
    let seen = see(bootgate(arguments).current_dir(folder.path()));
    assert_eq!(seen.code, Some(1), "not a known failure any more");
    insta::assert_snapshot!(seen.page(&[]));
    let lint = see(bootgate(["triage", "--lint", "rules.toml"]).current_dir(folder.path()));
    assert_eq!(lint.code, Some(1));
    assert!(
        lint.stdout
            .contains("rules.toml:2: the rule `our-known-failure` has expired on 2020-01-01"),
        "{}",
        lint.stdout
    );
}

#[test]
fn mistakes_in_a_rules_file_have_places() {
    let rules = RULE
        .replace("expires = 2999-01-01\n", "")
        .replace(
            "text = \"our step failed\"",
            "steps = [{ text = \"a\", within = \"1KiB\" }, { rule = \"kernel-panik\" }]",
        )
        .replace("title", "tittle");
    let again = RULE
        .replace("our-known-failure", "kernel-panic")
        .replace("2999-01-01", "\"2999-01-01\"");
    let folder = folder(&[("rules.toml", &format!("{rules}{again}{RULE}{RULE}"))]);
    let seen = see(bootgate(["triage", "--lint", "rules.toml"]).current_dir(folder.path()));
    insta::assert_snapshot!(seen.page(&[]));
    let rules = RULE.replace(
        "text = \"our step failed\"",
        "steps = [{ rule = \"kernel-panik\" }, { rule = \"tmpdir-not-honoured\" }]",
    );
    folder.file("rules.toml", rules.as_bytes());
    let seen = see(bootgate(["triage", "--lint", "rules.toml"]).current_dir(folder.path()));
    for part in [
        "there is no rule `kernel-panik`",
        "did you mean `kernel-panic`?",
        "`tmpdir-not-honoured` is not one of a single line",
    ] {
        assert!(seen.stderr.contains(part), "{}", seen.stderr);
    }
}

#[test]
fn rules_that_do_not_prove_themselves_are_named() {
    let change = |id: &str, from: &str, to: &str| {
        assert!(RULE.contains(from));
        RULE.replace("our-known-failure", id).replace(from, to)
    };
    let rules = [
        change(
            "no-fixtures",
            "matches = [\"x: our step failed\"]\nignores = [\"x: our step went well\"]\n",
            "",
        ),
        change("misses-its-own", "\"x: our step failed\"", "\"x: our stop failed\""),
        change(
            "finds-too-much",
            "\"x: our step went well\"",
            "\"our step failed to matter\"",
        ),
        change("shadowed", "fatal = true\n", ""),
        change(
            "greedy",
            "text = \"our step failed\"",
            "regex = '(our step|no space|mkfs).* (failed|left|found)'",
        ),
        change("no-file", "\"x: our step went well\"", "{ file = \"missing.log\" }"),
    ];
    let folder = folder(&[("rules.toml", &rules.concat())]);
    let seen = see(bootgate(["triage", "--lint", "rules.toml"]).current_dir(folder.path()));
    insta::assert_snapshot!(seen.page(&[]));
}

#[test]
fn the_built_in_rules_are_listed_and_lint_clean() {
    let list = run(["triage", "--list"]);
    assert_eq!(list.code, Some(0));
    assert!(
        list.stdout
            .lines()
            .any(|line| line.contains("(expires 2027-06-30)") && line.contains("yes"))
    );
    let json = run(["triage", "--list", "--json"]).json();
    assert_eq!(json.as_array().unwrap().len(), list.stdout.lines().count() - 1);
    let lint = run(["triage", "--lint", "--json"]).json();
    let wrong = lint["problems"].as_array().unwrap();
    let expiry = |problem: &serde_json::Value| problem["problem"].as_str().unwrap().contains("expire");
    assert!(wrong.iter().all(expiry), "{lint}");
}

#[test]
fn a_gate_brings_rules_along_and_they_are_checked() {
    let gate = std::fs::read_to_string(Path::new(cli_support::ROOT).join("fixtures/gates/tiny-install.toml")).unwrap();
    let gate = format!("{gate}\n[triage]\nrules = [\"ours.toml\"]\n");
    let check = |rules: Option<&str>| {
        let files: Vec<_> = std::iter::once(("gate.toml", gate.as_str()))
            .chain(rules.map(|rules| ("ours.toml", rules)))
            .collect();
        let folder = folder(&files);
        let seen = see(bootgate(["check", "gate.toml"]).current_dir(folder.path()));
        (seen.code, seen.stderr)
    };
    let (code, stderr) = check(Some(RULE));
    assert!(code == Some(0) && !stderr.contains("our-known-failure"), "{stderr}");
    let (code, stderr) = check(None);
    assert!(
        code == Some(2) && stderr.contains("the rules file `ours.toml` does not exist"),
        "{stderr}"
    );
    let (code, stderr) = check(Some(&RULE.replace("known-failure\"\ncause", "unknown\"\ncause")));
    assert!(code == Some(2) && stderr.contains("--> ours.toml:4:9"), "{stderr}");
    let (code, stderr) = check(Some(&RULE.replace("x: our step failed", "x")));
    assert!(
        code == Some(2)
            && stderr.contains("ours.toml:2: the rule `our-known-failure` finds nothing in its own fixture"),
        "{stderr}"
    );
    let (code, stderr) = check(Some(&RULE.replace("2999-01-01", "2020-01-01")));
    assert!(
        code == Some(0) && stderr.contains("warning: the rule `our-known-failure` has expired on 2020-01-01"),
        "{stderr}"
    );
}
