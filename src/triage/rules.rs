//! The rules in their order, and those that come with bootgate.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::look::targets;
use crate::plan::{Look, LookNumber, Pattern, Rule, Source, parse_rules};
use crate::serial::marker::{Watch, WatchError};

macro_rules! rule_files {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("rules/", $name)))),*] };
}

macro_rules! fixture_files {
    ($($name:literal),* $(,)?) => {
        [$((concat!("triage/", $name), include_bytes!(concat!("../../fixtures/triage/", $name)))),*]
    };
}

/// The directory that the files of the built-in rules seem to lie in.
pub const BUILTIN_DIRECTORY: &str = "built-in";

/// The rules that come with bootgate. Of two that find something in the same line the more specific one stands first.
const BUILTIN: [(&str, &str); 10] = rule_files![
    "machine.toml",
    "install.toml",
    "firmware.toml",
    "emergency.toml",
    "initramfs.toml",
    "kernel.toml",
    "userspace.toml",
    "storage.toml",
    "network.toml",
    "host.toml",
];

/// The large fixtures of the built-in rules.
const FIXTURES: [(&str, &[u8]); 4] = fixture_files![
    "enospc-e2e-ci.log",
    "hostname-known.log",
    "hostname-not-complete.log",
    "squashfs-build.log",
];

/// The rules that come with bootgate.
///
/// # Panics
///
/// Never: the rules are part of the program, and a test reads them.
pub fn builtin() -> Arc<Rules> {
    static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| {
        let mut rules: Vec<Rule> = Vec::new();
        // From the last file to the first, so that the more specific ones may refer to the more general ones.
        for (name, text) in BUILTIN.iter().rev() {
            let file = Path::new(BUILTIN_DIRECTORY).join(name);
            let mut earlier = parse_rules(&file, text, &rules).unwrap_or_else(|errors| panic!("{errors}"));
            earlier.append(&mut rules);
            rules = earlier;
        }
        Arc::new(Rules::new(rules).expect("the built-in rules can be looked for together"))
    });
    RULES.clone()
}

/// A large fixture of the built-in rules.
pub fn builtin_fixture(name: &str) -> Option<&'static [u8]> {
    FIXTURES.iter().find(|(file, _)| *file == name).map(|(_, bytes)| *bytes)
}

/// Rules in their order: of two that find something in the same line, the earlier one is believed.
#[derive(Debug)]
pub struct Rules {
    all: Vec<Rule>,
    /// For each rule, the looks of others that are this rule.
    referrers: Vec<Vec<(usize, LookNumber)>>,
    /// For each rule that ends with a cause, what that cause's id looks like.
    causes: Vec<Option<Regex>>,
}

impl Rules {
    /// Rules that were read, in this order. A look that refers to a rule that is not there finds nothing.
    ///
    /// # Errors
    /// The patterns can't be looked for together.
    pub fn new(rules: Vec<Rule>) -> Result<Self, WatchError> {
        let mut referrers = vec![Vec::new(); rules.len()];
        for (at, rule) in rules.iter().enumerate() {
            for (number, look) in rule.looks() {
                let Look::Rule(id) = look else { continue };
                if let Some(meant) = rules.iter().position(|other| other.id == *id) {
                    referrers[meant].push((at, number));
                }
            }
        }
        let causes = rules.iter().map(cause_pattern).collect();
        let rules = Self {
            all: rules,
            referrers,
            causes,
        };
        Watch::new(targets(&rules, &Source::ALL))?;
        Ok(rules)
    }

    /// These rules, and before them others.
    ///
    /// # Errors
    /// The patterns can't be looked for together.
    pub fn after(&self, first: Vec<Rule>) -> Result<Self, WatchError> {
        Self::new(first.into_iter().chain(self.all.iter().cloned()).collect())
    }

    /// The rules, in order.
    pub fn as_slice(&self) -> &[Rule] {
        &self.all
    }

    /// The rule with this number.
    pub fn rule(&self, number: usize) -> &Rule {
        &self.all[number]
    }

    /// The rule of that name.
    pub fn get(&self, id: &str) -> Option<&Rule> {
        self.all.iter().find(|rule| rule.id == id)
    }

    pub(super) fn referrers(&self, rule: usize) -> &[(usize, LookNumber)] {
        &self.referrers[rule]
    }

    /// True if the rule says why a run ends with this cause.
    pub fn explains(&self, rule: usize, cause: &str) -> bool {
        self.causes[rule].as_ref().is_some_and(|regex| regex.is_match(cause))
    }

    pub(super) fn has_cause(&self, rule: usize) -> bool {
        self.causes[rule].is_some()
    }
}

/// What the cause looks like that the rule ends with.
fn cause_pattern(rule: &Rule) -> Option<Regex> {
    match rule.steps.last().map(|step| &step.look) {
        Some(Look::Line { sources, pattern, .. }) if sources.contains(&Source::Cause) => {
            // A cause's id is matched whole if it is written as a text.
            let pattern = match pattern {
                Pattern::Text(text) => format!("^{}$", regex::escape(text)),
                Pattern::Regex(regex) => regex.clone(),
            };
            Regex::new(&pattern).ok()
        }
        _ => None,
    }
}
