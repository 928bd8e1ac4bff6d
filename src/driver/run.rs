//! The loop: take what happened, hand it to the machine, perform what the machine asks.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, mpsc};
use tokio::task::JoinHandle;

use crate::evidence::{Durability, EvidenceError, Journal, RunDir, TranscriptBudget, TranscriptLog};
use crate::machine::{Effect, Event, Machine, ProbeClass, Record, StageReport, State, Verdict};
use crate::plan::Plan;
use crate::qmp::QmpNotice;
use crate::serial::tap::{SerialNotice, TapSummary};
use crate::ssh::{HostKey, KeyAcrossBoots, Probe, ProbeOutcome, ProbeSummary};
use crate::text::Redactor;

use super::input::{INPUTS_MAX, Input, VmInput};
use super::prepare::{HostFacts, Workshop};
use super::secrets::Secrets;
use super::vm::Vm;
use super::{command::CommandInput, signals, trace, translate, watch};

/// How often the loop looks at the clock even when nothing happens; the measure of a host stall.
const TICK: Duration = Duration::from_secs(1);
/// A wait that ends this much later than asked for is a host stall.
const STALL_MIN: Duration = Duration::from_secs(2);

/// How a run is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a failed machine is kept for a person, where the gate file asks for it.
    pub hold: Duration,
}

/// Who watches a run. Called from the driver's own task: it must not wait.
pub trait Observer {
    /// A record was added to the trace, this long after the run began.
    fn record(&mut self, at: Duration, record: &Record);
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
    /// Lines of the trace that could not be written.
    pub trace_lost: u64,
    /// The last lines of the last console, printable.
    pub console_tail: Vec<String>,
}

/// Runs a gate to its verdict. Must be called in a tokio runtime; takes over SIGINT, SIGTERM and SIGHUP.
pub async fn run(
    plan: Arc<Plan>,
    secrets: Secrets,
    run: Arc<RunDir>,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Outcome, EvidenceError> {
    let started = Instant::now();
    let transcript = TranscriptLog::create(&run.path().join("qmp.jsonl"), TranscriptBudget::default())?;
    let trace = run.trace()?;
    let (inputs, mut received) = mpsc::channel(INPUTS_MAX);
    if let Err(error) = signals::forward(&inputs) {
        // Without handlers a signal ends the process, and the kernel ends QEMU with it: worse evidence, no harm.
        tracing::warn!(%error, "signals can't be caught");
    }
    let workshop = Arc::new(Workshop {
        plan: plan.clone(),
        run: run.clone(),
        transcript: Arc::new(Mutex::new(transcript)),
        started,
        host: OnceCell::new(),
    });
    let mut driver = Driver {
        machine: Machine::new(plan.clone(), options.hold),
        redactor: secrets.redactor(),
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
        live_key: None,
        consoles: Vec::new(),
        consoles_open: 0,
        console_tail: Vec::new(),
        queued: VecDeque::new(),
    };
    let effects = driver.machine.start(Instant::now());
    driver.perform_all(effects);
    driver.drain();
    driver.run_to_end(&mut received).await;
    Ok(driver.outcome())
}

/// The driver's task.
pub(super) struct Driver<'a> {
    pub(super) machine: Machine,
    pub(super) plan: Arc<Plan>,
    pub(super) secrets: Secrets,
    redactor: Redactor,
    pub(super) run: Arc<RunDir>,
    pub(super) workshop: Arc<Workshop>,
    pub(super) inputs: mpsc::Sender<Input>,
    observer: &'a mut dyn Observer,
    trace: Journal,
    trace_seq: u64,
    started: Instant,
    pub(super) vm: Option<Box<Vm>>,
    pub(super) preparing: Option<JoinHandle<()>>,
    /// How many machines were begun.
    pub(super) machines: u64,
    pub(super) host: Option<HostFacts>,
    /// The host key of the live system, which the installed one must not have.
    live_key: Option<HostKey>,
    consoles: Vec<(String, TapSummary)>,
    consoles_open: usize,
    console_tail: Vec<String>,
    queued: VecDeque<Event>,
}

impl Driver<'_> {
    async fn run_to_end(&mut self, received: &mut mpsc::Receiver<Input>) {
        while self.machine.state() != State::Finished {
            let now = Instant::now();
            let wake = self
                .machine
                .next_deadline()
                .map_or(now + TICK, |at| at.min(now + TICK))
                .max(now);
            let input = tokio::select! {
                // What has happened comes before what has run out of time.
                biased;
                input = received.recv() => input,
                () = tokio::time::sleep_until(wake.into()) => None,
            };
            let late = Instant::now().saturating_duration_since(wake);
            if late >= STALL_MIN {
                self.handle(&Event::HostStalled { gap: late });
            }
            if let Some(input) = input {
                self.take(input);
            } else {
                let effects = self.machine.expire(Instant::now());
                self.perform_all(effects);
                self.drain();
            }
        }
        self.last_words(received).await;
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

    /// Notes a console's end.
    fn take_serial_end(&mut self, notice: SerialNotice) {
        if let SerialNotice::Closed(summary) = notice {
            let file = self.vm.as_ref().map(|vm| vm.serial_file.clone()).unwrap_or_default();
            self.consoles.push((file, summary));
            self.consoles_open = self.consoles_open.saturating_sub(1);
        }
    }

    /// Hands an event to the machine. An effect that answers at once queues its event here: the effects of one event are
    /// all performed before the next event is handled.
    pub(super) fn handle(&mut self, event: &Event) {
        self.queue(event.clone());
        self.drain();
    }

    /// Leaves an event for when the effects in hand are performed.
    pub(super) fn queue(&mut self, event: Event) {
        self.queued.push_back(event);
    }

    fn drain(&mut self) {
        while let Some(event) = self.queued.pop_front() {
            let effects = self.machine.handle(Instant::now(), &event);
            self.perform_all(effects);
        }
    }

    fn perform_all(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.perform(effect);
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Stop(signal) => self.handle(&Event::CancelRequested { signal }),
            Input::Prepared(result) => self.prepared(result),
            Input::Vm(number, input) => {
                if self.vm.as_ref().is_some_and(|vm| vm.number == number) {
                    self.take_from_vm(input);
                }
            }
        }
    }

    fn prepared(&mut self, result: Result<(Box<Vm>, HostFacts), super::prepare::PrepareError>) {
        // A preparation that was given up may still have ended; its machine dies with this value.
        if self.preparing.take().is_none() || self.machine.state() != State::Preparing {
            return;
        }
        match result {
            Ok((mut vm, host)) => {
                vm.listen(&self.inputs);
                self.note("accelerator", host.accelerator_why.clone());
                let event = Event::Prepared {
                    accelerator: host.accelerator.clone(),
                    scale_percent: host.scale_percent,
                };
                self.vm = Some(vm);
                self.consoles_open += 1;
                self.host = Some(host);
                self.handle(&event);
            }
            Err(error) => self.handle(&Event::PreparationFailed {
                cause: error.cause,
                detail: error.detail,
            }),
        }
    }

    fn take_from_vm(&mut self, input: VmInput) {
        match input {
            VmInput::Qmp(notice) => self.take_qmp(notice),
            VmInput::Serial(notice) => self.take_serial(notice),
            VmInput::Firmware { file, found } => {
                if let Some(sighting) = watch::sighting(&self.plan, &found, &file) {
                    self.handle(&Event::ConsoleMatched(sighting));
                }
            }
            VmInput::Exited(report) => self.handle(&Event::QemuEnded(translate::process_end(&report))),
            VmInput::Status(status) => self.handle(&Event::StatusObserved(status)),
            VmInput::Silent { stopped_by_signal } => self.handle(&Event::QmpSilent { stopped_by_signal }),
            VmInput::Probe(probe) => self.take_probe(&probe),
            VmInput::Command(CommandInput::Event(event)) => self.handle(&event),
            VmInput::Command(CommandInput::Note { what, detail }) | VmInput::Note { what, detail } => {
                self.note(what, detail);
            }
            VmInput::Captured { missing } => self.handle(&Event::Captured { missing }),
            VmInput::Released(Ok(())) => self.handle(&Event::ImagesReleased),
            VmInput::Released(Err(detail)) => self.handle(&Event::ImageLocked { detail }),
        }
    }

    fn take_qmp(&mut self, notice: QmpNotice) {
        match notice {
            QmpNotice::Event(event) => {
                if let Some(event) = translate::qmp_event(&event) {
                    self.handle(&event);
                }
            }
            QmpNotice::Lost(loss) => self.handle(&Event::QmpLost {
                detail: loss.to_string(),
            }),
            QmpNotice::Note(note) => {
                // Events were dropped: only the status can tell what they said.
                self.note("qmp-protocol", note.to_string());
                self.perform(Effect::QueryStatus);
            }
            QmpNotice::Ready { .. } => {}
        }
    }

    fn take_serial(&mut self, notice: SerialNotice) {
        match notice {
            SerialNotice::FirstByte { .. } => self.handle(&Event::ConsoleSpoke),
            SerialNotice::Match(found) => {
                let file = self.vm.as_ref().map(|vm| vm.serial_file.clone()).unwrap_or_default();
                if let Some(sighting) = watch::sighting(&self.plan, &found, &file) {
                    self.handle(&Event::ConsoleMatched(sighting));
                }
            }
            SerialNotice::LogFailed { error } => self.note("console-log-failed", error.to_string()),
            closed @ SerialNotice::Closed(_) => self.take_serial_end(closed),
        }
    }

    fn take_probe(&mut self, probe: &Probe) {
        let Some(vm) = &mut self.vm else { return };
        let now = Instant::now();
        let progress = vm
            .ssh
            .stability
            .as_mut()
            .map(|s| s.observe(now, &ProbeSummary::from(&probe.outcome)));
        let mut copied = None;
        if let ProbeOutcome::LoggedIn(facts) = &probe.outcome {
            vm.ssh.pin.pin_first(&facts.host_key);
            vm.ssh.key = Some(facts.host_key.clone());
            let installed = matches!(self.machine.state(), State::Verifying);
            match &self.live_key {
                Some(live) if installed && KeyAcrossBoots::compare(live, &facts.host_key) == KeyAcrossBoots::Copied => {
                    copied = Some(facts.host_key.to_string());
                }
                _ if !installed => self.live_key = Some(facts.host_key.clone()),
                _ => {}
            }
        }
        let (class, fault) = translate::probe(&probe.outcome);
        if class != ProbeClass::NoAnswer {
            self.note("ssh-probe", probe.outcome.class().to_string());
        }
        self.handle(&Event::SshProbed(class));
        let fault = fault.or(copied.map(crate::machine::IdentityFault::HostKeyCopied));
        if let Some(fault) = fault {
            self.handle(&Event::SshIdentityFault(fault));
        } else if let Some(progress) = progress.filter(|progress| progress.stable) {
            let window = progress
                .since
                .map(|since| now.saturating_duration_since(since))
                .unwrap_or_default();
            let logins = progress.streak;
            self.handle(&Event::SshBecameStable(crate::machine::SshStability { logins, window }));
        }
    }

    /// Something for the trace that is no event of the machine's.
    pub(super) fn note(&mut self, what: &'static str, detail: String) {
        let record = Record::Note {
            state: self.machine.state(),
            what,
            detail,
            evidence: None,
        };
        self.record(&record);
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
        line.extend(trace::record_json(&self.plan, record, &self.redactor));
        let durability = match record {
            Record::Note { .. } | Record::DeadlineNear { .. } => Durability::Process,
            _ => Durability::Host,
        };
        // A trace that can't be written is counted by the journal and told in the result; the run goes on.
        if let Err(error) = self.trace.append(&line, durability) {
            tracing::warn!(%error, "a trace record was lost");
        }
        self.observer.record(at, record);
    }

    /// Forgets the machine: nothing of it is listened to from here on.
    pub(super) fn drop_vm(&mut self) {
        if let Some(vm) = self.vm.take() {
            self.console_tail = vm.console.tail(40);
        }
    }

    fn outcome(mut self) -> Outcome {
        self.drop_vm();
        let verdict = self.machine.verdict().cloned().unwrap_or_else(|| {
            let detail = "the machine finished without a verdict".to_owned();
            Verdict::of(
                crate::machine::Cause::Internal,
                detail,
                self.machine.stage(),
                State::Finished,
            )
        });
        Outcome {
            verdict,
            reports: self.machine.reports().to_vec(),
            host: self.host,
            started: self.started,
            took: self.started.elapsed(),
            consoles: self.consoles,
            trace_lost: self.trace.lost(),
            console_tail: self.console_tail,
        }
    }

    /// The path of a stage's command output, and its name in the run directory.
    pub(super) fn command_log(&self, stage: usize) -> Result<(PathBuf, String), EvidenceError> {
        let name = format!("ssh/{}.log", self.plan.stages[stage].name);
        Ok((self.run.file(&name)?, name))
    }
}
