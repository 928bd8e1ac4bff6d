//! The loop: take what happened, hand it to the machine, perform what the machine asks.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, mpsc};
use tokio::task::JoinHandle;

use crate::evidence::{Durability, EvidenceError, Journal, RunDir, TranscriptBudget, TranscriptLog};
use crate::machine::{Deadlines, Effect, Event, Left, Part, Record, StageReport, State, Verdict};
use crate::plan::{Plan, StagePlan};
use crate::qemu::disk::Digest;
use crate::serial::tap::TapSummary;
use crate::triage::Rules;

use super::fact::Fact;
use super::host::HostFacts;
use super::input::{INPUTS_MAX, Input, VmInput};
use super::intake::Intake;
use super::pictures::Pictures;
use super::prepare::Workshop;
use super::recorder::Recorder;
use super::secrets::Secrets;
use super::sight::Sight;
use super::step::StepStart;
use super::vm::Vm;
use super::{signals::StopSignals, trace};

/// How often the loop looks at the clock even when nothing happens; the measure of a host stall.
const TICK: Duration = Duration::from_secs(1);
/// What comes this much later than it should is a host stall.
const STALL_MIN: Duration = Duration::from_secs(2);

/// How much of a console's end a result shows.
const CONSOLE_TAIL_LINES: usize = 40;

/// How a run is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which part of the gate it is.
    pub part: Part,
    /// What it goes on with.
    pub start: Option<StepStart>,
    /// How long a failed machine is kept for a person, where the gate file asks for it.
    pub hold: Duration,
    /// The rules that name causes.
    pub rules: Arc<Rules>,
    /// The digest of the image under test, once somebody has read it.
    pub image_digest: Arc<OnceLock<Digest>>,
    /// The gate file's text without its inline secrets, to be kept with the run.
    pub kept_gate: String,
    /// The text of each rules file of the gate, to be kept with the run.
    pub kept_rules: Vec<String>,
}

/// Who watches a run. Called from the driver's own task: it must not wait.
pub trait Observer {
    /// A record was added to the trace, this long after the run began.
    fn record(&mut self, at: Duration, record: &Record);

    /// The run begins; what its guest says last can be seen here at any time.
    fn begins(&mut self, _sight: &Sight) {}

    /// The machine has dealt with something, and stands here.
    fn settled(&mut self, _state: State, _deadlines: &Deadlines) {}

    /// The failed machine is held for a person until then. The run has its verdict and goes on until the hold ends.
    fn held(&mut self, outcome: &Outcome, expires: jiff::Timestamp);
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// The answer.
    pub verdict: Verdict,
    /// What is known of each stage, in the plan's order.
    pub reports: Vec<StageReport>,
    /// What was found on this host, if the preparation came that far.
    pub host: Option<HostFacts>,
    /// When the run began.
    pub started: Instant,
    /// How long it took.
    pub took: Duration,
    /// What became of each machine's console, in order.
    pub consoles: Vec<(String, TapSummary)>,
    /// True if a signal ended what was being done about the verdict.
    pub was_cut_short: bool,
    /// Which part of the gate it was.
    pub part: Part,
    /// What is known of the guest at the end.
    pub left: Left,
    /// Lines of the trace that could not be written.
    pub trace_lost: u64,
    /// The last lines of the last console, printable.
    pub console_tail: Vec<String>,
}

impl Outcome {
    /// The stages of the run, with what is known of each.
    pub fn stages<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = (&'a StagePlan, &'a StageReport)> {
        let part = self.part.stages(plan);
        let all = plan.stages.iter().zip(&self.reports).enumerate();
        all.filter(move |(index, _)| part.contains(index))
            .map(|(_, stage)| stage)
    }
}

/// Runs a gate to its verdict. Must be called in a tokio runtime.
pub async fn run(
    plan: Arc<Plan>,
    secrets: Secrets,
    run: Arc<RunDir>,
    options: &Options,
    signals: &mut StopSignals,
    observer: &mut dyn Observer,
) -> Result<Outcome, EvidenceError> {
    let started = Instant::now();
    let transcript = TranscriptLog::create(
        &run.path().join("qmp.jsonl"),
        TranscriptBudget::default(),
        Some(run.reserve()),
    )?;
    let trace = run.trace()?;
    let (inputs, mut received) = mpsc::channel(INPUTS_MAX);
    let redactor = secrets.redactor();
    run.keep_gate(&redactor.redact(options.kept_gate.as_bytes()))?;
    run.keep_rules(&options.kept_rules)?;
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let recorder = Recorder::create(
        &run,
        started,
        redactor.clone(),
        (options.hold, &options.part),
        plan.on_failure,
        today,
    )?;
    let rules = options.rules.clone();
    let workshop = Arc::new(Workshop {
        plan: plan.clone(),
        run: run.clone(),
        rules: rules.clone(),
        start: options.start.clone(),
        recorder: recorder.clone(),
        transcript: Arc::new(Mutex::new(transcript)),
        started,
        host: OnceCell::new(),
        public_key: secrets.run_key().map(|key| key.public.clone()),
    });
    let mut driver = Driver {
        sight: Sight::new(redactor.clone()),
        intake: Intake::new(
            plan.clone(),
            rules,
            redactor,
            (options.hold, options.part.clone()),
            today,
        ),
        recorder,
        plan,
        secrets,
        run,
        workshop,
        inputs,
        observer,
        trace,
        trace_seq: 0,
        started,
        vm: None,
        preparing: None,
        machines: 0,
        host: None,
        image_digest: options.image_digest.clone(),
        consoles: Vec::new(),
        consoles_open: 0,
        console_tail: Vec::new(),
        queued: VecDeque::new(),
        pictures: Pictures::default(),
    };
    driver.play(&mut received, signals).await;
    Ok(driver.outcome())
}

/// The driver's task.
pub(super) struct Driver<'a> {
    pub(super) intake: Intake,
    pub(super) recorder: Recorder,
    pub(super) plan: Arc<Plan>,
    pub(super) secrets: Secrets,
    pub(super) run: Arc<RunDir>,
    pub(super) workshop: Arc<Workshop>,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) sight: Sight,
    trace: Journal,
    trace_seq: u64,
    started: Instant,
    pub(super) vm: Option<Box<Vm>>,
    pub(super) preparing: Option<JoinHandle<()>>,
    /// How many machines were begun.
    pub(super) machines: u64,
    pub(super) host: Option<HostFacts>,
    pub(super) image_digest: Arc<OnceLock<Digest>>,
    pub(super) consoles: Vec<(String, TapSummary)>,
    pub(super) consoles_open: usize,
    console_tail: Vec<String>,
    queued: VecDeque<Fact>,
    pub(super) pictures: Pictures,
}

impl Driver<'_> {
    /// The run from its first effect until nothing of its machine is left.
    async fn play(&mut self, received: &mut mpsc::Receiver<Input>, signals: &mut StopSignals) {
        self.observer.begins(&self.sight);
        let effects = self.intake.start(self.started);
        self.perform_all(self.started, effects);
        self.drain();
        self.run_to_end(received, signals).await;
        self.drop_vm();
        self.pictures.clear_up(&self.run).await;
    }

    async fn run_to_end(&mut self, received: &mut mpsc::Receiver<Input>, signals: &mut StopSignals) {
        let mut woken = Instant::now();
        while self.intake.machine.state() != State::Finished {
            // What was done since takes no time: a host that stood still meanwhile is told as one that did while we waited.
            self.tell_stall(woken);
            let now = Instant::now();
            let wake = self
                .intake
                .machine
                .next_deadline()
                .map_or(now + TICK, |at| at.min(now + TICK))
                .max(now);
            let input = tokio::select! {
                // What has happened comes before what has run out of time.
                biased;
                signal = signals.next() => Some(Input::Stop(signal)),
                input = received.recv() => input,
                () = tokio::time::sleep_until(wake.into()) => None,
            };
            self.tell_stall(wake);
            woken = Instant::now();
            if let Some(input) = input {
                self.take(input);
            } else {
                self.recorder.flush();
                if let Some(due) = self.intake.machine.next_deadline().filter(|due| *due <= Instant::now()) {
                    self.pass_deadline(due);
                }
            }
        }
        self.last_words(received).await;
    }

    fn tell_stall(&mut self, expected: Instant) {
        let gap = expected.elapsed();
        if gap >= STALL_MIN {
            self.handle(Event::HostStalled { gap });
        }
    }

    /// The last console's summary may still be on its way when its QEMU has ended.
    async fn last_words(&mut self, received: &mut mpsc::Receiver<Input>) {
        while self.consoles_open > 0 {
            match tokio::time::timeout(TICK, received.recv()).await {
                Ok(Some(Input::Vm(_, VmInput::Serial(notice)))) => self.take_serial_end(notice),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Hands an event to the machine.
    pub(super) fn handle(&mut self, event: Event) {
        self.hand_in(Fact::Event { event });
    }

    /// Hands a fact to the machine. An effect that answers at once queues its fact here: the effects of one fact are all
    /// performed before the next one is handed in.
    pub(super) fn hand_in(&mut self, fact: Fact) {
        self.queued.push_back(fact);
        self.drain();
    }

    /// Leaves an event for when the effects in hand are performed.
    pub(super) fn queue(&mut self, event: Event) {
        self.queued.push_back(Fact::Event { event });
    }

    fn drain(&mut self) {
        while let Some(fact) = self.queued.pop_front() {
            let now = Instant::now();
            // Written down before anything is done about it.
            self.recorder.fact(now, &fact);
            let effects = self.intake.take(now, &fact);
            self.perform_all(now, effects);
        }
        let machine = &self.intake.machine;
        self.observer.settled(machine.state(), machine.deadlines());
        if let Some(vm) = self.vm.as_mut().filter(|_| !self.intake.machine.watches_screen()) {
            vm.tasks.screen = None;
        }
    }

    fn perform_all(&mut self, now: Instant, effects: Vec<Effect>) {
        for effect in effects {
            self.recorder.asked(now, &effect);
            self.perform(effect);
        }
    }

    /// Leaves something for the trace, that is no event of the machine's, for when the effects in hand are performed.
    pub(super) fn queue_note(&mut self, what: &str, detail: String) {
        let what = what.to_owned();
        self.queued.push_back(Fact::Note { what, detail });
    }

    pub(super) fn record(&mut self, record: &Record) {
        let at = self.started.elapsed();
        self.trace_seq += 1;
        let mut line = serde_json::Map::new();
        line.insert("seq".to_owned(), self.trace_seq.into());
        line.insert(
            "t_us".to_owned(),
            u64::try_from(at.as_micros()).unwrap_or(u64::MAX).into(),
        );
        line.insert("wall".to_owned(), jiff::Timestamp::now().to_string().into());
        line.extend(trace::record_json(&self.plan, record, &self.intake.redactor));
        // Written, not flushed to the medium: a killed bootgate loses nothing, and a slow disk can't hold up the machine.
        // A trace that can't be written is counted by the journal and told in the result; the run goes on.
        if let Err(error) = self.trace.append(&line, Durability::Process) {
            tracing::warn!(%error, "a trace record was lost");
        }
        if matches!(record, Record::StageBegan { .. }) {
            self.sight.begin_stage();
        }
        self.observer.record(at, record);
        self.picture(self.trace_seq, record);
    }

    /// Forgets the machine: nothing of it is listened to from here on.
    pub(super) fn drop_vm(&mut self) {
        if let Some(vm) = self.vm.take() {
            self.console_tail = vm.console.tail(CONSOLE_TAIL_LINES);
        }
    }

    /// What the run came to so far.
    pub(super) fn outcome(&self) -> Outcome {
        let verdict = self.intake.machine.verdict().cloned().unwrap_or_else(|| {
            let detail = "the machine finished without a verdict".to_owned();
            Verdict::of(
                crate::machine::Cause::Internal,
                detail,
                self.intake.machine.stage(),
                State::Finished,
            )
        });
        Outcome {
            verdict,
            reports: self.intake.machine.reports().to_vec(),
            host: self.host.clone(),
            started: self.started,
            took: self.started.elapsed(),
            consoles: self.consoles.clone(),
            part: self.intake.machine.part().clone(),
            left: self.intake.left(&self.run.info().id),
            was_cut_short: self.intake.machine.was_cut_short(),
            trace_lost: self.trace.lost(),
            console_tail: match &self.vm {
                Some(vm) => vm.console.tail(CONSOLE_TAIL_LINES),
                None => self.console_tail.clone(),
            },
        }
    }

    /// The path of a stage's command output, and its name in the run directory.
    pub(super) fn command_log(&self, stage: usize) -> Result<(PathBuf, String), EvidenceError> {
        let name = format!("ssh/{}.log", self.plan.stages[stage].name);
        Ok((self.run.file(&name)?, name))
    }
}
