//! What rules say of a run.

use serde::{Deserialize, Serialize};

use crate::machine::Class;
use crate::machine::record::EvidenceRef;

/// What a matched rule says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RuleFacts {
    /// The rule's id.
    pub id: String,
    /// The cause that it names.
    pub cause: String,
    /// The class of the verdict that follows.
    pub class: Class,
    /// True if nobody is at fault by it alone: it explains no failure, it is only told.
    pub is_note: bool,
    /// What it means, as a sentence.
    pub title: String,
    /// Why it happens.
    pub root_cause: String,
    /// What to do about it.
    pub remedy: String,
    /// Where the failure is tracked.
    pub tracker: Option<String>,
    /// True if an image that fails this way may be published.
    pub publishable: bool,
    /// The first day on which the rule counts no more.
    pub expires: Option<String>,
    /// True if that day has come: then the class is no known failure any more, and nothing is publishable.
    pub is_expired: bool,
    /// True if the run ends at once.
    pub fatal: bool,
}

impl RuleFacts {
    /// The class, or `note` for a rule that leads to none.
    pub fn class_name(&self) -> &'static str {
        if self.is_note { "note" } else { self.class.as_str() }
    }
}

/// A rule that is certain, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule.
    pub rule: RuleFacts,
    /// Where its last step was seen.
    pub evidence: EvidenceRef,
    /// Where the steps before that were seen.
    pub led_by: Vec<EvidenceRef>,
}

/// What the rules would say if the stage ended now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prospects {
    /// However it ended.
    pub at_end: Vec<Finding>,
    /// If it ended with the cause of this id.
    pub of_causes: Vec<(String, Finding)>,
}
