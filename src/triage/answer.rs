//! Which of several findings is believed.

use super::correlate::Finding;
use super::rules::Rules;
use crate::plan::RuleClass;

/// The finding that decides a stage, out of all of them in the order in which they became certain: the first that is fatal;
/// else, of those that are no notes, the one at the last place, because what went wrong last is what the stage ended by. Of
/// several at one place it is the first, which the more specific rule has made.
pub fn answer<'f>(rules: &Rules, findings: &'f [Finding]) -> Option<&'f Finding> {
    let rule = |finding: &Finding| rules.rule(finding.rule);
    if let Some(fatal) = findings.iter().find(|finding| rule(finding).fatal) {
        return Some(fatal);
    }
    let mut best: Option<&Finding> = None;
    for finding in findings.iter().filter(|finding| rule(finding).class != RuleClass::Note) {
        if best.is_none_or(|best| !best.stands_with(finding)) {
            best = Some(finding);
        }
    }
    best
}
