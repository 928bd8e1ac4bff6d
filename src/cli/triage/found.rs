//! What was found in a log, for a person and for a program.

use std::fmt::Write as _;
use std::ops::Range;

use serde_json::{Value, json};

use crate::driver::facts;
use crate::machine::{Class, RuleFacts};
use crate::report;
use crate::text::{json_text, terminal_line};
use crate::triage::{Finding, Place, Rules, answer};

use super::super::rules::today;

/// How much of a guest's line is quoted, in characters.
const QUOTE_CHARS_MAX: usize = 160;
/// How much of a sentence is shown, in characters.
const SENTENCE_CHARS_MAX: usize = 1200;

/// A log, or the logs of one stage of a run.
pub(super) struct Log {
    /// What the log is called.
    pub(super) name: String,
    /// What was found in it, in the order in which it became certain.
    pub(super) findings: Vec<Finding>,
    /// What no rule has seen, because the run did not keep it.
    pub(super) gaps: Vec<Gap>,
}

/// A part of a log that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) file: String,
    /// Offsets in the stream.
    pub(super) bytes: Range<u64>,
}

impl Log {
    /// The class of what would decide the log.
    pub(super) fn answer(&self, rules: &Rules) -> Option<Class> {
        let finding = answer(rules, &self.findings)?;
        Some(facts(rules.rule(finding.rule), today()).class)
    }

    pub(super) fn json(&self, rules: &Rules) -> Value {
        let believed = answer(rules, &self.findings);
        let finding = |finding: &Finding| {
            let rule = facts(rules.rule(finding.rule), today());
            let mut json = rule_json(&rule);
            json["decides"] = json!(believed == Some(finding));
            json["evidence"] = finding.places.iter().map(place_json).collect();
            json
        };
        let gap = |gap: &Gap| json!({ "file": gap.file, "from_bytes": gap.bytes.start, "to_bytes": gap.bytes.end });
        json!({
            "log": self.name,
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "not_kept": self.gaps.iter().map(gap).collect::<Vec<_>>(),
        })
    }

    pub(super) fn text(&self, rules: &Rules) -> String {
        let mut text = format!("{}\n", terminal_line(&self.name, SENTENCE_CHARS_MAX));
        if self.findings.is_empty() {
            text.push_str("  no rule finds anything\n");
        }
        for Gap { file, bytes } in &self.gaps {
            let file = terminal_line(file, SENTENCE_CHARS_MAX);
            let Range { start, end } = bytes;
            let _ = writeln!(
                text,
                "  not read       bytes {start} to {end} of {file}: the run did not keep them"
            );
        }
        let believed = answer(rules, &self.findings);
        for finding in &self.findings {
            let rule = facts(rules.rule(finding.rule), today());
            let decides = believed == Some(finding);
            let class = rule.class_name();
            let mark = if decides { "→" } else { " " };
            let title = terminal_line(&rule.title, SENTENCE_CHARS_MAX);
            let _ = writeln!(text, "{mark} {class:<14} {}: {title}", rule.cause);
            if let Some((last, before)) = finding.places.split_last() {
                for place in before {
                    let _ = writeln!(text, "  after          {}", place_text(place));
                }
                let _ = writeln!(text, "  at             {}", place_text(last));
            }
            if decides {
                explain(&mut text, &rule);
            } else {
                let _ = writeln!(text, "  rule           {}", rule.id);
            }
        }
        text
    }
}

fn explain(text: &mut String, rule: &RuleFacts) {
    let sentence = |sentence: &str| terminal_line(sentence, SENTENCE_CHARS_MAX);
    let _ = writeln!(text, "  why            {}", sentence(&rule.root_cause));
    let _ = writeln!(text, "  mend           {}", sentence(&rule.remedy));
    let _ = writeln!(text, "  rule           {}", rule.id);
    if rule.class == Class::KnownFailure || rule.is_expired {
        let publish = if rule.publishable { "yes" } else { "no" };
        let until = rule.expires.as_deref().unwrap_or("for ever");
        let word = if rule.is_expired { "expired on" } else { "known until" };
        let _ = writeln!(text, "  publish        {publish}; {word} {until}");
    }
    if let Some(tracker) = &rule.tracker {
        let _ = writeln!(text, "  tracked at     {}", sentence(tracker));
    }
}

fn place_text(place: &Place) -> String {
    let file = terminal_line(&place.file, SENTENCE_CHARS_MAX);
    let quote = terminal_line(&place.quote, QUOTE_CHARS_MAX);
    format!("{file}@{}  “{quote}”", place.quote_offset)
}

fn place_json(place: &Place) -> Value {
    json!({
        "file": place.file,
        "offset_bytes": place.quote_offset,
        "quote": json_text(&place.quote),
    })
}

/// What a rule says, for a program.
pub(super) fn rule_json(rule: &RuleFacts) -> Value {
    let mut json = report::rule_json("rule", rule);
    json["fatal"] = rule.fatal.into();
    json
}
