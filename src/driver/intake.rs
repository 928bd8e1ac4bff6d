//! What each fact means to the machine: the same for a run and for its replay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::machine::{Effect, Event, EvidenceRef, IdentityFault, Machine, ProbeClass, Record, SshStability, State};
use crate::plan::Plan;
use crate::serial::prompt::{OpenLine, Sample};
use crate::ssh::{HostKey, KeyAcrossBoots, Progress, Stability, StabilityRule};
use crate::text::{Redactor, Untrusted};
use crate::triage::Rules;

use super::fact::{Fact, ProbeFact};
use super::question::Questions;
use super::{translate, watch};

/// Names of notes that do not come from the machine.
const NOTES: [&str; 9] = [
    "accelerator",
    "answer-not-sent",
    "connection-broke",
    "console-log-failed",
    "cont-failed",
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
}

/// What is known of the machine that runs.
#[derive(Default)]
struct Boot {
    /// The file of its console.
    serial: String,
    stability: Option<Stability>,
    questions: Questions,
}

impl Intake {
    pub(super) fn new(plan: Arc<Plan>, rules: Arc<Rules>, redactor: Redactor, hold: Duration) -> Self {
        Self {
            machine: Machine::new(plan.clone(), hold),
            plan,
            rules,
            redactor,
            live_key: None,
            boot: Boot::default(),
        }
    }

    /// Enters the first state.
    pub(super) fn start(&mut self, now: Instant) -> Vec<Effect> {
        let effects = self.machine.start(now);
        self.follow(now, &effects);
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
            Fact::Qmp { name, data } => match translate::qmp_event(name, data) {
                Some(event) => self.handle(now, &event),
                None => Vec::new(),
            },
            // Events were dropped: only the status can tell what they said.
            Fact::QmpNote { detail } => vec![self.note("qmp-protocol", detail), Effect::QueryStatus],
            Fact::Match { file, found, .. } => {
                let found = found.as_ref();
                let sighting = found.and_then(|f| watch::sighting(&self.plan, &self.rules, f, file, &self.redactor));
                sighting.map_or_else(Vec::new, |sighting| self.handle(now, &Event::ConsoleMatched(sighting)))
            }
            Fact::Output { events, .. } => {
                self.boot.questions.command_spoke(now);
                self.handle_all(now, events.iter().chain([&Event::CommandProgressed]))
            }
            Fact::OutputEnded { events } => self.handle_all(now, events),
            Fact::Probe(probe) => self.take_probe(now, probe),
            Fact::Look { .. } => self.take_look(now, fact),
            Fact::Note { what, detail } => {
                let known = NOTES.into_iter().find(|known| known == what);
                vec![self.note(known.unwrap_or("note"), detail)]
            }
            Fact::Deadline { .. } => {
                let effects = self.machine.expire(now);
                self.follow(now, &effects);
                effects
            }
        }
    }

    fn handle_all<'a>(&mut self, now: Instant, events: impl IntoIterator<Item = &'a Event>) -> Vec<Effect> {
        events.into_iter().flat_map(|event| self.handle(now, event)).collect()
    }

    fn handle(&mut self, now: Instant, event: &Event) -> Vec<Effect> {
        let effects = self.machine.handle(now, event);
        self.follow(now, &effects);
        effects
    }

    /// What an effect changes here, whoever performs it.
    fn follow(&mut self, now: Instant, effects: &[Effect]) {
        for effect in effects {
            match effect {
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
        let stability = self.boot.stability.as_mut();
        let progress = stability.map(|stability| stability.observe(now, &probe.summary()));
        let copied = self.copied_key(probe);
        let (class, fault) = translate::probe(probe.class());
        let mut effects = Vec::new();
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
