//! `bootgate replay`: a recorded run, handed to the machine again.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use crate::driver::{self, ReplayOptions};
use crate::evidence::{self, KEPT_GATE, RunRecord};
use crate::machine::Verdict;
use crate::report::ReplayReport;
use crate::text::printable_json;
use crate::triage::Rules;

use super::{args, gate, rules, say};

/// The exit code of a replay that came to another verdict, or to none.
const EXIT_DIFFERENT: u8 = 1;
/// The largest factor on deadlines, in percent: they still fit any clock.
const SCALE_PERCENT_MAX: u32 = 1_000_000;

/// Hand a recorded run to the machine again, without QEMU, and compare what comes of it.
///
/// Consoles, output, QMP events and logins are read anew, so that other markers, rules or deadlines show what they would
/// have changed. The exit code is 0 if the verdict is the recorded one, 1 if it is another or if the recording ends before
/// there is one (because the replayed machine does something that the recorded one did not), 2 if nothing can be replayed.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bootgate replay last\n  bootgate replay last --gate changed.toml\n  bootgate replay last --deadline-scale 50 --notes"
)]
pub(super) struct Replay {
    /// The run: `last`, its id or a part of it, or its directory.
    #[arg(default_value = "last")]
    run: String,
    #[command(flatten)]
    runs: args::RunsDir,
    /// Use the rules in this file in place of the run's own. The built-in ones come after them.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Use this gate file in place of the run's own.
    #[arg(long, value_name = "FILE")]
    gate: Option<PathBuf>,
    /// Scale the guest-facing deadlines, on top of what the run did.
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(SCALE_PERCENT_MAX)))]
    deadline_scale: u32,
    /// Show notes as well: sightings, login attempts, warnings.
    #[arg(long)]
    notes: bool,
    /// Print trace, verdicts and the first difference as JSON.
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub(super) fn execute(self) -> ExitCode {
        match self.replay() {
            Ok(report) => {
                let text = if self.json {
                    printable_json(&report.to_json(), true) + "\n"
                } else {
                    report.to_text(self.notes)
                };
                let said = say::answer(text);
                if report.is_same() {
                    said
                } else {
                    ExitCode::from(EXIT_DIFFERENT)
                }
            }
            Err(told) => {
                if let Some(problem) = told {
                    say::tell(format_args!("error: {problem}"));
                }
                ExitCode::from(Verdict::EXIT_USAGE)
            }
        }
    }

    /// An error of `None` is told already.
    fn replay(&self) -> Result<ReplayReport, Option<String>> {
        let told = |error: &dyn std::fmt::Display| Some(error.to_string());
        let run = evidence::open(&self.runs.dir, &self.run).map_err(|error| told(&error))?;
        let plan = gate::read(&self.gate_file(&run)?).map_err(|error| {
            gate::tell(&error, self.json);
            None
        })?;
        let rules = match (&self.rules, &self.gate) {
            (Some(file), _) => self.read_rules(std::slice::from_ref(file))?,
            (None, Some(_)) => self.read_rules(&plan.rules)?,
            (None, None) => self.read_rules(&kept_rules(&run))?,
        };
        let options = ReplayOptions {
            rules: Some(rules),
            deadline_scale_percent: self.deadline_scale,
        };
        let replayed = driver::replay(&run.path, plan, &options).map_err(|error| told(&error))?;
        let recorded = run.trace().map_err(|error| told(&error))?;
        Ok(ReplayReport::new(&run.info.id, recorded.records, replayed))
    }

    fn read_rules(&self, files: &[PathBuf]) -> Result<Arc<Rules>, Option<String>> {
        let read = rules::read(files).map_err(|error| {
            gate::tell(&error, self.json);
            None
        })?;
        Ok(read.rules)
    }

    fn gate_file(&self, run: &RunRecord) -> Result<PathBuf, Option<String>> {
        if let Some(gate) = &self.gate {
            return Ok(gate.clone());
        }
        let kept = run.path.join(KEPT_GATE);
        if kept.exists() {
            return Ok(kept);
        }
        Err(Some(format!(
            "the run {} has not kept its gate file: an older bootgate made it\n  help: name the gate file with --gate",
            run.info.id
        )))
    }
}

/// The rules files that came with the run's gate.
fn kept_rules(run: &RunRecord) -> Vec<PathBuf> {
    let files = (1..).map(|number| run.path.join(evidence::kept_rules(number)));
    files.take_while(|file| file.exists()).collect()
}
