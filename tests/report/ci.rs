//! What a CI job is told, held against the parsers of the systems that read it.

use std::path::Path;

use bootgate::driver::Outcome;
use bootgate::machine::{Class, EvidenceRef, Record, StageOutcome};
use bootgate::report::{
    ANNOTATIONS_MAX, Annotation, Ci, Closing, Groups, SUMMARY_BYTES_MAX, annotations, outputs, record_line,
    refused_summary, step_outputs, summary, verdict_block,
};
use bootgate::text::Untrusted;
use proptest::prelude::*;

use crate::ci_log::{acts, assert_harmless, github, gitlab};
use crate::forms::{HOSTILE, plan, records};
use crate::hostile::{text, text_of_any_length};
use crate::oracles::assert_markdown;
use crate::outcomes::outcome;
use crate::{RUN, all_classes};

/// The most characters of a record's line, and of the last words of a run.
const LINE_CHARS_MAX: usize = 1000;
const BLOCK_CHARS_MAX: usize = 24 * 80 + 5 * 1200;
/// The most bytes of an annotation: six lines of 1200 characters of up to four bytes, of which `%` takes three.
const COMMAND_BYTES_MAX: usize = 32 * 1024;

/// The gate file whose lines are marked; its stages are those of the plan.
const GATE_FILE: &str = r#"gate = "representative"

[[stage]]
name = "boot-live"

[[stage]]
name = "export"
kind = "command"
fail = ["fatal"]

[[stage]]
name = "install"

[[stage]]
name = "installed"
"#;

fn closing<'a>(plan: &'a bootgate::plan::Plan, outcome: &'a Outcome) -> Closing<'a> {
    Closing {
        plan,
        gate_file: GATE_FILE,
        outcome,
        run: Path::new(RUN),
        bundle: None,
    }
}

pub(crate) fn summary_of(outcome: &Outcome) -> String {
    summary(&closing(&plan(), outcome))
}

pub(crate) fn commands_of(outcome: &Outcome) -> Vec<String> {
    let (plan, file) = (plan(), "gates/100%,x:y.toml");
    let marks = annotations(&closing(&plan, outcome), file);
    marks.iter().map(Annotation::to_command).collect()
}

/// The lines of a run as a job's log has them.
pub(crate) fn log_of(ci: Ci, records: &[Record]) -> String {
    let mut groups = Groups::new(ci);
    let mut log = String::new();
    for record in records {
        let before = groups.before(&plan(), record, 1_767_323_045);
        let line = record_line(&plan(), std::time::Duration::ZERO, record);
        let after = groups.after(record, 1_767_323_046);
        for line in before.into_iter().chain(line).chain(after) {
            log.push_str(&line);
            log.push('\n');
        }
    }
    log
}

#[test]
fn the_page_for_each_class() {
    for class in [Class::Failed, Class::KnownFailure, Class::Passed] {
        insta::assert_snapshot!(format!("summary_{}", class.as_str()), summary_of(&outcome(class)));
    }
}

#[test]
fn the_marks_beside_the_gate_file() {
    let all: Vec<_> = all_classes()
        .into_iter()
        .flat_map(|class| commands_of(&outcome(class)))
        .collect();
    insta::assert_snapshot!("annotations", all.join("\n"));
    let first = &github(&commands_of(&outcome(Class::Failed))[0])[0];
    let of = |key: &str| first.properties.iter().find(|(name, _)| name == key).unwrap().1.clone();
    assert_eq!((of("file").as_str(), of("line").as_str()), ("gates/100%,x:y.toml", "9"));
    assert_eq!(first.name, "error");
    assert!(first.data.contains("Read") && first.data.contains(RUN), "{first:?}");
    let known = &github(&commands_of(&outcome(Class::KnownFailure))[0])[0];
    assert_eq!(known.name, "warning");
    assert!(
        commands_of(&outcome(Class::Passed))
            .iter()
            .all(|line| line.starts_with("::warning "))
    );
}

#[test]
fn no_more_annotations_than_the_runner_shows() {
    let mut outcome = outcome(Class::Failed);
    outcome.reports[0].remarks = vec!["again".to_owned(); 100];
    assert_eq!(commands_of(&outcome).len(), ANNOTATIONS_MAX);
}

#[test]
fn each_stage_folds() {
    let (plan, mut records) = (plan(), records());
    records.push(Record::StageEnded {
        stage: 1,
        outcome: StageOutcome::Failed,
        reached: None,
    });
    let names: Vec<_> = github(&log_of(Ci::Github, &records))
        .into_iter()
        .map(|it| (it.name, it.data))
        .collect();
    let group = |name: &str, data: String| (name.to_owned(), data);
    let title = format!("stage {}", plan.stages[0].name);
    assert_eq!(names, [group("group", title), group("endgroup", String::new())]);
    assert_eq!(
        gitlab(&log_of(Ci::Gitlab, &records)),
        ["start boot-live", "end boot-live"]
    );
    assert_harmless("plain", &log_of(Ci::Plain, &records));
    insta::assert_snapshot!("log_github", log_of(Ci::Github, &records));
    insta::assert_snapshot!(
        "log_gitlab",
        log_of(Ci::Gitlab, &records)
            .replace('\r', "<CR>")
            .replace('\u{1b}', "<ESC>")
    );
}

#[test]
fn a_stage_that_never_ends_does_not_swallow_the_verdict() {
    let began = Record::StageBegan { stage: 1 };
    let decided = Record::Decided(Box::new(outcome(Class::Failed).verdict));
    let names: Vec<_> = github(&log_of(Ci::Github, &[began, decided]))
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names, ["group", "endgroup"]);
}

#[test]
fn the_outputs_of_a_step() {
    let (plan, outcome) = (plan(), outcome(Class::Failed));
    let values = step_outputs(&closing(&plan, &outcome));
    insta::assert_snapshot!("outputs", outputs(&values, "NONCE"));
}

/// A reader of the file of outputs, as the runner's (actions/runner:src/Runner.Worker/FileCommandManager.cs).
fn read_outputs(text: &str) -> Vec<(String, String)> {
    let mut lines = text.split_inclusive('\n');
    let mut read = Vec::new();
    while let Some(line) = lines.next() {
        let (name, delimiter) = line.trim_end_matches('\n').split_once("<<").unwrap();
        let mut value = String::new();
        loop {
            let line = lines.next().expect("a value has an end");
            if line.trim_end_matches('\n') == delimiter {
                break;
            }
            value.push_str(line);
        }
        value.truncate(value.len().saturating_sub(1));
        read.push((name.to_owned(), value));
    }
    read
}

#[test]
fn the_page_is_bounded_and_whole() {
    let mut outcome = outcome(Class::Failed);
    outcome.reports[0].remarks = vec!["`".repeat(4000); 100];
    // Each of these lines is shown with 200 characters: together they are more than the page may have.
    outcome.console_tail = vec!["x`".repeat(150); SUMMARY_BYTES_MAX / 200];
    let page = summary_of(&outcome);
    assert!(page.len() <= SUMMARY_BYTES_MAX, "{}", page.len());
    assert!(page.contains("does not fit") && page.contains("more\n"));
    let remarks = page.split("**Remarks**\n\n").nth(1).unwrap();
    assert_eq!(
        remarks.split("- and ").next().unwrap().lines().count(),
        40,
        "the others are counted"
    );
    assert_markdown(&page);
}

/// The outcome of a run whose guest, whose rules and whose gate say this wherever they can.
pub(crate) fn saying(class: Class, text: &str) -> Outcome {
    let mut outcome = outcome(class);
    let verdict = &mut outcome.verdict;
    text.clone_into(&mut verdict.detail);
    text.clone_into(&mut verdict.title);
    text.clone_into(&mut verdict.remedy);
    let quoted = EvidenceRef {
        file: text.to_owned(),
        offset_bytes: Some(1),
        quote: Some(Untrusted::new(text.as_bytes())),
    };
    verdict.evidence = Some(quoted.clone());
    if let Some(rule) = &mut verdict.rule {
        text.clone_into(&mut rule.root_cause);
        rule.tracker = Some(text.to_owned());
    }
    outcome.reports[0].remarks = vec![text.to_owned()];
    outcome.reports[0].findings[0].evidence = quoted;
    text.clone_into(&mut outcome.reports[0].findings[0].rule.title);
    outcome.console_tail = vec![text.to_owned()];
    outcome
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_log_holds_no_command_but_ours(text in text_of_any_length()) {
        let outcome = saying(Class::KnownFailure, &text);
        let block = verdict_block(&plan(), &outcome, Path::new(RUN));
        assert_harmless("verdict", &block);
        prop_assert!(block.chars().count() < BLOCK_CHARS_MAX, "{}", block);
        let commands = commands_of(&outcome);
        for command in &commands {
            prop_assert_eq!(command.lines().count(), 1, "{}", command);
        }
        let obeyed = github(&commands.join("\n"));
        prop_assert!(obeyed.iter().all(|it| it.name == "warning"), "{:?}", obeyed);
        prop_assert_eq!(obeyed.len(), commands.len());
        prop_assert!(commands.iter().all(|command| command.len() < COMMAND_BYTES_MAX));
        let keys = |it: &crate::ci_log::Obeyed| it.properties.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
        prop_assert!(obeyed.iter().all(|it| keys(it) == ["file", "line", "col", "title"]), "{:?}", obeyed);
        let note = Record::Note {
            state: bootgate::machine::State::Booting,
            what: "note",
            detail: text.clone(),
            evidence: outcome.verdict.evidence.clone(),
        };
        for ci in [Ci::Github, Ci::Gitlab, Ci::Plain] {
            let log = log_of(ci, std::slice::from_ref(&note));
            assert_harmless("records", &log);
            prop_assert!(log.chars().count() < LINE_CHARS_MAX && log.lines().count() == 1, "{}", log);
        }
    }

    #[test]
    fn a_page_holds_no_structure_but_ours(text in text_of_any_length()) {
        for class in [Class::KnownFailure, Class::Failed] {
            assert_markdown(&summary_of(&saying(class, &text)));
        }
        let mark = Annotation {
            place: Some((text.clone(), bootgate::plan::Place { line: 1, column: 1 })),
            message: vec![text.clone(), text.clone()],
            ..Annotation::error(&text)
        };
        assert_markdown(&refused_summary(&[mark]));
    }

    #[test]
    fn outputs_read_back_as_they_are(values in prop::collection::vec(text(), 1..4)) {
        let named: Vec<_> = values.iter().map(|value| ("name", value.clone())).collect();
        let read = read_outputs(&outputs(&named, "0123456789abcdef"));
        prop_assert_eq!(read.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), values);
    }
}

#[test]
fn the_oracle_finds_what_it_must() {
    for line in [
        "::error::x",
        " \t::group::y",
        "a ##[error]b",
        "##[group]",
        "\u{200b}::error::x",
        "#\u{ad}#[error]x",
        "a\r::error::",
    ] {
        assert_eq!(github(line).len(), 1, "{line:?}");
    }
    assert_eq!(github("a ::error::x\n#[error]\n::error"), []);
    assert_eq!(gitlab("x section_start:1:a[collapsed=true]\r\u{1b}[0KT"), ["start a"]);
    assert!(!github(HOSTILE).is_empty() && acts(HOSTILE).is_some());
}
