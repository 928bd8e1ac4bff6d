//! What a stage begins with: the run of the stage before it is found, looked at, and brought into this run's directory.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::sync::watch;

use crate::checkpoint::{Cancel, Checkpoint, Images, ORIGIN, Progress, RestoreError};
use crate::driver::{CHECKPOINT, StepStart};
use crate::evidence::{EvidenceError, RunDir, RunRecord, RunState, STEP_FORMAT, StepRecord};
use crate::machine::{Part, Step, Verdict};
use crate::plan::{ImageSource, Plan, StageKind, VmUse};
use crate::qemu::disk;
use crate::text::terminal_line;

use super::args::Wanted;
use super::origin::Origin;
use super::skip::Skipped;

const PROBLEM_CHARS_MAX: usize = 2000;
/// The exit code if the host is at fault.
const EXIT_HOST: u8 = 4;

/// Why nothing was started, and what to do.
#[derive(Debug)]
pub(in crate::cli) struct Refused {
    pub(in crate::cli) problem: String,
    pub(in crate::cli) help: String,
    pub(in crate::cli) code: u8,
}

impl Refused {
    pub(super) fn usage(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            problem: terminal_line(problem.into(), PROBLEM_CHARS_MAX),
            help: help.into(),
            code: Verdict::EXIT_USAGE,
        }
    }

    pub(super) fn host(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            code: EXIT_HOST,
            ..Self::usage(problem, help)
        }
    }

    fn restore(error: &RestoreError) -> Self {
        let problem = error.to_string();
        match error {
            RestoreError::NoImage { .. } => Self::usage(problem, "nothing was started"),
            _ => Self::host(problem, "run the stage before this one again"),
        }
    }
}

impl From<EvidenceError> for Refused {
    fn from(error: EvidenceError) -> Self {
        Self::host(error.to_string(), "free space, or choose another place with --runs")
    }
}

/// A stage that has begun as a run of its own.
#[derive(Debug)]
pub(in crate::cli) struct Begun {
    pub(in crate::cli) part: Part,
    /// What it goes on with.
    pub(in crate::cli) start: Option<StepStart>,
    /// It goes on with nothing, because the stage before it has not passed.
    pub(in crate::cli) skipped: Option<Skipped>,
    pub(super) record: StepRecord,
    pub(super) output: Option<PathBuf>,
    pub(super) no_bundle: bool,
}

impl Wanted {
    /// Brings what the stage goes on with into the run's directory, and says that the run is this stage's.
    pub(in crate::cli) async fn begin(
        self,
        plan: &mut Plan,
        runs: &Path,
        run: &RunDir,
        gate_sha256: &str,
    ) -> Result<Begun, Refused> {
        let mut begun = Begun {
            part: Part::Stage(Box::new(Step {
                stage: self.index,
                left: None,
            })),
            start: None,
            skipped: None,
            record: StepRecord {
                format: STEP_FORMAT,
                gate: plan.gate.clone(),
                gate_sha256: gate_sha256.to_owned(),
                stage: plan.stages[self.index].name.clone(),
                image_sha256: None,
                handed: None,
            },
            output: self.output,
            no_bundle: self.no_bundle,
        };
        if self.index > 0 {
            let before = plan.stages[self.index - 1].name.clone();
            match Origin::find(self.from.as_deref(), runs, &plan.gate, &before)? {
                Some(origin) => begun.go_on(plan, self.index, run, &origin).await?,
                None => begun.skipped = Some(Skipped::missing(&before, runs, "there is none")),
            }
        }
        run.write_json(crate::evidence::STEP, &begun.record)?;
        Ok(begun)
    }
}

impl Begun {
    async fn go_on(&mut self, plan: &mut Plan, index: usize, run: &RunDir, origin: &Origin) -> Result<(), Refused> {
        let into = run.path().join(ORIGIN);
        let before = plan.stages[index - 1].name.clone();
        let (directory, taken_along) = origin.open(&into).await?;
        let step = StepRecord::read(&directory).map_err(|error| {
            let problem = format!("`{}` is no run of one stage: {error}", origin.path().display());
            Refused::usage(
                problem,
                format!("run the stage before it first: `bootgate run GATE --stage {before}`"),
            )
        })?;
        self.check(&step, &before, origin)?;
        let record = RunRecord::read(&directory)?;
        let state = record.verdict_state()?;
        if state == RunState::Live {
            let problem = format!("the run of stage `{before}` in {} still goes on", directory.display());
            return Err(Refused::usage(problem, "wait for its end"));
        }
        let result = record.result()?.unwrap_or(Value::Null);
        self.record.image_sha256.clone_from(&step.image_sha256);
        let passed = result["verdict"]["class"] == "passed";
        let Some(handed) = step.handed.clone().filter(|_| passed) else {
            self.skipped = Some(match result {
                Value::Null => Skipped::missing(&before, origin.path(), "it was interrupted"),
                _ if passed => Skipped::missing(&before, origin.path(), "it has left nothing to go on with"),
                result => Skipped::after(&result, &before, origin.path()),
            });
            origin.forget(&into, None);
            return Ok(());
        };
        self.part = Part::Stage(Box::new(Step {
            stage: index,
            left: Some(handed.left),
        }));
        let checkpoint = bring(origin, &directory, &into)
            .await
            .map_err(|error| Refused::restore(&error))?;
        let images = self.images(plan, index, &checkpoint, taken_along).await?;
        self.start = Some(StepStart { checkpoint, images });
        Ok(())
    }

    fn check(&self, step: &StepRecord, before: &str, origin: &Origin) -> Result<(), Refused> {
        let (mine, path) = (&self.record, origin.path().display());
        if step.gate != mine.gate {
            let problem = format!(
                "`{path}` is a run of the gate `{}`, and this is `{}`",
                step.gate, mine.gate
            );
            return Err(Refused::usage(problem, "name a run of this gate by --from"));
        }
        if step.stage != before {
            let problem = format!(
                "`{path}` is a run of the stage `{}`, and `{}` goes on after `{before}`",
                step.stage, mine.stage
            );
            return Err(Refused::usage(
                problem,
                format!("name a run of the stage `{before}` by --from"),
            ));
        }
        if step.gate_sha256 != mine.gate_sha256 {
            let problem = format!(
                "`{path}` was made with another gate file: its SHA-256 was {}, and that of this one is {}",
                step.gate_sha256, mine.gate_sha256
            );
            return Err(Refused::usage(
                problem,
                "run the stages from the first on with one gate file",
            ));
        }
        Ok(())
    }

    /// The images that the stage needs, by their digests.
    async fn images(
        &self,
        plan: &mut Plan,
        index: usize,
        checkpoint: &Checkpoint,
        taken_along: Vec<PathBuf>,
    ) -> Result<Images, Refused> {
        let stage = &plan.stages[index];
        let boots_image = !matches!(stage.kind, StageKind::InstalledBoot { .. });
        let is_machine = stage.vm == VmUse::Same;
        if !is_machine && !boots_image {
            return Ok(Images::default());
        }
        if checkpoint.record().base_images().is_empty() {
            return self.known_image(plan).map(|()| Images::default());
        }
        let offered = image_paths(plan).into_iter().chain(taken_along).collect();
        let (progress, _) = watch::channel(Progress::default());
        let found = checkpoint.find_images(offered, progress, &Cancel::default()).await;
        let images = found.map_err(|error| Refused::restore(&error))?;
        put_images(plan, &images);
        Ok(images)
    }

    /// The machine before had no image, so that only the first stage's digest tells whether this is the one.
    fn known_image(&self, plan: &Plan) -> Result<(), Refused> {
        let (Some(wanted), Some(path)) = (&self.record.image_sha256, image_paths(plan).into_iter().next()) else {
            return Ok(());
        };
        let found = disk::digest(&path, |_| ControlFlow::Continue(()));
        let found = found.map_err(|error| {
            let problem = format!("the image `{}` can't be read: {error}", path.display());
            Refused::usage(problem, "name it by --image")
        })?;
        if found.to_string() == *wanted {
            return Ok(());
        }
        let problem = format!(
            "`{}` has the SHA-256 {found}, and the stages before had {wanted}",
            path.display()
        );
        Err(Refused::usage(problem, "name the image that they had by --image"))
    }
}

/// The checkpoint in the run's own directory, each file as it was when it was saved.
async fn bring(origin: &Origin, directory: &Path, into: &Path) -> Result<Checkpoint, RestoreError> {
    let saved = Checkpoint::open(&directory.join(CHECKPOINT))?;
    if let Origin::Bundle(_) = origin {
        origin.forget(into, Some(&saved));
        return Ok(saved);
    }
    let adopted = saved.adopt(CHECKPOINT, into).await?;
    let (progress, _) = watch::channel(Progress::default());
    adopted.verify(progress, &Cancel::default()).await?;
    Ok(adopted)
}

fn image_paths(plan: &Plan) -> Vec<PathBuf> {
    match &plan.image.source {
        ImageSource::Iso(path) | ImageSource::Disk { path, .. } => vec![path.clone()],
        ImageSource::Kernel { kernel, initrd, .. } => std::iter::once(kernel).chain(initrd).cloned().collect(),
    }
}

/// The images where they were found.
fn put_images(plan: &mut Plan, images: &Images) {
    let mut paths = images.paths().iter().cloned();
    match &mut plan.image.source {
        ImageSource::Iso(path) | ImageSource::Disk { path, .. } => {
            *path = paths.next().unwrap_or_else(|| path.clone());
        }
        ImageSource::Kernel { kernel, initrd, .. } => {
            *kernel = paths.next().unwrap_or_else(|| kernel.clone());
            *initrd = initrd.take().map(|path| paths.next().unwrap_or(path));
        }
    }
}
