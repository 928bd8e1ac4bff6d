//! A guest that writes a hundred megabytes of everything that could act. Each place that shows something of it stays well-formed
//! and short. (That the console's reader keeps up with it in bounded memory: `tests/hostile_flood.rs`.)

use std::path::Path;
use std::process::Command;

use bootgate::machine::{Class, Record, State};
use bootgate::report::{Ci, verdict_block};

use crate::ci::{assert_sane, commands_of, log_of, saying, summary_of};
use crate::ci_log::{assert_harmless, github};
use crate::forms::{HOSTILE, plan};
use crate::page::elements;
use crate::{RUN, junit};

const MIB: usize = 1024 * 1024;
const LOG_BYTES: usize = 100 * MIB;
/// The most that a page of two such logs may have: the ends of both, where each line feed and each escape sequence takes more
/// room than in the file.
const PAGE_BYTES_MAX: u64 = 120 * MIB as u64;
/// The most of a screen, in characters: a terminal, or a CI job's log.
const BLOCK_CHARS_MAX: usize = 100_000;

/// One stretch of the noise: lines, and one that is long.
fn stretch() -> Vec<u8> {
    let line = format!(
        "{HOSTILE}<script>x()</script></script><!--</pre>\u{1b}[31m::error::no ##[group]x section_start:1:a\r\u{1b}[0K```|`\r\n"
    );
    let mut noise = line.repeat(500).into_bytes();
    noise.extend(b"\xff\xfe\x00\x9b2J".repeat(200));
    noise.extend(b"x".repeat(64 * 1024));
    noise
}

#[test]
fn the_page_of_a_hundred_megabytes_has_an_end_and_its_shape() {
    let run = tempfile::tempdir().unwrap();
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/runs/kernel-panic");
    for name in ["run.json", "result.json", "trace.jsonl"] {
        std::fs::copy(recording.join(name), run.path().join(name)).unwrap();
    }
    std::fs::create_dir(run.path().join("ssh")).unwrap();
    let page_of = |log: &[u8]| {
        for name in ["serial.log", "ssh/install.log"] {
            std::fs::write(run.path().join(name), log).unwrap();
        }
        let output = Command::new(env!("CARGO_BIN_EXE_bootgate"))
            .arg("report")
            .arg(run.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let page = run.path().join("report.html");
        (
            std::fs::metadata(&page).unwrap().len(),
            std::fs::read_to_string(&page).unwrap(),
        )
    };
    let stretch = stretch();
    let (_, quiet) = page_of(b"quiet\n");
    let (size_bytes, noisy) = page_of(&stretch.repeat(LOG_BYTES / stretch.len() + 1));
    assert!(size_bytes <= PAGE_BYTES_MAX, "{size_bytes} bytes");
    // Links to lines that are not on the page any more are missing; nothing else differs.
    let parts = |page: &str| {
        let wanted = [
            "script", "/script", "section", "/section", "h2", "svg", "table", "main", "/main", "style",
        ];
        let names = elements(page).into_iter().filter(|name| wanted.contains(name));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(parts(&quiet), parts(&noisy));
    let acts = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert_eq!(noisy.chars().find(|c| acts(*c)), None);
}

#[test]
fn every_other_place_has_an_end() {
    // What reaches them of a console is its last lines, each of them bounded; here they are not.
    let noise = String::from_utf8_lossy(&stretch()).into_owned();
    let mut outcome = saying(Class::Failed, &noise);
    outcome.console_tail = vec![noise.clone(); 40];
    let block = verdict_block(&plan(), &outcome, Path::new(RUN));
    assert_harmless("verdict", &block);
    assert!(
        block.chars().count() < BLOCK_CHARS_MAX,
        "{} characters",
        block.chars().count()
    );
    assert_sane(&summary_of(&outcome));
    let commands = commands_of(&outcome).join("\n");
    assert!(commands.len() < BLOCK_CHARS_MAX, "{} bytes", commands.len());
    assert!(
        github(&commands)
            .iter()
            .all(|it| ["error", "warning"].contains(&it.name.as_str()))
    );
    assert!(junit::of(&outcome).len() < 200 * 1024);
    let note = Record::Note {
        state: State::Booting,
        what: "note",
        detail: noise,
        evidence: outcome.verdict.evidence.clone(),
    };
    for ci in [Ci::Github, Ci::Gitlab, Ci::Plain] {
        let log = log_of(ci, std::slice::from_ref(&note));
        assert_harmless("records", &log);
        assert!(
            log.chars().count() < 2000 && log.lines().count() == 1,
            "{} characters",
            log.chars().count()
        );
    }
}
