//! Every cause that a verdict can name: those of the machine, and those of rules.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::machine::{Cause, Class};
use crate::plan::{Look, Pattern, Rule, RuleClass, Source, Until, nearest};
use crate::triage::{Rules, builtin};

/// What a cause is, whoever names it.
#[derive(Debug, Clone)]
pub struct CauseEntry<'a> {
    /// Its id.
    pub id: String,
    /// The machine's own, if it names it by itself.
    pub machine: Option<Cause>,
    /// The rules that name it, in their order.
    pub rules: Vec<&'a Rule>,
}

/// Every cause by its id.
pub fn catalogue(rules: &Rules) -> Vec<CauseEntry<'_>> {
    let mut entries: BTreeMap<String, CauseEntry<'_>> = BTreeMap::new();
    let entry = |id: &str| CauseEntry {
        id: id.to_owned(),
        machine: Cause::of_id(id),
        rules: Vec::new(),
    };
    for cause in Cause::ALL {
        entries.insert(cause.id().to_owned(), entry(cause.id()));
    }
    for rule in rules.as_slice() {
        let id = rule.cause.as_str();
        entries
            .entry(id.to_owned())
            .or_insert_with(|| entry(id))
            .rules
            .push(rule);
    }
    entries.into_values().collect()
}

/// The cause of that id, or the one that the rule of that id names.
pub fn find<'a, 'b>(entries: &'b [CauseEntry<'a>], word: &str) -> Option<&'b CauseEntry<'a>> {
    let by_rule = |entry: &&CauseEntry<'_>| entry.rules.iter().any(|rule| rule.id == word);
    let by_id = entries.iter().find(|entry| entry.id == word);
    by_id.or_else(|| entries.iter().find(by_rule))
}

/// The command that tells more of a verdict's cause. `None`: only the gate's own rules know it, or there is nothing to explain.
pub(super) fn explained_by(class: &str, cause: &str) -> Option<String> {
    let rules = builtin();
    let is_known = class != Class::Passed.as_str() && find(&catalogue(&rules), cause).is_some();
    is_known.then(|| format!("bootgate explain {cause}"))
}

/// The cause or rule that somebody may have meant.
pub fn meant<'b>(entries: &'b [CauseEntry<'_>], word: &str) -> Option<&'b str> {
    let rules = entries
        .iter()
        .flat_map(|entry| entry.rules.iter().map(|rule| rule.id.as_str()));
    nearest(word, entries.iter().map(|entry| entry.id.as_str()).chain(rules))
}

impl CauseEntry<'_> {
    /// The class in a word: the machine's, else that of the first rule.
    pub fn class(&self) -> &'static str {
        match (self.machine, self.rules.first()) {
            (Some(cause), _) => cause.facts().class.as_str(),
            (None, Some(rule)) => rule.class.as_str(),
            (None, None) => "",
        }
    }

    /// The exit code of a run that ends so; `-` if none does.
    pub fn exit(&self) -> String {
        let class = Class::of_name(self.class());
        class.map_or("-".to_owned(), |class| class.exit_code(None).to_string())
    }

    /// One sentence.
    pub fn title(&self) -> &str {
        match (self.machine, self.rules.first()) {
            (Some(cause), _) => cause.facts().title,
            (None, Some(rule)) => &rule.title,
            (None, None) => "",
        }
    }

    /// All of it as a page for a terminal.
    pub fn page(&self) -> String {
        let mut page = format!("{}: {}, {}\n", self.id, self.class(), exit_words(&self.exit()));
        if let Some(cause) = self.machine {
            let facts = cause.facts();
            let _ = write!(page, "\n{}\n{}\n\n", facts.title, facts.class.meaning());
            let mut line = |label: &str, text: &str| {
                if !text.is_empty() {
                    let _ = writeln!(page, "{label:<10} {text}");
                }
            };
            if let Some(told) = cause.explanation() {
                line("Detected:", told.detected);
                line(
                    "Evidence:",
                    &format!("{} (in the run's directory)", told.evidence.join(", ")),
                );
                line("Remedy:", facts.remedy);
                line("Next:", told.next);
            }
            if cause.is_open() {
                line(
                    "Note:",
                    "it says what did not come, not why: if a rule knows why, the verdict names the rule's cause.",
                );
            }
        }
        for rule in &self.rules {
            page.push_str(&rule_text(rule));
        }
        if self.machine.is_none() {
            let _ = writeln!(page, "\n{:<10} bootgate inspect last", "Next:");
        }
        page
    }

    /// All of it for a program.
    pub fn json(&self) -> Value {
        let told = self.machine.and_then(Cause::explanation);
        let rules = self.rules.iter().map(|rule| {
            json!({
                "rule": rule.id,
                "class": rule.class.as_str(),
                "ends_run": rule.fatal,
                "publishable": rule.publishable,
                "title": rule.title,
                "root_cause": rule.root_cause,
                "remedy": rule.remedy,
                "detected": looks(rule),
                "evidence": evidence(rule),
            })
        });
        json!({
            "cause": self.id,
            "class": self.class(),
            "exit": self.exit(),
            "title": self.title(),
            "remedy": self.machine.map(|cause| cause.facts().remedy),
            "detected": told.map(|told| told.detected),
            "evidence": told.map(|told| told.evidence),
            "next": told.map_or("bootgate inspect last", |told| told.next),
            "rules": rules.collect::<Vec<_>>(),
        })
    }
}

fn exit_words(exit: &str) -> String {
    match exit {
        "-" => "told beside a verdict".to_owned(),
        "130" => "exit code 130 (143 by SIGTERM, 129 by SIGHUP)".to_owned(),
        code => format!("exit code {code}"),
    }
}

fn rule_text(rule: &Rule) -> String {
    let ends = match (rule.class, rule.fatal) {
        (RuleClass::Note, _) => "only noted",
        (_, true) => "ends the run at that line",
        (_, false) => "explains a failure that something else shows",
    };
    let mut text = format!("\nRule `{}` ({}; {ends})\n", rule.id, rule.class.as_str());
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "  {label:<9} {value}");
    };
    line("what", &format!("{}.", rule.title.trim_end_matches('.')));
    line("why", &rule.root_cause);
    line("mend", &rule.remedy);
    for look in looks(rule) {
        line("seen", &look);
    }
    line("evidence", &evidence(rule).join(", "));
    if let Some(tracker) = &rule.tracker {
        line("tracker", tracker);
    }
    if let Some(day) = rule.expires {
        line("expires", &day.to_string());
    }
    text
}

/// What the rule looks for, one sentence a step.
fn looks(rule: &Rule) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for step in &rule.steps {
        let then = if told.is_empty() { "" } else { "then " };
        let within = step.within.map_or_else(String::new, |size| format!(", within {size}"));
        told.push(format!("{then}{}{within}", look(&step.look)));
    }
    if let Some(without) = &rule.without {
        let until = match without.until {
            Until::Match => "before it",
            Until::End => "in the whole stage",
        };
        told.push(format!("and nowhere {until}: {}", look(&without.look)));
    }
    told
}

fn look(look: &Look) -> String {
    match look {
        Look::Rule(id) => format!("what the rule `{id}` finds"),
        Look::Line { sources, pattern, .. } => {
            let sources: Vec<_> = sources.iter().map(|source| source.as_str()).collect();
            let pattern = match pattern {
                Pattern::Text(text) => format!("the text `{text}`"),
                Pattern::Regex(regex) => format!("a line like `{regex}`"),
            };
            format!("{}: {pattern}", sources.join(", "))
        }
    }
}

/// The files in which what the rule looks for can be read again.
fn evidence(rule: &Rule) -> Vec<&'static str> {
    let mut files = Vec::new();
    for (_, look) in rule.looks() {
        let Look::Line { sources, .. } = look else { continue };
        for source in sources {
            let file = match source {
                Source::Serial => "serial.log",
                Source::CommandOutput => "ssh/STAGE.log",
                Source::Ssh | Source::Mark | Source::Cause => "trace.jsonl",
                Source::Qmp => "qmp.jsonl",
                Source::QemuStderr => "qemu.stderr",
            };
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    if files.is_empty() {
        files.push("serial.log");
    }
    files
}

/// What an entry lacks. An entry is whole if nobody who reads it is left with an empty line.
#[cfg(test)]
fn lacks(entry: &CauseEntry<'_>) -> Vec<String> {
    let mut lacks = Vec::new();
    let mut want = |what: &str, is_there: bool| {
        if !is_there {
            lacks.push(format!("`{}` has no {what}", entry.id));
        }
    };
    want("class", !entry.class().is_empty());
    want("title", !entry.title().is_empty());
    if let Some(cause) = entry.machine {
        want("explanation", cause.explanation().is_some());
    }
    for rule in &entry.rules {
        want("why", !rule.root_cause.is_empty());
        want("mend", !rule.remedy.is_empty());
        want("look", !looks(rule).is_empty());
        want("evidence", !evidence(rule).is_empty());
    }
    lacks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_of_the_machine_and_of_the_rules_has_a_whole_entry() {
        let rules = crate::triage::builtin();
        let entries = catalogue(&rules);
        for id in Cause::ALL.iter().map(|cause| cause.id()) {
            assert!(find(&entries, id).is_some_and(|entry| entry.machine.is_some()), "{id}");
        }
        for rule in rules.as_slice() {
            let entry = find(&entries, &rule.cause).unwrap();
            assert!(entry.rules.iter().any(|known| known.id == rule.id), "{}", rule.id);
            assert!(entry.page().contains(&rule.root_cause), "{}", rule.id);
            assert!(find(&entries, &rule.id).is_some());
        }
        let lacking: Vec<_> = entries.iter().flat_map(lacks).collect();
        assert_eq!(lacking, Vec::<String>::new());
    }

    #[test]
    fn the_check_sees_an_entry_that_is_not_whole() {
        let rules = crate::triage::builtin();
        let mut rule = rules.as_slice()[0].clone();
        (rule.root_cause, rule.remedy) = (String::new(), String::new());
        rule.steps.clear();
        let entry = CauseEntry {
            id: "made-up".to_owned(),
            machine: None,
            rules: vec![&rule],
        };
        assert_eq!(lacks(&entry).len(), 3, "{:?}", lacks(&entry));
        let nobody = CauseEntry {
            id: "made-up".to_owned(),
            machine: None,
            rules: Vec::new(),
        };
        assert_eq!(lacks(&nobody).len(), 2);
    }

    #[test]
    fn what_is_mistyped_is_found() {
        let rules = crate::triage::builtin();
        let entries = catalogue(&rules);
        assert_eq!(meant(&entries, "kernel-panik"), Some("kernel-panic"));
        assert_eq!(meant(&entries, "sshnotlistening"), Some("ssh-not-listening"));
        assert_eq!(meant(&entries, "xyzzy-plugh-frobnicate"), None);
    }
}
