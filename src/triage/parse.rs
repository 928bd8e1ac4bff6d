//! Reads rules from TOML.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::rule::{Rule, RuleClass, Source};
use crate::plan::Pattern;

/// The rules that come with bootgate. Of two that match the same line the more specific one stands first.
const BUILTIN: [(&str, &str); 5] = [
    ("firmware.toml", include_str!("rules/firmware.toml")),
    ("initramfs.toml", include_str!("rules/initramfs.toml")),
    ("kernel.toml", include_str!("rules/kernel.toml")),
    ("userspace.toml", include_str!("rules/userspace.toml")),
    ("storage.toml", include_str!("rules/storage.toml")),
];

/// The rules that come with bootgate.
///
/// # Panics
///
/// Never: the rules are part of the program, and a test reads them.
pub fn builtin() -> &'static Rules {
    static RULES: LazyLock<Rules> =
        LazyLock::new(|| Rules::parse(BUILTIN).expect("the built-in rules are well-formed"));
    &RULES
}

/// An ordered set of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// Rules that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// The text is not TOML, or not of the form that rules have.
    #[error("{file} is not a rules file: {problem}")]
    Form {
        /// The file's name.
        file: String,
        /// What is wrong, with line and column.
        problem: String,
    },
    /// A rule contradicts itself or another one.
    #[error("rule `{id}` in {file} {problem}")]
    Rule {
        /// The file's name.
        file: String,
        /// The rule's name.
        id: String,
        /// What is wrong; it reads after the rule's name.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    rule: Vec<RuleForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleForm {
    id: String,
    class: RuleClass,
    cause: String,
    fatal: bool,
    sources: Vec<Source>,
    text: Option<String>,
    regex: Option<String>,
    #[serde(default)]
    prompt: bool,
    title: String,
    root_cause: String,
    remedy: String,
    matches: Vec<String>,
    ignores: Vec<String>,
}

impl Rules {
    /// Reads rules from files, each given by name and text.
    pub fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, RulesError> {
        let mut rules = Vec::new();
        let mut ids = HashSet::new();
        for (file, text) in files {
            let form: FileForm = toml::from_str(text).map_err(|error| RulesError::Form {
                file: file.to_owned(),
                problem: error.to_string(),
            })?;
            for form in form.rule {
                let id = form.id.clone();
                let new = ids.insert(id.clone());
                let rule = form.check().and_then(|rule| {
                    if new {
                        Ok(rule)
                    } else {
                        Err("has the name of another rule".to_owned())
                    }
                });
                let file = file.to_owned();
                rules.push(rule.map_err(|problem| RulesError::Rule { file, id, problem })?);
            }
        }
        Ok(Self(rules))
    }

    /// The rules, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Rule> {
        self.0.iter()
    }

    /// The rule of that name.
    pub fn get(&self, id: &str) -> Option<&Rule> {
        self.iter().find(|rule| rule.id == id)
    }

    /// Name, pattern and whether it is a prompt, of every rule for lines of that source, in order.
    pub fn patterns_for(&self, source: Source) -> impl Iterator<Item = (&str, &Pattern, bool)> {
        let rules = self.iter().filter(move |rule| rule.sources.contains(&source));
        rules.map(|rule| (rule.id.as_str(), &rule.pattern, rule.prompt))
    }
}

impl<'a> IntoIterator for &'a Rules {
    type Item = &'a Rule;
    type IntoIter = std::slice::Iter<'a, Rule>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl RuleForm {
    fn check(self) -> Result<Rule, String> {
        let pattern = match (self.text, self.regex) {
            (Some(text), None) => Pattern::Text(text),
            (None, Some(regex)) => Pattern::Regex(regex),
            _ => return Err("needs either `text` or `regex`".to_owned()),
        };
        if let Err(error) = Regex::new(&pattern.to_regex()) {
            return Err(format!("has a pattern that does not compile: {error}"));
        }
        for (key, name) in [("id", &self.id), ("cause", &self.cause)] {
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || !name.chars().all(allowed) {
                return Err(format!(
                    "has a name in `{key}` of other than lower-case letters, digits and `-`"
                ));
            }
        }
        let empty = [
            ("sources", self.sources.is_empty()),
            ("matches", self.matches.is_empty()),
            ("ignores", self.ignores.is_empty()),
            ("title", self.title.is_empty()),
            ("root_cause", self.root_cause.is_empty()),
            ("remedy", self.remedy.is_empty()),
        ];
        if let Some((key, _)) = empty.iter().find(|(_, empty)| *empty) {
            return Err(format!("has an empty `{key}`"));
        }
        if self.fatal && self.class == RuleClass::Note {
            return Err("ends the run (`fatal`) but is a note; give it the class of its verdict".to_owned());
        }
        Ok(Rule {
            id: self.id,
            class: self.class,
            cause: self.cause,
            fatal: self.fatal,
            sources: self.sources,
            pattern,
            prompt: self.prompt,
            title: self.title,
            root_cause: self.root_cause,
            remedy: self.remedy,
            matches: self.matches,
            ignores: self.ignores,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_rules_match_their_lines_and_no_others() {
        for rule in builtin() {
            let regex = Regex::new(&rule.pattern.to_regex()).unwrap();
            for line in &rule.matches {
                assert!(regex.is_match(line), "{} does not match {line:?}", rule.id);
            }
            for line in &rule.ignores {
                assert!(!regex.is_match(line), "{} matches {line:?}", rule.id);
            }
        }
    }

    #[test]
    fn of_two_rules_the_more_specific_stands_first() {
        let first = |line: &str| {
            let matches = |rule: &&Rule| Regex::new(&rule.pattern.to_regex()).unwrap().is_match(line);
            builtin().iter().find(matches).map(|rule| rule.id.as_str())
        };
        for rule in builtin() {
            // A rule that never comes first for any of its own lines could as well not be there.
            assert!(
                rule.matches.iter().any(|line| first(line) == Some(&rule.id)),
                "{}",
                rule.id
            );
        }
    }

    #[test]
    fn sentences_are_sentences() {
        for rule in builtin() {
            for sentence in [&rule.root_cause, &rule.remedy] {
                assert!(sentence.ends_with('.'), "{}: {sentence}", rule.id);
            }
            assert!(!rule.title.ends_with('.'), "{}: a title is not a sentence", rule.id);
        }
    }

    #[test]
    fn each_source_has_its_rules() {
        let ids: Vec<_> = builtin()
            .patterns_for(Source::CommandOutput)
            .map(|(id, _, _)| id)
            .collect();
        assert_eq!(ids, ["guest-out-of-memory", "no-space-left", "luks-wrong-passphrase"]);
        assert!(
            builtin()
                .patterns_for(Source::Serial)
                .any(|(id, _, prompt)| id == "initramfs-prompt" && prompt)
        );
        assert_eq!(builtin().get("kernel-panic").map(|rule| rule.fatal), Some(true));
    }

    fn rule(changed: &str, to: &str) -> String {
        let rule = r#"
[[rule]]
id = "one"
class = "note"
cause = "cause"
fatal = false
sources = ["serial"]
text = "one"
title = "One"
root_cause = "One."
remedy = "Two."
matches = ["one"]
ignores = ["two"]
"#;
        assert!(rule.contains(changed), "{changed}");
        rule.replace(changed, to)
    }

    #[test]
    fn bad_rules_are_refused_by_name() {
        for (changed, to, problem) in [
            (
                "text = \"one\"",
                "",
                "rule `one` in rules.toml needs either `text` or `regex`",
            ),
            (
                "text = \"one\"",
                "regex = \"a(\"",
                "rule `one` in rules.toml has a pattern that does not compile: ",
            ),
            (
                "fatal = false",
                "fatal = true",
                "rule `one` in rules.toml ends the run (`fatal`) but is a note",
            ),
            (
                "matches = [\"one\"]",
                "matches = []",
                "rule `one` in rules.toml has an empty `matches`",
            ),
            (
                "cause = \"cause\"",
                "cause = \"A b\"",
                "rule `one` in rules.toml has a name in `cause` of other than",
            ),
            (
                "class = \"note\"",
                "class = \"bad\"",
                "rules.toml is not a rules file: TOML parse error at line 4, column 9",
            ),
        ] {
            let text = rule(changed, to);
            let error = Rules::parse([("rules.toml", text.as_str())]).unwrap_err().to_string();
            assert!(error.starts_with(problem), "{error}");
        }
        let twice = rule("id", "id").repeat(2);
        let error = Rules::parse([("rules.toml", twice.as_str())]).unwrap_err().to_string();
        assert_eq!(error, "rule `one` in rules.toml has the name of another rule");
    }
}
