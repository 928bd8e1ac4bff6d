//! `bootgate explain`: the catalogue of causes.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::machine::Verdict;
use crate::report::{CauseEntry, catalogue, find, meant};
use crate::text::{printable_json, terminal_name};
use crate::triage;

use super::say;

/// How much of a word that nobody knows is shown, in characters.
const WORD_CHARS_MAX: usize = 80;

/// Explain a cause: what it means, how it is known, where the evidence lies, what to do, what to type next.
///
/// A verdict's cause is one that bootgate sees by itself, or one that a rule knows; both are here, and a rule is found by its
/// own id as well. Without a cause, all are listed. Exit code 2: there is no such cause.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bootgate explain ssh-not-listening\n  bootgate explain\n  bootgate explain kernel-panic --json"
)]
pub(super) struct Explain {
    /// The cause, as the verdict names it, or the rule.
    cause: Option<String>,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn execute(self) -> ExitCode {
        let rules = triage::builtin();
        let entries = catalogue(&rules);
        let Some(word) = &self.cause else {
            return say::answer(if self.json {
                let all: Value = entries.iter().map(CauseEntry::json).collect();
                printable_json(&all, true) + "\n"
            } else {
                list(&entries)
            });
        };
        if let Some(entry) = find(&entries, word) {
            return say::answer(if self.json {
                printable_json(&entry.json(), true) + "\n"
            } else {
                entry.page()
            });
        }
        let help = match meant(&entries, word) {
            Some(meant) => format!("did you mean `{meant}`? type: bootgate explain {meant}"),
            None => "`bootgate explain` lists all of them; a rule of your own is explained in its file".to_owned(),
        };
        let word = terminal_name(word, WORD_CHARS_MAX);
        say::tell(format_args!(
            "error: there is no cause and no rule `{word}`\n  help: {help}"
        ));
        ExitCode::from(Verdict::EXIT_USAGE)
    }
}

fn list(entries: &[CauseEntry<'_>]) -> String {
    let id_width = entries.iter().map(|entry| entry.id.len()).max().unwrap_or(0);
    let class_width = "infrastructure".len();
    let mut text = format!(
        "{:<id_width$}  {:<class_width$}  exit  what happened\n",
        "cause", "class"
    );
    for entry in entries {
        let (id, class, exit, title) = (&entry.id, entry.class(), entry.exit(), entry.title());
        let _ = writeln!(text, "{id:<id_width$}  {class:<class_width$}  {exit:>4}  {title}");
    }
    text + "\nbootgate explain CAUSE tells more of one.\n"
}
