//! The one answer of a run.

use serde::{Deserialize, Serialize};

use crate::machine::record::EvidenceRef;
use crate::machine::{Cause, Finding, RuleFacts, State, StopSignal};

/// The class of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// Every stage's claimed level has positive evidence.
    Passed,
    /// The image is at fault.
    Failed,
    /// A rule recognised a tracked failure.
    KnownFailure,
    /// The host, QEMU or the accelerator is at fault; safe to retry.
    Infrastructure,
    /// The image can't be tested this way.
    Untestable,
    /// A defect of bootgate.
    Internal,
    /// A person or a CI runner stopped the run.
    Cancelled,
}

impl Class {
    /// Every class, in the order of their exit codes.
    pub const ALL: [Self; 7] = [
        Self::Passed,
        Self::Failed,
        Self::KnownFailure,
        Self::Infrastructure,
        Self::Untestable,
        Self::Internal,
        Self::Cancelled,
    ];

    /// The class of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// The name in results and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::KnownFailure => "known-failure",
            Self::Infrastructure => "infrastructure",
            Self::Untestable => "untestable",
            Self::Internal => "internal",
            Self::Cancelled => "cancelled",
        }
    }

    /// What the class means for the reader, as a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Passed => "Every stage's claim is proved.",
            Self::Failed => "The image is at fault.",
            Self::KnownFailure => "The image fails in a way that is tracked.",
            Self::Infrastructure => {
                "The host, QEMU or the accelerator is at fault, not the image; the run may be repeated."
            }
            Self::Untestable => "The image can't be tested this way; nothing is known about whether it works.",
            Self::Internal => "bootgate itself is at fault; nothing is known about the image.",
            Self::Cancelled => "The run was stopped from outside; nothing is known about the image.",
        }
    }

    /// The exit code of the whole program. Every one is here: 0 passed, 1 failed, 2 usage, 3 known failure,
    /// 4 infrastructure, 5 untestable, 70 internal, 130 and 143 cancelled by SIGINT and SIGTERM, 129 by SIGHUP.
    pub fn exit_code(self, signal: Option<StopSignal>) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::KnownFailure => 3,
            Self::Infrastructure => 4,
            Self::Untestable => 5,
            Self::Internal => Verdict::EXIT_INTERNAL,
            Self::Cancelled => match signal {
                Some(StopSignal::Terminate) => 143,
                Some(StopSignal::HangUp) => 129,
                Some(StopSignal::Interrupt) | None => 130,
            },
        }
    }
}

/// The one answer of a run, with its cause and evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The class.
    pub class: Class,
    /// The cause's id, such as `kernel-panic`.
    pub cause: String,
    /// The cause as a sentence.
    pub title: String,
    /// The particulars of this run.
    pub detail: String,
    /// What to do next.
    pub remedy: String,
    /// The stage in which it was decided.
    pub stage: usize,
    /// The state in which it was decided.
    pub state: State,
    /// Where the evidence lies.
    pub evidence: Option<EvidenceRef>,
    /// The rule that named the cause, if one did.
    pub rule: Option<Box<RuleFacts>>,
    /// The cause that the machine saw by itself, where a rule knew a better one.
    pub symptom: Option<&'static str>,
    /// Where the steps of the rule before the last one were seen.
    pub led_by: Vec<EvidenceRef>,
    /// Further signals that agree.
    pub confirmed_by: Vec<String>,
    /// The exit code of a cancelled run follows the signal.
    pub signal: Option<StopSignal>,
}

impl Verdict {
    /// A verdict whose cause the machine knows.
    pub fn of(cause: Cause, detail: String, stage: usize, state: State) -> Self {
        let facts = cause.facts();
        Self {
            class: facts.class,
            cause: facts.id.to_owned(),
            title: facts.title.to_owned(),
            detail,
            remedy: facts.remedy.to_owned(),
            stage,
            state,
            evidence: None,
            rule: None,
            symptom: None,
            led_by: Vec::new(),
            confirmed_by: Vec::new(),
            signal: None,
        }
    }

    /// The exit code of its class.
    pub fn exit_code(&self) -> u8 {
        self.class.exit_code(self.signal)
    }

    /// The exit code of a wrong gate file or wrong arguments: nothing was started.
    pub const EXIT_USAGE: u8 = 2;
    /// The exit code of a defect of bootgate.
    pub const EXIT_INTERNAL: u8 = 70;

    /// A verdict whose cause a rule knows.
    pub fn of_rule(finding: &Finding, detail: String, stage: usize, state: State) -> Self {
        let rule = &finding.rule;
        Self {
            class: rule.class,
            cause: rule.cause.clone(),
            title: rule.title.clone(),
            detail,
            remedy: rule.remedy.clone(),
            stage,
            state,
            evidence: Some(finding.evidence.clone()).filter(|evidence| !evidence.file.is_empty()),
            rule: Some(Box::new(rule.clone())),
            symptom: None,
            led_by: finding.led_by.clone(),
            confirmed_by: Vec::new(),
            signal: None,
        }
    }
}
