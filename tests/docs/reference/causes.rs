//! Causes, and the rules that know more of them.

use std::fmt::Write as _;

use bootgate::machine::{Cause, Class};
use bootgate::triage::builtin;

use super::markdown::{MADE, code, table};

const CLASSES: [Class; 6] = [
    Class::Failed,
    Class::Untestable,
    Class::Infrastructure,
    Class::Passed,
    Class::Cancelled,
    Class::Internal,
];

pub(super) fn page() -> String {
    let mut page = format!(
        "{MADE}\n# Causes\n\nA verdict names one cause. Some the state machine knows by itself; others are told by [rules](#built-in-rules),\n\
         which know a failure by its text. `verdict.cause` in `result.json` is the id.\n"
    );
    let mut count = 0;
    for class in CLASSES {
        let causes = Cause::ALL
            .iter()
            .map(|cause| cause.facts())
            .filter(|facts| facts.class == class);
        let rows: Vec<_> = causes
            .map(|facts| vec![code(facts.id), facts.title.to_owned(), facts.remedy.to_owned()])
            .collect();
        count += rows.len();
        let _ = write!(
            page,
            "\n## {}\n\n{}\n\n{}",
            class.as_str(),
            class.meaning(),
            table(&["cause", "what happened", "what to do"], rows)
        );
    }
    assert_eq!(count, Cause::ALL.len(), "a class without a section");
    let rules = builtin();
    let rows = rules.as_slice().iter().map(|rule| {
        let ends = if rule.fatal { "yes" } else { "" };
        vec![
            code(&rule.id),
            rule.class.as_str().to_owned(),
            code(&rule.cause),
            ends.to_owned(),
            format!("{}. {}", rule.title.trim_end_matches('.'), rule.root_cause),
            rule.remedy.clone(),
        ]
    });
    let _ = write!(
        page,
        "\n## Built-in rules\n\nThey are tried in this order; the rules of a gate come before them. A rule that ends the run does so at the line\n\
         that makes it certain; the others explain a failure that something else shows.\n\n{}",
        table(
            &[
                "rule",
                "class",
                "cause",
                "ends the run",
                "what happened, and why",
                "what to do"
            ],
            rows
        )
    );
    page
}
