//! `junit.xml`: one test case a stage, for whatever shows test results.

use std::fmt::Write as _;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::driver::Outcome;
use crate::machine::{Class, StageOutcome, Verdict};
use crate::plan::Plan;
use crate::text::xml_text;

/// The run as a JUnit report.
pub fn junit(plan: &Plan, outcome: &Outcome, evidence: &str) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("bootgate");
    report.set_time(outcome.took);
    let mut suite = TestSuite::new(&plan.gate);
    suite.set_time(outcome.took);
    let part = outcome.part.stages(plan);
    for (index, (stage, stage_report)) in part.zip(outcome.stages(plan)) {
        let decided_here = outcome.verdict.class != Class::Passed && outcome.verdict.stage == index;
        let status = match &stage_report.not_tested {
            Some(reason) if !decided_here => skipped(&format!("not tested: {reason}")),
            None if stage_report.outcome == StageOutcome::Skipped => skipped(&outcome.verdict.detail),
            _ => status(outcome, stage_report.outcome, decided_here),
        };
        let mut case = TestCase::new(&stage.name, status);
        case.set_classname(format!("bootgate.{}", plan.gate));
        let took = stage_report.began.zip(stage_report.ended);
        case.set_time(took.map_or(Duration::ZERO, |(began, ended)| ended.duration_since(began)));
        if decided_here {
            case.set_system_out(xml_text(format!(
                "evidence: {evidence}\n{}",
                outcome.console_tail.join("\n")
            )));
        }
        suite.add_test_case(case);
    }
    report.add_test_suite(suite);
    report.to_string()
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(xml_text(why));
    status
}

fn status(outcome: &Outcome, stage: StageOutcome, decided_here: bool) -> TestCaseStatus {
    let verdict = &outcome.verdict;
    if stage == StageOutcome::Passed && !decided_here {
        return TestCaseStatus::success();
    }
    if !decided_here {
        let mut status = TestCaseStatus::skipped();
        status.set_message("not reached: a stage before it did not pass");
        return status;
    }
    // A fault of the image is a failure; that nothing is known about the image is an error.
    let kind = match verdict.class {
        Class::Failed | Class::KnownFailure => NonSuccessKind::Failure,
        _ => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    let quote = verdict.evidence.as_ref().and_then(|evidence| evidence.quote.as_ref());
    let quote = quote.map(xml_text).unwrap_or_default();
    status
        .set_type(format!("{}/{}", verdict.class.as_str(), verdict.cause))
        .set_message(xml_text(&verdict.title))
        .set_description(xml_text(format!(
            "{}\n{quote}\n{}{}",
            verdict.detail,
            verdict.remedy,
            known(verdict)
        )));
    status
}

/// What a rule adds, as lines.
fn known(verdict: &Verdict) -> String {
    let Some(rule) = &verdict.rule else {
        return String::new();
    };
    let mut text = format!("\nroot cause: {}\nrule: {}", rule.root_cause, rule.id);
    if let Some(tracker) = &rule.tracker {
        let _ = write!(text, "\ntracked at: {tracker}");
    }
    if let (Class::KnownFailure, Some(expires)) = (verdict.class, &rule.expires) {
        let may = if rule.publishable { "yes" } else { "no" };
        let _ = write!(text, "\npublishable: {may}, until {expires}");
    }
    text
}
