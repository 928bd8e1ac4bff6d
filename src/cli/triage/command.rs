//! The command and its choices.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use crate::evidence::RunRecord;
use crate::machine::{Class, Verdict};
use crate::text::printable_json;
use crate::triage::{Rules, Source};

use super::super::{gate, rules, say};
use super::found::Log;
use super::{against, catalogue, old_run, scan};

/// Run the rules over logs: name the cause, its root cause and its remedy.
///
/// A log is any file (`-` is standard input) or the directory of a run, whose console, command outputs, QMP events and
/// login attempts are then read as what they are. Each log is one stage from its beginning to its end. A console that a run has
/// continued in other files is read whole, and what of it was not kept is named.
///
/// The exit code is that of the worst finding that would decide a log: 1 failed, 5 untestable, 4 infrastructure,
/// 3 known failure; 0 if nothing but notes was found; 2 if a log or the rules can't be read. With --lint it is 1 if a rule
/// is wrong, with --against 1 if a run is judged differently.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  bootgate triage old-ci-job.log
  bootgate triage runs/last --rules extra.toml
  bootgate triage --lint extra.toml
  bootgate triage --against runs --rules extra.toml")]
pub(in crate::cli) struct Triage {
    /// The logs; with --lint, the rules files (none: the built-in rules).
    #[arg(value_name = "LOG", required_unless_present_any = ["list", "lint", "against"], conflicts_with_all = ["list", "against"])]
    logs: Vec<PathBuf>,
    /// Rules that are tried before the built-in ones. May be given more than once.
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Take the logs' lines for lines of this source: serial, command-output, ssh, mark, qmp, qemu-stderr. Default: of any.
    #[arg(long, value_name = "SOURCE", value_parser = source)]
    source: Option<Source>,
    /// List the rules.
    #[arg(long, conflicts_with_all = ["lint", "against"])]
    list: bool,
    /// Try each rule on its fixtures.
    #[arg(long, conflicts_with_all = ["against", "rules"])]
    lint: bool,
    /// Judge all past runs below this directory again, and list those that are judged differently.
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn source(name: &str) -> Result<Source, String> {
    match Source::named(name) {
        Some(source) if source != Source::Cause => Ok(source),
        _ => {
            let names = Source::ALL.iter().filter(|source| **source != Source::Cause);
            let names: Vec<_> = names.map(|source| source.as_str()).collect();
            Err(format!("the sources are {}", names.join(", ")))
        }
    }
}

impl Triage {
    pub(in crate::cli) fn execute(self) -> ExitCode {
        let files = if self.lint { &self.logs } else { &self.rules };
        let read = match rules::read(files) {
            Ok(read) => read,
            Err(error) => {
                gate::tell(&error, self.json);
                return ExitCode::from(Verdict::EXIT_USAGE);
            }
        };
        if self.lint {
            let count = if files.is_empty() {
                read.rules.as_slice().len()
            } else {
                read.count
            };
            return catalogue::lint(&read.rules, count, self.json);
        }
        if self.list {
            return catalogue::list(&read.rules, self.json);
        }
        // A rule that is being written need not prove itself yet.
        if let Ok(problems) = rules::problems(&read.rules, read.count) {
            rules::warn(&problems);
        }
        match &self.against {
            Some(directory) => against::against(&read.rules, directory, self.json),
            None => self.logs(&read.rules),
        }
    }

    fn logs(&self, rules: &Arc<Rules>) -> ExitCode {
        let mut logs: Vec<Log> = Vec::new();
        for path in &self.logs {
            let read = if path.join("run.json").exists() {
                RunRecord::read(path)
                    .and_then(|run| old_run::logs(rules, &run))
                    .map_err(|error| error.to_string())
            } else {
                scan::log(rules, self.source, path).map(|log| vec![log])
            };
            match read {
                Ok(more) => logs.extend(more),
                Err(error) => {
                    say::tell(format_args!(
                        "error: {error}\n  help: name a log file, the directory of a run, or `-`"
                    ));
                    return ExitCode::from(Verdict::EXIT_USAGE);
                }
            }
        }
        let code = logs
            .iter()
            .filter_map(|log| log.answer(rules))
            .map(code)
            .max_by_key(|code| badness(*code));
        let code = code.unwrap_or(0);
        let said = if self.json {
            let logs: Vec<_> = logs.iter().map(|log| log.json(rules)).collect();
            let all = json!({ "logs": logs, "exit_code": code });
            say::answer(printable_json(&all, true) + "\n")
        } else {
            say::answer(logs.iter().map(|log| log.text(rules)).collect::<String>())
        };
        if said == ExitCode::SUCCESS {
            ExitCode::from(code)
        } else {
            said
        }
    }
}

fn code(class: Class) -> u8 {
    match class {
        Class::KnownFailure => 3,
        Class::Infrastructure => 4,
        Class::Untestable => 5,
        _ => 1,
    }
}

fn badness(code: u8) -> usize {
    [0, 3, 4, 5, 1].iter().position(|known| *known == code).unwrap_or(0)
}
