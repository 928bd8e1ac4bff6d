//! `bootgate decide`: may the image be published?

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::bundle;
use crate::decide::{Production, RunFacts, decide};
use crate::evidence::{self, RunRecord, RunState, StepRecord};
use crate::machine::Verdict;
use crate::qemu::disk;
use crate::report::{decision_block, decision_json};
use crate::text::{printable_json, terminal_line};
use crate::units::MIB;

use super::{args, say};

/// The largest result that is read, in bytes.
const RESULT_BYTES_MAX: u64 = 16 * MIB;
const PROBLEM_CHARS_MAX: usize = 400;

/// Decide from the runs of a gate whether its image may be published.
///
/// Every stage that the gate requires must have passed in one of the runs, and no run may have failed, unless by a failure
/// that a rule knows, that may be published, and whose rule has not expired. Runs that came to no answer say nothing: repeat
/// them and name the new ones as well.
///
/// The exit code is 0 only if all is well: 1 the image is at fault, 2 the runs do not belong together, 3 a known failure
/// (the decision says whether the image may be published in spite of it), 4 no answer, repeat the run, 5 not tested.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bootgate decide last\n  bootgate decide boot.tar.zst export.tar.zst install.tar.zst installed.tar.zst --json"
)]
pub(super) struct Decide {
    /// The runs: `last`, ids or parts of them, directories, or bundles.
    #[arg(required = true, value_name = "RUN|BUNDLE")]
    asked: Vec<String>,
    #[command(flatten)]
    runs: args::RunsDir,
    /// The image that is to be published, if it is not the one that was tested: its digest is told.
    #[arg(long, value_name = "FILE")]
    production: Option<PathBuf>,
    /// Print what a program would read as JSON.
    #[arg(long)]
    json: bool,
}

impl Decide {
    pub(super) fn execute(self) -> ExitCode {
        let mut facts = Vec::new();
        for asked in &self.asked {
            match read(&self.runs.dir, asked) {
                Ok(run) => facts.push(run),
                Err(problem) => return refuse(&format!("`{asked}`: {problem}")),
            }
        }
        if let Some(file) = &self.production {
            match production(file) {
                Ok(production) => {
                    for run in &mut facts {
                        // A digest that a run has told stands against it.
                        let told = run.production.take().and_then(|known| known.sha256);
                        run.production = Some(Production {
                            sha256: told.or_else(|| production.sha256.clone()),
                            ..production.clone()
                        });
                    }
                }
                Err(problem) => return refuse(&format!("`{}`: {problem}", file.display())),
            }
        }
        let today = jiff::Timestamp::now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date()
            .to_string();
        let decision = decide(&facts, &today);
        let _ = if self.json {
            say::answer(printable_json(&decision_json(&decision), true) + "\n")
        } else {
            say::answer(decision_block(&decision))
        };
        ExitCode::from(decision.answer.exit_code())
    }
}

fn refuse(problem: &str) -> ExitCode {
    let problem = terminal_line(problem, PROBLEM_CHARS_MAX);
    say::tell(format_args!(
        "error: {problem}\n  help: name runs of one gate: their ids, their directories, or their bundles"
    ));
    ExitCode::from(Verdict::EXIT_USAGE)
}

fn production(file: &Path) -> Result<Production, String> {
    let digest = disk::digest(file, |_| ControlFlow::Continue(())).map_err(|error| error.to_string())?;
    Ok(Production {
        path: file.display().to_string(),
        sha256: Some(digest.to_string()),
    })
}

/// What a run, or the bundle of one, says.
fn read(runs: &Path, asked: &str) -> Result<RunFacts, String> {
    let path = Path::new(asked);
    if path.is_file() {
        let bytes = bundle::peek(path, "result.json", RESULT_BYTES_MAX).map_err(|error| error.to_string())?;
        let bytes = bytes.ok_or("the bundle holds no result.json")?;
        let result: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        return RunFacts::of_result(&result).map_err(|error| error.to_string());
    }
    let run = evidence::open(runs, asked).map_err(|error| error.to_string())?;
    match run.verdict_state().map_err(|error| error.to_string())? {
        RunState::Live => Err("it still goes on; wait for its end".to_owned()),
        RunState::Interrupted { .. } => Ok(interrupted(&run)),
        RunState::Finished => {
            let result = run.result().map_err(|error| error.to_string())?;
            let result = result.ok_or("it has no result")?;
            RunFacts::of_result(&result).map_err(|error| error.to_string())
        }
    }
}

/// A run that was killed says nothing; that it was there, it says.
fn interrupted(run: &RunRecord) -> RunFacts {
    let step = StepRecord::read(&run.path).ok();
    RunFacts::interrupted(
        &run.info.id,
        &run.info.gate,
        step.map(|step| (step.stage, step.gate_sha256)),
    )
}
