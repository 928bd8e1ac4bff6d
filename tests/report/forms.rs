//! One record of every variant, with hostile text wherever a guest's words may stand.

use std::time::Duration;

use bootgate::machine::{DeadlineKind, EvidenceRef, Record, StageOutcome, State, representative_plan};
use bootgate::plan::{Evidence, Plan};
use bootgate::text::Untrusted;

/// Escape sequences, workflow commands, and characters that turn, hide or end text.
pub(crate) const HOSTILE: &str =
    "\u{1b}]0;owned\u{7}\u{1b}[31mred\u{9b}2J\r\n::error::x ##[group]y \u{fffe}\u{202e}gnp\u{200b}\0\u{7f}]]>&<a>";

pub(crate) fn plan() -> Plan {
    representative_plan(true)
}

pub(crate) fn evidence() -> EvidenceRef {
    EvidenceRef {
        file: "serial.log".to_owned(),
        offset_bytes: Some(4711),
        quote: Some(Untrusted::new([HOSTILE.as_bytes(), b"\xff\xfe"].concat())),
    }
}

fn transition(from: State, to: State, event: &'static str) -> Record {
    Record::Transition {
        stage: 0,
        from,
        to,
        event,
        confirmed_by: None,
        detail: String::new(),
        evidence: None,
        deadline_left: None,
    }
}

pub(crate) fn records() -> Vec<Record> {
    let mut confirmed = transition(State::Booting, State::MarkerSeen, "marker-seen");
    if let Record::Transition {
        confirmed_by,
        evidence: at,
        deadline_left,
        ..
    } = &mut confirmed
    {
        *confirmed_by = Some("query-status: running".to_owned());
        *at = Some(evidence());
        *deadline_left = Some((DeadlineKind::Stage, Duration::from_millis(123_456)));
    }
    let mut hostile = transition(State::Installing, State::Stopping, "fail-line-seen");
    if let Record::Transition {
        confirmed_by,
        detail,
        evidence: at,
        ..
    } = &mut hostile
    {
        *confirmed_by = Some(HOSTILE.to_owned());
        HOSTILE.clone_into(detail);
        *at = Some(EvidenceRef::file("ssh/install.log"));
    }
    let note = |what, detail: &str, evidence| Record::Note {
        state: State::Booting,
        what,
        detail: detail.to_owned(),
        evidence,
    };
    vec![
        Record::StageBegan { stage: 0 },
        transition(State::Preparing, State::Booting, "prepared"),
        note("kernel-seen", "", Some(evidence())),
        note("guest-reset", "reset number 1 of this machine", None),
        note("uploaded", HOSTILE, None),
        note("long", &"long ".repeat(200), None),
        Record::DeadlineNear {
            state: State::Booting,
            kind: DeadlineKind::Stage,
            left: Duration::from_secs(60),
        },
        confirmed,
        Record::StageEnded {
            stage: 0,
            outcome: StageOutcome::Passed,
            reached: Some(Evidence::Login),
        },
        hostile,
        Record::StageEnded {
            stage: 1,
            outcome: StageOutcome::Failed,
            reached: None,
        },
        Record::Decided(Box::new(crate::verdict(bootgate::machine::Class::Failed))),
    ]
}
