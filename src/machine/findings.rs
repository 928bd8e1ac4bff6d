//! What rules have to say: findings are kept, decide, or explain what the machine decides by itself.

use statig::Outcome::Handled;

use crate::machine::gate::{Gate, Outbox, Reason, Step};
use crate::machine::record::FINDINGS_MAX;
use crate::machine::{Cause, Class, Finding, State, Verdict};

impl Gate {
    /// A rule is certain while the guest runs.
    pub(super) fn on_rule(&mut self, out: &mut Outbox, event: &'static str, finding: Finding) -> Step {
        if finding.rule.fatal {
            return self.fail_by_rule(out, event, finding);
        }
        self.found(out, event, finding);
        Handled
    }

    /// A rule ends the run.
    pub(super) fn fail_by_rule(&mut self, out: &mut Outbox, event: &'static str, finding: Finding) -> Step {
        let reason = Reason::event(event)
            .detail(&finding.rule.title)
            .evidence(&finding.evidence);
        let detail = format!("rule `{}` matched", finding.rule.id);
        let verdict = Verdict::of_rule(&finding, detail, self.stage, self.place());
        self.keep(finding);
        self.decide(out, verdict, &reason);
        self.go(out, State::Stopping, reason)
    }

    /// A rule tells something that ends nothing.
    pub(super) fn found(&mut self, out: &mut Outbox, what: &'static str, finding: Finding) {
        let detail = format!("{} (rule `{}`)", finding.rule.title, finding.rule.id);
        out.note(self.place(), what, detail, Some(&finding.evidence));
        let place = |finding: &Finding| (finding.evidence.file.clone(), finding.evidence.offset_bytes);
        // Of several at one place the first is the most specific; what went wrong last is what the stage ended by.
        let is_news = self
            .suspect
            .as_ref()
            .is_none_or(|suspect| place(suspect) != place(&finding));
        if !finding.rule.is_note && is_news {
            self.suspect = Some(finding.clone());
        }
        self.keep(finding);
    }

    fn keep(&mut self, finding: Finding) {
        let findings = &mut self.reports[self.stage].findings;
        let is_known = findings.iter().any(|known| known.rule.id == finding.rule.id);
        if !is_known && findings.len() < FINDINGS_MAX {
            findings.push(finding);
        }
    }

    /// The verdict for a cause that the machine sees by itself, with what the rules know about it.
    pub(super) fn explained(&self, cause: Cause, reason: &Reason, state: State) -> Verdict {
        let facts = cause.facts();
        let of_cause = self.prospects.of_causes.iter().find(|(id, _)| id == facts.id);
        let at_end = self.prospects.at_end.iter().find(|finding| !finding.rule.is_note);
        let open = at_end.or(self.suspect.as_ref()).filter(|finding| {
            // A fault of the image does not explain why QEMU ended.
            cause.is_open() && (facts.class != Class::Infrastructure || finding.rule.class == Class::Infrastructure)
        });
        let Some(finding) = of_cause.map(|(_, finding)| finding).or(open) else {
            return Verdict::of(cause, reason.detail.clone(), self.stage, state);
        };
        let mut detail = reason.detail.clone();
        if finding.rule.cause != facts.id {
            let symptom = facts.title.trim_end_matches('.');
            detail = if detail.is_empty() {
                symptom.to_owned()
            } else {
                format!("{symptom}: {detail}")
            };
        }
        let mut verdict = Verdict::of_rule(finding, detail, self.stage, state);
        verdict.symptom = Some(facts.id);
        verdict
    }
}
