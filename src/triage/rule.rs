//! One rule: a line that tells a cause.

use serde::Deserialize;

use crate::plan::Pattern;

/// A rule: if a line looks like this, the cause is that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name: lower-case letters, digits and `-`; unique.
    pub id: String,
    /// The class of the verdict that it leads to.
    pub class: RuleClass,
    /// The cause that it tells, as results name it: lower-case letters, digits and `-`. Rules may share one.
    pub cause: String,
    /// True if the run is lost once the line is seen, so that it ends at once. Otherwise the rule only explains a failure
    /// that something else shows.
    pub fatal: bool,
    /// Where the line may stand. Never empty.
    pub sources: Vec<Source>,
    /// What the line looks like.
    pub pattern: Pattern,
    /// True for a prompt, which has no line end: it is there once the console is silent.
    pub prompt: bool,
    /// What happened, in a few words.
    pub title: String,
    /// Why it happens: one sentence.
    pub root_cause: String,
    /// What to do: one sentence.
    pub remedy: String,
    /// Lines that the rule must match. Never empty.
    pub matches: Vec<String>,
    /// Lines like them that it must not match. Never empty.
    pub ignores: Vec<String>,
}

/// The class of the verdict that a rule leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleClass {
    /// The image is at fault.
    Failed,
    /// The image is at fault in a way that is known and tracked.
    KnownFailure,
    /// The host, QEMU or the accelerator is at fault.
    Infrastructure,
    /// The image can't be tested this way.
    Untestable,
    /// Nobody is, by this line alone: it is told beside the verdict.
    Note,
}

/// Where lines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The serial console.
    Serial,
    /// What a stage's command prints.
    CommandOutput,
}
