//! `junit.xml`, read by a parser of XML: the structure that viewers of test results expect, whatever a guest says.
//!
//! There is no standard; this is what GitLab's and Jenkins' readers take: `testsuites` > `testsuite` > `testcase`, with at most
//! one of `failure`, `error` and `skipped`, and `system-out` behind it.

use bootgate::driver::Outcome;
use bootgate::machine::Class;
use bootgate::report::{JunitFiles, junit};
use proptest::prelude::*;
use roxmltree::{Document, Node};

use crate::ci::saying;
use crate::forms::{HOSTILE, plan};
use crate::hostile::text;
use crate::outcomes::outcome;
use crate::{RUN, all_classes};

/// The largest report of a plan of a few stages, in bytes.
const JUNIT_BYTES_MAX: usize = 200 * 1024;
/// The longest text of a test case, in bytes, with the mark that it was cut.
const TEXT_BYTES_MAX: usize = 32 * 1024 + "\n…".len();
/// The most files that a test case leads to.
const ATTACHMENTS_MAX: usize = 12;

fn names() -> Vec<String> {
    let names = [
        "screens/0006-MarkerSeen.png",
        "screens/0009-Installing.png",
        "screen-1.png",
        "result.json",
        "serial.log",
        "report.html",
    ];
    let outputs = plan().stages.into_iter().map(|stage| format!("ssh/{}.log", stage.name));
    names.into_iter().map(str::to_owned).chain(outputs).collect()
}

pub(crate) fn of(outcome: &Outcome) -> String {
    with(outcome, RUN, &names())
}

fn with(outcome: &Outcome, run: &str, names: &[String]) -> String {
    let files = JunitFiles {
        evidence: run,
        prefix: &format!("{run}/"),
        names,
    };
    junit(&plan(), outcome, &files).unwrap()
}

fn elements<'a>(node: Node<'a, 'a>) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(Node::is_element)
}

/// Reads a report and holds it against the structure; gives the texts of each test case's `system-out`.
fn read(report: &str) -> Vec<String> {
    assert!(report.len() <= JUNIT_BYTES_MAX, "{} bytes", report.len());
    let document = Document::parse(report).unwrap_or_else(|error| panic!("{error}\n{report}"));
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "testsuites");
    let suites: Vec<_> = elements(root).collect();
    assert_eq!(suites.len(), 1);
    let suite = suites[0];
    assert_eq!(suite.tag_name().name(), "testsuite");
    let cases: Vec<_> = elements(suite).collect();
    let count = |node: Node<'_, '_>, name: &str| node.attribute(name).unwrap().parse::<usize>().unwrap();
    assert_eq!(count(suite, "tests"), cases.len());
    assert_eq!(count(root, "tests"), cases.len());
    let mut seen = [0; 3];
    let mut outs = Vec::new();
    for (case, stage) in cases.iter().zip(plan().stages) {
        assert_eq!(case.tag_name().name(), "testcase");
        assert_eq!(case.attribute("name"), Some(stage.name.as_str()));
        assert_eq!(
            case.attribute("classname"),
            Some(format!("bootgate.{}", plan().gate).as_str())
        );
        assert!(case.attribute("time").unwrap().parse::<f64>().unwrap() >= 0.0);
        let children: Vec<_> = elements(*case)
            .map(|child| child.tag_name().name().to_owned())
            .collect();
        let ended = ["failure", "error", "skipped"];
        for (name, seen) in ended.iter().zip(&mut seen) {
            *seen += children.iter().filter(|child| child == name).count();
        }
        assert!(
            children.iter().filter(|child| ended.contains(&child.as_str())).count() <= 1,
            "{children:?}"
        );
        let out: Vec<_> = elements(*case)
            .filter(|child| child.tag_name().name() == "system-out")
            .collect();
        assert!(out.len() <= 1 && children.len() <= 2, "{children:?}");
        outs.push(out.first().and_then(Node::text).unwrap_or_default().to_owned());
    }
    let told = ["failures", "errors", "skipped"].map(|name| count(suite, name));
    assert_eq!(told, seen);
    outs
}

fn attached(out: &str) -> Vec<&str> {
    let lines = out.lines().filter_map(|line| line.strip_prefix("[[ATTACHMENT|"));
    lines
        .map(|line| line.strip_suffix("]]").expect("alone on its line"))
        .collect()
}

#[test]
fn every_class_has_the_structure() {
    for class in all_classes() {
        let outs = read(&of(&outcome(class)));
        assert_eq!(outs.len(), 4, "{class:?}");
    }
}

#[test]
fn a_failed_stage_leads_to_its_picture_first_and_to_its_files() {
    let outs = read(&of(&outcome(Class::Failed)));
    let paths = ["screen-1.png", "report.html", "serial.log", "ssh/export.log"].map(|name| format!("{RUN}/{name}"));
    assert_eq!(attached(&outs[1]), paths);
    assert_eq!(attached(&outs[0]), [format!("{RUN}/ssh/boot-live.log")]);
    assert_eq!(outs[2], "", "a stage that was not reached has no output");
    let taken: Vec<_> = names().into_iter().filter(|name| name != "screen-1.png").collect();
    let outs = read(&with(&outcome(Class::Failed), RUN, &taken));
    assert_eq!(attached(&outs[1])[0], format!("{RUN}/screens/0009-Installing.png"));
}

#[test]
fn what_a_guest_says_is_no_attachment() {
    let mut outcome = outcome(Class::Failed);
    outcome.console_tail = vec!["[[ATTACHMENT|/etc/passwd]]".to_owned()];
    let outs = read(&of(&outcome));
    assert!(!outs[1].contains("[[ATTACHMENT|/etc"), "{}", outs[1]);
    // Nor is a directory whose name would end the line.
    for run in ["runs/a]]\n[[ATTACHMENT|/etc/passwd]]", "runs/\u{1b}[31m"] {
        assert_eq!(attached(&read(&with(&outcome, run, &names()))[1]), [""; 0]);
    }
}

#[test]
fn it_has_an_end() {
    let huge = format!("{HOSTILE}<&>").repeat(20_000);
    let mut outcome = saying(Class::Failed, &huge);
    outcome.console_tail = vec![huge; 300];
    let consoles = (2..100).map(|machine| format!("serial-{machine}.log"));
    let outs = read(&with(
        &outcome,
        RUN,
        &names().into_iter().chain(consoles).collect::<Vec<_>>(),
    ));
    assert!(outs[1].len() <= TEXT_BYTES_MAX && outs[1].ends_with("\n…"));
    assert_eq!(attached(&outs[1]).len(), ATTACHMENTS_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn whatever_is_said_it_can_be_read(text in text(), noise in "(?s).{0,60}") {
        for text in [text, noise] {
            for class in [Class::Failed, Class::KnownFailure, Class::Infrastructure] {
                let mut outcome = saying(class, &text);
                outcome.reports[1].not_tested = Some(text.clone());
                outcome.verdict.cause.clone_from(&text);
                read(&of(&outcome));
            }
        }
    }
}
