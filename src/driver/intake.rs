//! What each fact means to the machine: the same for a run and for its replay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::civil::Date;
use uuid::Uuid;

use crate::machine::{
    Effect, Event, EvidenceRef, IdentityFault, Left, Machine, Part, ProbeClass, Record, SshStability, State,
};
use crate::plan::Plan;
use crate::serial::marker::Match;
use crate::serial::prompt::{OpenLine, Sample};
use crate::ssh::{HostKey, KeyAcrossBoots, Progress, Stability, StabilityRule};
use crate::text::{Redactor, Untrusted};
use crate::triage::{Rules, Source, probe_line, qmp_line};

use super::fact::{Fact, ProbeFact};
use super::question::Questions;
use super::search::Hit;
use super::triage::{Stream, Triage, mark_line};
use super::{translate, watch};

/// Names of notes that do not come from the machine.
const NOTES: [&str; 14] = [
    "accelerator",
    "answer-not-sent",
    "checkpoint",
    "command-ended",
    "command-not-ended",
    "connection-broke",
    "console-log-failed",
    "cont-failed",
    "hold-not-opened",
    "hold-not-recorded",
    "powerdown-failed",
    "query-status-failed",
    "ssh-probe",
    "uploaded",
];

/// Hands facts to the machine, and remembers of the machine that runs what the facts alone do not tell.
pub(super) struct Intake {
    pub(super) machine: Machine,
    pub(super) plan: Arc<Plan>,
    pub(super) rules: Arc<Rules>,
    pub(super) redactor: Redactor,
    /// The host key of the live system, which the installed one must not have.
    live_key: Option<HostKey>,
    boot: Boot,
    triage: Triage,
}

/// What is known of the machine that runs.
#[derive(Default)]
struct Boot {
    /// The file of its console.
    serial: String,
    /// The file of the command's output.
    output: String,
    stability: Option<Stability>,
    /// Which boot of the guest has answered last.
    last_id: Option<Uuid>,
    questions: Questions,
}

impl Intake {
    /// `today` is the day on which rules are valid or have expired.
    pub(super) fn new(
        plan: Arc<Plan>,
        rules: Arc<Rules>,
        redactor: Redactor,
        (hold, part): (Duration, Part),
        today: Date,
    ) -> Self {
        let key = part.left().and_then(|left| left.host_key.clone());
        let live_key = key.map(|(algorithm, fingerprint)| HostKey { algorithm, fingerprint });
        Self {
            machine: Machine::of_part(plan.clone(), hold, part),
            triage: Triage::new(&rules, redactor.clone(), today),
            plan,
            rules,
            redactor,
            live_key,
            boot: Boot::default(),
        }
    }

    /// Enters the first state.
    pub(super) fn start(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = self.machine.start(now);
        self.follow(now, &mut effects);
        effects
    }

    /// Hands a fact to the machine; gives what the machine asks for.
    pub(super) fn take(&mut self, now: Instant, fact: &Fact) -> Vec<Effect> {
        match fact {
            Fact::Prepared {
                accelerator,
                why,
                scale_percent,
                serial,
            } => {
                self.boot.serial.clone_from(serial);
                let mut effects = vec![self.note("accelerator", why)];
                let (accelerator, scale_percent) = (accelerator.clone(), *scale_percent);
                effects.extend(self.handle(
                    now,
                    &Event::Prepared {
                        accelerator,
                        scale_percent,
                    },
                ));
                effects
            }
            Fact::Event { event } => self.handle(now, event),
            Fact::Qmp { name, data } => {
                let mut events = self.triage.take_line(Source::Qmp, &qmp_line(name, data));
                events.extend(translate::qmp_event(name, data));
                self.handle_all(now, &events)
            }
            Fact::QemuSaid { text } => {
                let events = self.triage.take_stderr(text.as_bytes());
                self.handle_all(now, &events)
            }
            // Events were dropped: only the status can tell what they said.
            Fact::QmpNote { detail } => vec![self.note("qmp-protocol", detail), Effect::QueryStatus],
            Fact::Match { file, found, .. } => match found {
                Some(found) => self.take_match(now, file, found),
                None => Vec::new(),
            },
            Fact::Output { file, hits, .. } => {
                self.boot.questions.command_spoke(now);
                let mut effects = self.take_hits(now, file, hits);
                effects.extend(self.handle(now, &Event::CommandProgressed));
                effects
            }
            Fact::OutputEnded { hits } => {
                let file = self.boot.output.clone();
                self.take_hits(now, &file, hits)
            }
            Fact::Probe(probe) => self.take_probe(now, probe),
            Fact::Look { .. } => self.take_look(now, fact),
            Fact::Note { what, detail } => {
                let known = NOTES.into_iter().find(|known| known == what);
                vec![self.note(known.unwrap_or("note"), detail)]
            }
            Fact::Deadline { .. } => {
                let mut effects = self.machine.expire(now);
                self.follow(now, &mut effects);
                effects
            }
        }
    }

    fn handle_all<'a>(&mut self, now: Instant, events: impl IntoIterator<Item = &'a Event>) -> Vec<Effect> {
        events.into_iter().flat_map(|event| self.handle(now, event)).collect()
    }

    fn handle(&mut self, now: Instant, event: &Event) -> Vec<Effect> {
        let mut effects = self.machine.handle(now, event);
        self.follow(now, &mut effects);
        effects
    }

    /// Something was found on the console or on the firmware's debug port.
    fn take_match(&mut self, now: Instant, file: &str, found: &Match) -> Vec<Effect> {
        if let Some(events) = self.triage.take(found, file, Stream::Console) {
            return self.handle_all(now, &events);
        }
        let Some(sighting) = watch::sighting(&self.plan, found, file, &self.redactor) else {
            return Vec::new();
        };
        let line = mark_line(&sighting.mark);
        let mut effects = self.handle(now, &Event::ConsoleMatched(sighting));
        let events = line.map(|line| self.triage.take_line(Source::Mark, &line));
        effects.extend(self.handle_all(now, &events.unwrap_or_default()));
        effects
    }

    /// Something was found in the output that is kept in `file`.
    fn take_hits(&mut self, now: Instant, file: &str, hits: &[Hit]) -> Vec<Effect> {
        file.clone_into(&mut self.boot.output);
        let mut effects = Vec::new();
        for hit in hits {
            match hit {
                Hit::Line(event) => effects.extend(self.handle(now, event)),
                Hit::Rule(found) => {
                    let events = self.triage.take(found, file, Stream::Output);
                    effects.extend(self.handle_all(now, &events.unwrap_or_default()));
                }
            }
        }
        effects
    }

    /// What an effect changes here, whoever performs it. A stage that begins lets the rules begin anew, which the machine is
    /// told behind all that it asked for.
    fn follow(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let mut events = Vec::new();
        for effect in effects.iter() {
            match effect {
                Effect::Record(Record::StageBegan { .. }) => events.extend(self.triage.begin_stage()),
                Effect::Prepare { .. } => self.boot = Boot::default(),
                Effect::WatchSsh { .. } => {
                    let rule = self.plan.ssh.as_ref().map(|ssh| StabilityRule {
                        logins: ssh.stable_logins,
                        window: ssh.stable_window,
                    });
                    self.boot.stability = rule.map(Stability::new);
                }
                _ => {}
            }
        }
        self.boot.questions.in_state(self.machine.state(), now);
        for event in events {
            effects.extend(self.handle(now, &event));
        }
    }

    /// Something for the trace that is no event of the machine's.
    fn note(&self, what: &'static str, detail: &str) -> Effect {
        Effect::Record(Record::Note {
            state: self.machine.state(),
            what,
            detail: detail.to_owned(),
            evidence: None,
        })
    }

    fn take_look(&mut self, now: Instant, fact: &Fact) -> Vec<Effect> {
        let Fact::Look {
            silent_us,
            console_bytes,
            block_operations,
            busy_us,
            line: Some(line),
        } = fact
        else {
            return Vec::new();
        };
        let sample = Sample {
            at: now,
            silent: Duration::from_micros(*silent_us),
            console_bytes: *console_bytes,
            block_operations: *block_operations,
            busy: Duration::from_micros(*busy_us),
        };
        if !self.boot.questions.hold_up(&self.machine, &self.plan, line, sample) {
            return Vec::new();
        }
        let evidence = self.question(line);
        self.handle(now, &Event::InputAwaited { evidence })
    }

    fn question(&self, line: &OpenLine) -> EvidenceRef {
        EvidenceRef {
            file: self.boot.serial.clone(),
            offset_bytes: Some(line.offset),
            quote: Some(Untrusted::new(self.redactor.redact(line.text.as_bytes()))),
        }
    }

    fn take_probe(&mut self, now: Instant, probe: &ProbeFact) -> Vec<Effect> {
        let line = probe_line(probe.class().as_str(), probe.class().meaning());
        let events = self.triage.take_line(Source::Ssh, &line);
        let mut effects = self.handle_all(now, &events);
        let stability = self.boot.stability.as_mut();
        let progress = stability.map(|stability| stability.observe(now, &probe.summary()));
        let copied = self.copied_key(probe).or_else(|| self.other_boot(probe));
        let (class, fault) = translate::probe(probe.class());
        if class != ProbeClass::NoAnswer {
            effects.push(self.note("ssh-probe", probe.class().as_str()));
        }
        effects.extend(self.handle(now, &Event::SshProbed(class)));
        let event = match (fault.or(copied), progress.filter(|progress| progress.stable)) {
            (Some(fault), _) => Event::SshIdentityFault(fault),
            (None, Some(progress)) => Event::SshBecameStable(stable(now, progress, probe)),
            (None, None) => return effects,
        };
        effects.extend(self.handle(now, &event));
        effects
    }

    /// What is known of the guest, for a run that goes on with it.
    pub(super) fn left(&self, run: &str) -> Left {
        let key = self.live_key.as_ref();
        Left {
            run: run.to_owned(),
            boot_id: self.boot.last_id,
            host_key: key.map(|key| (key.algorithm.clone(), key.fingerprint.clone())),
            ..self.machine.left()
        }
    }

    /// A fault if a restored guest is in another boot than the one that was saved.
    fn other_boot(&mut self, probe: &ProbeFact) -> Option<IdentityFault> {
        let found = probe.boot_id?;
        self.boot.last_id = Some(found);
        if self.machine.state() != State::Resuming {
            return None;
        }
        let saved = self.machine.part().left()?.boot_id?;
        (found != saved).then(|| {
            IdentityFault::WrongMachine(format!("its boot id is {found}, and that of the checkpoint is {saved}"))
        })
    }

    /// Remembers the live system's key; a fault if the installed one has the same.
    fn copied_key(&mut self, probe: &ProbeFact) -> Option<IdentityFault> {
        let key = probe.host_key()?;
        let installed = self.machine.state() == State::Verifying;
        match &self.live_key {
            Some(live) if installed && KeyAcrossBoots::compare(live, &key) == KeyAcrossBoots::Copied => {
                Some(IdentityFault::HostKeyCopied(key.to_string()))
            }
            _ if !installed => {
                self.live_key = Some(key);
                None
            }
            _ => None,
        }
    }
}

fn stable(now: Instant, progress: Progress, probe: &ProbeFact) -> SshStability {
    let since = progress.since.unwrap_or(now);
    SshStability {
        logins: progress.streak,
        window: now.saturating_duration_since(since),
        uuid_proved: probe.uuid_proved,
    }
}
