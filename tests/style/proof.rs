//! The checks themselves are able to fail.

use crate::files::{rust_source, script, text, workflow};
use crate::fixtures::dead;

#[track_caller]
fn one(complaints: &[String], expected: &str) {
    assert!(
        complaints.len() == 1 && complaints[0].contains(expected),
        "expected one line with {expected:?}, got {complaints:#?}"
    );
}

#[track_caller]
fn none(complaints: &[String]) {
    assert_eq!(complaints, Vec::<String>::new());
}

#[test]
fn a_long_or_unfinished_source_is_found() {
    one(&rust_source("src/a.rs", &"\n".repeat(401)), "401 lines");
    none(&rust_source("src/a.rs", &"\n".repeat(400)));
    one(&rust_source("src/a.rs", "fn f() {\n    todo!()\n}"), "src/a.rs:2");
    one(
        &rust_source("tests/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}"),
        "tests/a.rs:2",
    );
    none(&rust_source(
        "src/a.rs",
        "/// Not `dbg!` in a text.\nconst A: &str = \"todo!\";",
    ));
}

#[test]
fn a_test_that_sleeps_is_found() {
    let sleeps = "fn f() { tokio::time::sleep(SECOND).await; }";
    one(&rust_source("tests/a.rs", sleeps), "never for time to pass");
    one(
        &rust_source("src/a.rs", &format!("#[cfg(test)] mod tests {{ {sleeps} }}")),
        "never for time to pass",
    );
    one(&rust_source("src/a/tests.rs", sleeps), "never for time to pass");
    none(&rust_source("src/a.rs", sleeps));
}

#[test]
fn a_leftover_is_found() {
    one(
        &text("src/a.rs", &["// FIX", "ME: later\n"].concat()),
        "src/a.rs:1: an open end",
    );
    one(
        &text("Makefile", &["X = /ho", "me/someone/x\n"].concat()),
        "Makefile:1: a path",
    );
    one(&text("README.md", "two \n"), "blanks");
    one(&text("README.md", "two"), "no end");
    none(&text(".ci/run", "mktemp -d x.XXXXXX\n"));
}

#[test]
fn a_careless_script_is_found() {
    let start = "#!/usr/bin/env bash\nset -euo pipefail\n";
    none(&script("a.sh", start, 0o755));
    one(&script("a.sh", start, 0o644), "not executable");
    one(
        &script("a.sh", "#!/usr/bin/env bash\nset -e\n", 0o755),
        "set -euo pipefail",
    );
    one(
        &script("a.sh", "#!/bin/bash\nset -euo pipefail\n", 0o755),
        "begins with",
    );
    none(&script("init", "#!/bin/sh\n", 0o755));
}

#[test]
fn a_loose_workflow_is_found() {
    let sha = "0123456789abcdef0123456789abcdef01234567";
    let tight = format!(
        "name: a\npermissions:\n  contents: read\nconcurrency:\n  group: a\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    \
         timeout-minutes: 5\n    steps:\n      - uses: actions/checkout@{sha} # v1.2.3\n        with:\n          \
         persist-credentials: false\n"
    );
    none(&workflow("a.yml", &tight));
    one(
        &workflow("a.yml", &tight.replace(&format!("{sha} # v1.2.3"), "v1")),
        "is not pinned",
    );
    one(
        &workflow("a.yml", &tight.replace("contents: read", "contents: read-all")),
        "permissions",
    );
    one(
        &workflow("a.yml", &tight.replace("concurrency", "other")),
        "concurrency",
    );
    one(
        &workflow("a.yml", &tight.replace("persist-credentials: false", "a: b")),
        "persist-credentials",
    );
    one(
        &workflow("a.yml", &tight.replace("    timeout-minutes: 5\n", "")),
        "timeout-minutes",
    );
    one(
        &workflow("a.yml", &format!("{tight}    permissions:\n      issues: write\n")),
        "right to write",
    );
    let signs = format!("{tight}    permissions:\n      id-token: write\n");
    one(&workflow(".github/workflows/a.yml", &signs), "right to write");
    none(&workflow(".github/workflows/release.yml", &signs));
}

#[test]
fn a_dead_fixture_is_found() {
    let files = |texts: &[(&str, &str)]| -> Vec<(String, String)> {
        texts
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    };
    let fixture = ("fixtures/gates/bad/no-image.toml", "no-image.toml");
    one(&dead(&files(&[fixture])), "no-image.toml");
    one(&dead(&files(&[fixture, ("Cargo.toml", "gates/bad")])), "no-image.toml");
    none(&dead(&files(&[
        fixture,
        ("tests/gates.rs", "read(\"fixtures/gates/bad\")"),
    ])));
    none(&dead(&files(&[
        fixture,
        ("fixtures/README.md", "`no-image.toml` lacks its image"),
    ])));
}
