//! Readers that go away and disks that are full, at the other end of standard output.

mod cli_support;

use std::fs::File;
use std::io::pipe;
use std::process::Stdio;

use bootgate::evidence::RunDir;
use cli_support::{bootgate, see};
use jiff::Timestamp;

const COMMANDS: [&[&str]; 10] = [
    &["--help"],
    &["check", "fixtures/gates/tiny-install.toml"],
    &["check", "fixtures/gates/tiny-install.toml", "--json"],
    &["check", "fixtures/gates/bad/12-unknown-key-near.toml", "--json"],
    &["doctor"],
    &["doctor", "--json"],
    &["diagram"],
    &["trace"],
    &["reap"],
    &["reap", "--json"],
];

/// A stream whose reader has gone away.
fn closed() -> Stdio {
    let (reader, writer) = pipe().expect("a pipe can be made");
    drop(reader);
    writer.into()
}

#[test]
fn no_command_breaks_when_its_reader_goes_away() {
    let root = tempfile::tempdir().expect("a directory");
    drop(RunDir::create(root.path(), "gate", Timestamp::now()).expect("a run directory"));
    for arguments in COMMANDS {
        let with_runs = || {
            let mut command = bootgate(arguments);
            // Nothing to ask: QEMU's answers take their time and matter to no stream.
            command.env("BOOTGATE_RUNS", root.path()).env("PATH", root.path());
            command
        };
        let whole = see(&mut with_runs());
        let cut = see(with_runs().stdout(closed()));
        assert_eq!(cut.code, whole.code, "{arguments:?}: {}", cut.stderr);
        assert!(!cut.stderr.contains("panicked"), "{}", cut.stderr);
        let deaf = with_runs().stdout(closed()).stderr(closed()).status();
        assert_eq!(deaf.expect("bootgate starts").code(), whole.code, "{arguments:?}");
    }
}

#[test]
fn an_answer_that_is_lost_is_no_success() {
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has /dev/full");
    let seen = see(bootgate(["diagram"]).stdout(full));
    insta::assert_snapshot!(seen.page(&[]), @r"
    --- stderr
    error: standard output can't be written: No space left on device (os error 28)
    --- exit 4
    ");
}
