//! Runs, as far as somebody who watches them knows.

use std::time::{Duration, Instant};

use bootgate::machine::{Class, DeadlineKind, Deadlines, Record, StageOutcome, State, Verdict};
use bootgate::plan::{self, Evidence, Plan};
use bootgate::text::Untrusted;
use bootgate::view::{Look, Model, Progress, Seen};

pub(crate) const INSPECT: &str = "bootgate inspect runs/tiny-install-20260102T030405Z-01234567";

pub(crate) fn plan() -> Plan {
    let gate = include_str!("../../fixtures/gates/tiny-install.toml");
    plan::parse("gate.toml".as_ref(), gate).unwrap()
}

/// A gate of so many stages.
pub(crate) fn plan_of(stages: usize) -> Plan {
    let mut plan = plan();
    let first = plan.stages[0].clone();
    plan.stages = (0..stages)
        .map(|number| {
            let mut stage = first.clone();
            stage.name = format!("stage-{number}");
            stage
        })
        .collect();
    plan
}

pub(crate) const PLAIN: Look = Look {
    columns: 80,
    rows: 24,
    colour: false,
    unicode: true,
};

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn note(what: &'static str, detail: &str) -> Record {
    Record::Note {
        state: State::Booting,
        what,
        detail: detail.to_owned(),
        evidence: None,
    }
}

/// Somebody who watches.
pub(crate) struct Run {
    pub(crate) model: Model,
    pub(crate) began: Instant,
    pub(crate) deadlines: Deadlines,
}

impl Run {
    pub(crate) fn new(plan: &Plan) -> Self {
        let began = Instant::now();
        Self {
            model: Model::new(plan, 0..plan.stages.len(), INSPECT.to_owned(), began),
            began,
            deadlines: Deadlines::default(),
        }
    }

    pub(crate) fn at(&self, second: u64) -> Instant {
        self.began + seconds(second)
    }

    pub(crate) fn record(&mut self, second: u64, record: &Record) {
        self.model.record(self.at(second), record);
    }

    pub(crate) fn begin(&mut self, second: u64, stage: usize, state: State, limit: u64) {
        self.record(second, &Record::StageBegan { stage });
        self.arm(second, DeadlineKind::Stage, limit);
        self.settle(state);
    }

    pub(crate) fn arm(&mut self, second: u64, kind: DeadlineKind, limit: u64) {
        self.deadlines
            .arm(kind, self.at(second), seconds(limit), seconds(limit));
    }

    pub(crate) fn settle(&mut self, state: State) {
        self.model.settled(state, &self.deadlines);
    }

    pub(crate) fn end(&mut self, second: u64, stage: usize, outcome: StageOutcome, reached: Evidence) {
        let reached = Some(reached);
        self.record(
            second,
            &Record::StageEnded {
                stage,
                outcome,
                reached,
            },
        );
    }

    pub(crate) fn says(&mut self, console: &str, output: Option<&str>, progress: Option<(u8, &str)>) {
        self.model.look(&Seen {
            console: Some(Untrusted::new(console)),
            output: output.map(Untrusted::new),
            progress: progress.map(|(percent, what)| Progress {
                percent,
                what: what.to_owned(),
            }),
        });
    }
}

/// The tiny guest boots.
pub(crate) fn booting() -> Run {
    let mut run = Run::new(&plan());
    run.begin(0, 0, State::Booting, 720);
    run.record(9, &note("kernel-seen", ""));
    run.says("[    3.141593] EXT4-fs (vda2): mounted filesystem", None, None);
    run
}

/// It installs itself, and has been silent for a while.
pub(crate) fn installing() -> Run {
    let mut run = booting();
    run.end(28, 0, StageOutcome::Passed, Evidence::Login);
    run.begin(28, 1, State::Installing, 1200);
    run.arm(40, DeadlineKind::NoProgress, 60);
    run.settle(State::Installing);
    run.record(29, &note("uploaded", "tiny-install (4 KiB)"));
    let line = r#"{"message":"Copying system","step":3,"steps":8,"percent":42,"time":"2026-11-23T14:59:46Z"}"#;
    run.says("tiny login: ", Some(line), Some((42, "3/8 Copying system")));
    run
}

/// It has failed and is held.
pub(crate) fn held() -> Run {
    let mut run = installing();
    let verdict = Verdict::of(
        bootgate::machine::Cause::KernelPanic,
        String::new(),
        1,
        State::Installing,
    );
    assert_eq!(verdict.class, Class::Failed);
    run.record(60, &Record::Decided(Box::new(verdict)));
    run.end(60, 1, StageOutcome::Failed, Evidence::Login);
    run.deadlines = Deadlines::default();
    run.arm(61, DeadlineKind::Hold, 1800);
    run.settle(State::Held);
    run
}
