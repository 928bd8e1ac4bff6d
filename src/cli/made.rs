//! A run that goes on: what is told meanwhile and in the end, and what it leaves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use crate::driver::{self, Options, Outcome, Secrets, StopSignals};
use crate::evidence::{EvidenceError, RunDir};
use crate::machine::Class;
use crate::plan::Plan;
use crate::report::{Ci, Closing, Groups, Hold, Sheet, Told, hold_block, verdict_sheet};
use crate::text::printable_json;
use crate::view::Model;

use super::finish::{Ending, Kept};
use super::image_digest::ImageDigest;
use super::place::Place;
use super::print::{Printer, Watched};
use super::step::Begun;
use super::watch::Watcher;
use super::{background, ci, finish};

/// A cancelled run must be gone within 5 s: its last text is not waited for longer than this.
const CANCELLED_PRINT: Duration = Duration::from_millis(500);

const HOLD_ENDED: &str = "The hold has ended; the machine is gone, the evidence stays.\n";

/// How many rows a hold is told in, by two lines or by the view, with a path that takes two.
const HOLD_ROWS: usize = 6;

/// What is told below the verdict.
#[derive(Default)]
struct LastTold {
    /// Lines about the bundle, with labels.
    bundle: String,
    /// Lines for a CI job, which no person reads.
    job: String,
}

/// A run that has its directory.
pub(super) struct Made {
    pub(super) plan: Arc<Plan>,
    pub(super) run: Arc<RunDir>,
    pub(super) options: Options,
    /// The gate file's text.
    pub(super) gate_file: String,
    pub(super) ci: Ci,
    /// The stage, if it is a run of one stage.
    pub(super) step: Option<Begun>,
    pub(super) gate_sha256: String,
    pub(super) json: bool,
    pub(super) quiet: bool,
    pub(super) background: bool,
}

impl Made {
    pub(super) async fn run_to_end(self, secrets: Secrets, digest: ImageDigest, signals: &mut StopSignals) -> u8 {
        let watched = Watched::new(self.model());
        let place = Place::look(self.json, self.quiet, self.ci);
        let printer = Printer::start(place, watched.clone());
        let driven = self.drive(secrets, signals, &printer, &watched).await;
        watched.change(|model| model.closes("keeping the evidence"));
        let (code, answer, cancelled) = match driven {
            Ok((outcome, was_held)) => {
                let cancelled = outcome.verdict.class == Class::Cancelled;
                // What the stages before have read is what was tested.
                let known = self.step.as_ref().and_then(Begun::image_sha256);
                let digest = match known {
                    Some(known) => Some(known),
                    None => digest.finish(cancelled, signals).await,
                };
                let (result, told, is_lost) = self.finish(&outcome, digest, &printer, signals).await;
                #[cfg(feature = "otlp")]
                super::otlp::after_run(self.run.path(), cancelled, signals, &printer).await;
                // Whoever was told of the hold knows the verdict.
                let answer = if was_held {
                    HOLD_ENDED.to_owned()
                } else {
                    self.answer(&outcome, &result, &told, printer.place.sheet())
                };
                // The next stage would find nothing to go on with.
                let code = match outcome.verdict.exit_code() {
                    0 if is_lost => 4,
                    code => code,
                };
                (code, answer, cancelled)
            }
            Err(error) => {
                printer.tell(format_args!("error: the evidence can't be kept: {error}"));
                (4, String::new(), false)
            }
        };
        // The run is over, also for others, before its last text is read.
        drop(self);
        let enough = async {
            if cancelled {
                tokio::time::sleep(CANCELLED_PRINT).await;
            } else {
                signals.next().await;
            }
        };
        printer.finish(answer, enough).await;
        code
    }

    /// The run as it is shown before it begins.
    fn model(&self) -> Model {
        let stages = self.options.part.stages(&self.plan);
        let inspect = format!("bootgate inspect {}", self.run.path().display());
        Model::new(&self.plan, stages, inspect, Instant::now())
    }

    async fn drive(
        &self,
        secrets: Secrets,
        signals: &mut StopSignals,
        printer: &Printer,
        watched: &Watched,
    ) -> Result<(Outcome, bool), EvidenceError> {
        let mut was_held = false;
        let mut on_held = |outcome: &Outcome, expires: Timestamp| {
            was_held = true;
            self.held(outcome, expires, printer);
        };
        let mut watcher = Watcher {
            plan: self.plan.clone(),
            on_held: &mut on_held,
            printer,
            watched: watched.clone(),
            groups: Groups::new(self.ci),
        };
        let id = &self.run.info().id;
        watcher.line(format_args!("bootgate {}  run {id}", env!("CARGO_PKG_VERSION")));
        if let Some(skipped) = self.step.as_ref().and_then(|step| step.skipped.as_ref()) {
            self.run.keep_gate(self.options.kept_gate.as_bytes())?;
            return Ok((skipped.outcome(&self.plan, &self.options.part, &self.run)?, false));
        }
        let outcome = driver::run(
            self.plan.clone(),
            secrets,
            self.run.clone(),
            &self.options,
            signals,
            &mut watcher,
        )
        .await?;
        Ok((outcome, was_held))
    }

    /// Writes what the run ends with. Gives the result, what is to be told of the bundle, and whether it is lacking.
    async fn finish(
        &self,
        outcome: &Outcome,
        digest: Option<String>,
        printer: &Printer,
        signals: &mut StopSignals,
    ) -> (Value, LastTold, bool) {
        let (plan, run, step) = (&self.plan, &self.run, self.step.as_ref());
        let kept = Kept::of(plan, run, outcome, step);
        let write = |kept| finish::write(plan, run, outcome, &self.ending(digest.clone(), kept), printer);
        let result = write(&kept);
        match finish::pack(run, &kept, signals).await {
            Ok(bundle) => {
                let bundle = finish::told(plan, run, outcome, bundle.as_ref());
                let job = self.close(outcome, &kept, printer);
                (result, LastTold { bundle, job }, false)
            }
            Err(why) => {
                let bundle = format!("Bundle:   none: {why}\n          the evidence and the verdict stand\n");
                let kept = Kept::NoBundle(why);
                let result = write(&kept);
                let job = self.close(outcome, &kept, printer);
                (result, LastTold { bundle, job }, true)
            }
        }
    }

    /// What the CI job gets. Gives lines for its log; a result for a program keeps standard output to itself.
    fn close(&self, outcome: &Outcome, kept: &Kept, printer: &Printer) -> String {
        let closing = Closing {
            plan: &self.plan,
            gate_file: &self.gate_file,
            outcome,
            run: self.run.path(),
            bundle: kept.bundle(),
        };
        let (lines, problems) = ci::close(self.ci, &closing);
        for problem in problems {
            printer.tell(format_args!("warning: {problem}"));
        }
        if self.json {
            for line in lines {
                printer.tell(line);
            }
            return String::new();
        }
        lines.into_iter().map(|line| line + "\n").collect()
    }

    fn ending<'a>(&'a self, image_sha256: Option<String>, kept: &'a Kept) -> Ending<'a> {
        Ending {
            image_sha256,
            gate_sha256: &self.gate_sha256,
            kept,
            step: self.step.as_ref(),
        }
    }

    /// What is told in the end.
    fn answer(&self, outcome: &Outcome, result: &Value, told: &LastTold, sheet: Sheet) -> String {
        if self.json {
            return printable_json(result, true) + "\n";
        }
        let beside = Told {
            run: self.run.path(),
            further: &told.bundle,
        };
        verdict_sheet(&self.plan, outcome, &beside, sheet) + &told.job
    }

    /// The verdict is told, and written, while the machine is held: the hold may last for hours, or end by a kill.
    fn held(&self, outcome: &Outcome, expires: Timestamp, printer: &Printer) {
        let result = finish::write(
            &self.plan,
            &self.run,
            outcome,
            &self.ending(None, &Kept::Nothing),
            printer,
        );
        let sheet = printer.place.sheet().above(HOLD_ROWS);
        printer.text(self.answer(outcome, &result, &LastTold::default(), sheet));
        // The view shows it, as long as there is one.
        if printer.place.is_live() && !self.background {
            return;
        }
        let hold = Hold {
            run: self.run.path(),
            expires,
            background: self.background,
        };
        if self.json {
            printer.tell(hold_block(&hold));
        } else {
            printer.text(hold_block(&hold));
        }
        if self.background {
            if let Err(error) = background::release() {
                printer.tell(format_args!("warning: the hold ends with this terminal: {error}"));
            }
            printer.let_go(outcome.verdict.exit_code());
        }
    }
}
