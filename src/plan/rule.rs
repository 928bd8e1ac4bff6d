//! Rules: what a failure looks like, why it happens, and what to do about it.

use std::path::PathBuf;

use jiff::civil::Date;

use super::Pattern;
use crate::units::ByteSize;

/// A rule: if the lines look like this, the cause is that.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name: lower-case letters, digits and `-`; unique.
    pub id: String,
    /// The class of the verdict that it leads to.
    pub class: RuleClass,
    /// The cause that it tells, as results name it: lower-case letters, digits and `-`. Rules may share one.
    pub cause: String,
    /// True if the run is lost once the rule is certain, so that it ends at once. Otherwise the rule only explains a
    /// failure that something else shows.
    pub fatal: bool,
    /// What must be seen, in this order, within one stage. Never empty.
    pub steps: Vec<Step>,
    /// What must not be seen.
    pub without: Option<Without>,
    /// What happened, in a few words.
    pub title: String,
    /// Why it happens.
    pub root_cause: String,
    /// What to do.
    pub remedy: String,
    /// Where the failure is tracked: a URL or a text.
    pub tracker: Option<String>,
    /// True if an image that fails this way may be published all the same. Only known failures may say so.
    pub publishable: bool,
    /// The first day on which the rule counts no more. Known failures always have one.
    pub expires: Option<Date>,
    /// What the rule must find.
    pub matches: Vec<Fixture>,
    /// Lines like them in which it must find nothing.
    pub ignores: Vec<Fixture>,
    /// The file that the rule stands in.
    pub file: PathBuf,
    /// The line in that file, from 1.
    pub line: usize,
}

impl Rule {
    /// True if the rule counts no more on `today`.
    pub fn is_expired(&self, today: Date) -> bool {
        self.expires.is_some_and(|expires| today >= expires)
    }

    /// The one look that the rule is, if it is that simple: other rules may refer to it.
    pub fn only_look(&self) -> Option<&Look> {
        match self.steps.as_slice() {
            [step] if self.without.is_none() => Some(&step.look),
            _ => None,
        }
    }

    /// Every look of the rule with its number: what must be absent first, then the steps, the last one first. In this
    /// order a line is looked at, so that no line is two steps at once.
    pub fn looks(&self) -> impl Iterator<Item = (LookNumber, &Look)> {
        let without = self.without.iter().map(|without| (LookNumber::Without, &without.look));
        let steps = self.steps.iter().enumerate().rev();
        without.chain(steps.map(|(at, step)| (LookNumber::Step(at), &step.look)))
    }
}

/// Which of a rule's looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LookNumber {
    /// What must be absent.
    Without,
    /// The step with this number, from 0.
    Step(usize),
}

/// One of the things that must be seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What.
    pub look: Look,
    /// How far behind the step before it may stand at most, if both stand in one stream. `None`: anywhere in the stage.
    pub within: Option<ByteSize>,
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Look {
    /// A line.
    Line {
        /// Where it may stand. Never empty.
        sources: Vec<Source>,
        /// What it looks like.
        pattern: Pattern,
        /// True for a prompt, which has no line end: it is there once the console is silent.
        prompt: bool,
    },
    /// What another rule finds, by that rule's name. It is a rule of one line.
    Rule(String),
}

/// What must not be seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Without {
    /// What.
    pub look: Look,
    /// Until when it would count.
    pub until: Until,
}

/// How long the absence of something must last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Until {
    /// From the beginning of the stage until the last step.
    Match,
    /// For the whole stage: the rule is certain when the stage ends.
    End,
}

impl Until {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Match, Self::End];

    /// The name in rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::End => "end",
        }
    }
}

/// The class of the verdict that a rule leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleClass {
    /// The image is at fault.
    Failed,
    /// The image is at fault in a way that is known and tracked.
    KnownFailure,
    /// The host, QEMU or the accelerator is at fault.
    Infrastructure,
    /// The image can't be tested this way.
    Untestable,
    /// Nobody is, by this alone: it is told beside the verdict.
    Note,
}

impl RuleClass {
    /// Every class.
    pub const ALL: [Self; 5] = [
        Self::Failed,
        Self::KnownFailure,
        Self::Infrastructure,
        Self::Untestable,
        Self::Note,
    ];

    /// The name in rule files and results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::KnownFailure => "known-failure",
            Self::Infrastructure => "infrastructure",
            Self::Untestable => "untestable",
            Self::Note => "note",
        }
    }
}

/// Where lines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The serial console, and the firmware's debug port.
    Serial,
    /// What a stage's command prints.
    CommandOutput,
    /// Attempts to log in: `CLASS: MEANING`, such as `reset-before-banner: …`.
    Ssh,
    /// Milestones of the gate: `kernel`, `userspace`, `marker NAME`, `login-prompt`, `target`.
    Mark,
    /// QMP events: `NAME {JSON of its data}`.
    Qmp,
    /// What QEMU says on its standard error. Read when it has ended.
    QemuStderr,
    /// The id of the cause that the machine decides on by itself, such as `ssh-not-listening`.
    Cause,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 7] = [
        Self::Serial,
        Self::CommandOutput,
        Self::Ssh,
        Self::Mark,
        Self::Qmp,
        Self::QemuStderr,
        Self::Cause,
    ];

    /// The name in rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::CommandOutput => "command-output",
            Self::Ssh => "ssh",
            Self::Mark => "mark",
            Self::Qmp => "qmp",
            Self::QemuStderr => "qemu-stderr",
            Self::Cause => "cause",
        }
    }

    /// The source with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == name)
    }
}

/// A piece of a log that a rule is tried on: one stage, from its beginning to its end. A line may begin with `@SOURCE `, which
/// says where it comes from; otherwise it comes from the first source of the rule's first look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fixture {
    /// The lines themselves.
    Lines(String),
    /// A file that holds them; its path is relative to the rules file.
    File(String),
}
