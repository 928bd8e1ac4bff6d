//! What a run may come to, with hostile text wherever a guest's words may stand.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bootgate::driver::{HostFacts, Outcome};
use bootgate::evidence::RunInfo;
use bootgate::machine::{Class, Finding, Left, Part, RuleFacts, StageOutcome, StageReport, State, StopSignal, Verdict};
use bootgate::plan::Evidence;
use bootgate::procfs::ProcessIdentity;
use bootgate::serial::tap::TapSummary;
use uuid::Uuid;

use crate::forms::{HOSTILE, evidence};

pub(crate) fn info() -> RunInfo {
    RunInfo {
        id: "fake-20260102T030405Z-01234567".to_owned(),
        uuid: Uuid::from_u128(7),
        gate: "fake".to_owned(),
        started: "2026-01-02T03:04:05Z".to_owned(),
        controller: ProcessIdentity { pid: 1, start_ticks: 2 },
        bootgate_version: "0.0.0".to_owned(),
    }
}

fn rule() -> RuleFacts {
    RuleFacts {
        id: "hostname-step".to_owned(),
        cause: "forbidden-line".to_owned(),
        class: Class::KnownFailure,
        is_note: false,
        title: format!("The last step failed {HOSTILE}"),
        root_cause: format!("It asks for what is not there {HOSTILE}"),
        remedy: "Publish.".to_owned(),
        tracker: Some(format!("https://example.org/1 {HOSTILE}")),
        publishable: true,
        expires: Some("2030-01-01".to_owned()),
        is_expired: false,
        fatal: true,
    }
}

pub(crate) fn verdict(class: Class) -> Verdict {
    let passed = class == Class::Passed;
    Verdict {
        class,
        cause: if passed { "every-claim-proved" } else { "forbidden-line" }.to_owned(),
        title: "A line appeared that the gate file forbids.".to_owned(),
        detail: if passed { String::new() } else { HOSTILE.to_owned() },
        remedy: if passed {
            String::new()
        } else {
            format!("Read {HOSTILE}")
        },
        stage: 1,
        state: State::Installing,
        evidence: (!passed).then(evidence),
        rule: (class == Class::KnownFailure).then(|| Box::new(rule())),
        symptom: (class == Class::KnownFailure).then_some("command-failed"),
        led_by: if class == Class::KnownFailure {
            vec![evidence()]
        } else {
            Vec::new()
        },
        confirmed_by: vec!["query-status: paused".to_owned()],
        signal: (class == Class::Cancelled).then_some(StopSignal::Terminate),
    }
}

fn reports(started: Instant, passed: bool) -> Vec<StageReport> {
    let at = |secs| Some(started + Duration::from_secs(secs));
    let report = |outcome, reached, began, ended| StageReport {
        outcome,
        reached,
        began,
        ended,
        not_tested: None,
        remarks: Vec::new(),
        findings: Vec::new(),
    };
    let mut first = report(StageOutcome::Passed, Some(Evidence::Login), at(1), at(31));
    let note = RuleFacts {
        is_note: true,
        ..rule()
    };
    first.findings = vec![Finding {
        rule: note,
        evidence: evidence(),
        led_by: vec![evidence()],
    }];
    first.remarks = vec!["the guest reset on the way up".to_owned(), HOSTILE.to_owned()];
    let levels = [Evidence::Installed, Evidence::Installed, Evidence::Target];
    let rest = levels.into_iter().zip([40_u64, 50, 60]).map(|(level, from)| {
        if passed {
            return report(StageOutcome::Passed, Some(level), at(from), at(from + 5));
        }
        if from == 40 {
            return report(StageOutcome::Failed, Some(Evidence::Login), at(from), at(from + 5));
        }
        StageReport::default()
    });
    std::iter::once(first).chain(rest).collect()
}

pub(crate) fn outcome(class: Class) -> Outcome {
    let started = Instant::now();
    let host = HostFacts {
        qemu: PathBuf::from("/usr/bin/qemu-system-x86_64"),
        qemu_version: "QEMU emulator version 7.2.22".to_owned(),
        accelerator: "tcg".to_owned(),
        accelerator_why: "the gate asks for it".to_owned(),
        cpu_model: "max".to_owned(),
        firmware: "SeaBIOS".to_owned(),
        scale_percent: 400,
        images: None,
    };
    let summary = TapSummary {
        bytes_total: 1000,
        bytes_kept: 900,
        bytes_dropped: 100,
        bytes_lost: 0,
        matches_dropped: BTreeMap::new(),
        read_error: None,
    };
    Outcome {
        verdict: verdict(class),
        reports: reports(started, class == Class::Passed),
        host: (class != Class::Infrastructure).then_some(host),
        started,
        took: Duration::from_millis(83_456),
        consoles: vec![("serial.log".to_owned(), summary)],
        was_cut_short: false,
        part: Part::Whole,
        left: Left::default(),
        trace_lost: 0,
        console_tail: vec!["the last line".to_owned(), HOSTILE.to_owned()],
    }
}
