//! A guest that writes a hundred megabytes of everything that could act. Each place that shows something of it stays well-formed
//! and short, even if nobody has cut it before. (That the console's reader keeps up with it in bounded memory:
//! `tests/hostile_flood.rs`; what a whole run makes of it: `tests/fake_qemu/flood.rs`.)

use std::path::Path;
use std::process::Command;

use bootgate::machine::{Class, Record, State};
use bootgate::report::{Ci, verdict_block};
use proptest::prelude::*;

use crate::ci::{commands_of, log_of, saying, summary_of};
use crate::ci_log::{assert_harmless, github};
use crate::forms::plan;
use crate::hostile::{Harm, stretch};
use crate::oracles::{assert_junit, assert_markdown, assert_page, shape};
use crate::{RUN, junit};

const MIB: usize = 1024 * 1024;
const LOG_BYTES: usize = 100 * MIB;
/// The most that a page of two such logs may have: the ends of both, where each line feed and each escape sequence takes more
/// room than in the file.
const PAGE_BYTES_MAX: usize = 120 * MIB;
/// The most of a screen, in characters: a terminal, or a CI job's log.
const BLOCK_CHARS_MAX: usize = 100_000;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::with_cases(1) })]

    #[test]
    fn the_page_of_a_hundred_megabytes_has_an_end_and_its_shape(harm in prop::sample::select(Harm::ALL.to_vec()), seed: [u8; 32]) {
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
            let mut report = Command::new(env!("CARGO_BIN_EXE_bootgate"));
            let output = report.arg("report").arg(run.path()).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            std::fs::read_to_string(run.path().join("report.html")).unwrap()
        };
        let stretch = stretch(harm, seed);
        let quiet = page_of(b"quiet\n");
        let noisy = page_of(&stretch.repeat(LOG_BYTES / stretch.len() + 1));
        prop_assert!(noisy.len() <= PAGE_BYTES_MAX, "{} bytes", noisy.len());
        prop_assert_eq!(shape(&quiet), shape(&noisy));
        assert_page(&noisy);
    }

    #[test]
    fn every_other_place_has_an_end(harm in prop::sample::select(Harm::ALL.to_vec()), seed: [u8; 32]) {
        // What reaches them of a console is its last lines, each of them bounded; here they are not.
        let noise = String::from_utf8_lossy(&stretch(harm, seed)).into_owned();
        let mut outcome = saying(Class::Failed, &noise);
        outcome.console_tail = vec![noise.clone(); LOG_BYTES / noise.len() + 1];
        let block = verdict_block(&plan(), &outcome, Path::new(RUN));
        assert_harmless("verdict", &block);
        prop_assert!(block.chars().count() < BLOCK_CHARS_MAX, "{} characters", block.chars().count());
        assert_markdown(&summary_of(&outcome));
        let commands = commands_of(&outcome).join("\n");
        prop_assert!(commands.len() < BLOCK_CHARS_MAX, "{} bytes", commands.len());
        prop_assert!(github(&commands).iter().all(|it| ["error", "warning"].contains(&it.name.as_str())));
        let junit = junit::of(&outcome);
        assert_junit(&junit, RUN);
        prop_assert!(junit.len() < 200 * 1024, "{} bytes", junit.len());
        let note = Record::Note {
            state: State::Booting,
            what: "note",
            detail: noise,
            evidence: outcome.verdict.evidence.clone(),
        };
        for ci in [Ci::Github, Ci::Gitlab, Ci::Plain] {
            let log = log_of(ci, std::slice::from_ref(&note));
            assert_harmless("records", &log);
            prop_assert!(log.chars().count() < 2000 && log.lines().count() == 1, "{} characters", log.chars().count());
        }
    }
}
