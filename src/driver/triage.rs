//! Rules in a run: everything that a rule may look at goes through one correlator, and what it is certain of becomes an
//! event of the machine.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::civil::Date;

use crate::machine::{Cause, Class, Event, EvidenceRef, Finding, Mark, Prospects, RuleFacts, Sighting};
use crate::serial::marker::Match;
use crate::text::{Redactor, Untrusted};
use crate::triage::{self, Correlator, LogScan, Place, Rule, RuleClass, Rules, Source, look_of};
use crate::units::KIB;

const STDERR_FILE: &str = "qemu.stderr";
/// How much of QEMU's standard error is looked at when it has ended, in bytes.
const STDERR_BYTES_MAX: u64 = 32 * KIB;
/// What stands between the name of the file that tells of a stream and the name of a stream that is no file.
const VIRTUAL: char = '#';

/// Where a line came from that the correlator has seen, as far as the machine cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Console,
    Screen,
    Output,
    Other,
}

/// The rules of a run at work.
pub(super) struct Triage {
    correlator: Correlator,
    scans: Vec<(Source, LogScan)>,
    redactor: Redactor,
    today: Date,
    causes: Vec<&'static str>,
}

impl Triage {
    pub(super) fn new(rules: &Arc<Rules>, redactor: Redactor, today: Date) -> Self {
        let streams = [
            (Source::Ssh, "trace.jsonl#ssh"),
            (Source::Mark, "trace.jsonl#mark"),
            (Source::Qmp, "qmp.jsonl#"),
        ];
        let scan =
            |file, source| LogScan::new(rules, &[source], file).expect("rules are tried together when they are made");
        Self {
            correlator: Correlator::new(rules.clone()),
            scans: streams.map(|(source, file)| (source, scan(file, source))).into(),
            redactor,
            today,
            causes: Cause::ALL.iter().map(|cause| cause.id()).collect(),
        }
    }

    /// A stage begins. Gives what the machine has to know.
    pub(super) fn begin_stage(&mut self) -> Vec<Event> {
        self.correlator.begin_stage();
        self.events(&[], Stream::Other)
    }

    /// A target was found in a stream. `None`: it is no rule's.
    pub(super) fn take(&mut self, found: &Match, file: &str, stream: Stream) -> Option<Vec<Event>> {
        let (rule, look) = look_of(&found.id)?;
        let place = Place {
            file: file.to_owned(),
            line_offset: found.line_offset,
            quote_offset: found.quote_offset,
            quote: found.line.clone(),
        };
        let findings = self.correlator.see(&triage::Sighting { rule, look, place });
        Some(self.events(&findings, stream))
    }

    /// Something happened that rules see as a line, ended by a line feed.
    pub(super) fn take_line(&mut self, source: Source, line: &str) -> Vec<Event> {
        let mut findings = Vec::new();
        if let Some((_, scan)) = self.scans.iter_mut().find(|(of, _)| *of == source) {
            scan.feed(line.as_bytes(), Instant::now(), &mut self.correlator, &mut findings);
        }
        self.events(&findings, Stream::Other)
    }

    /// QEMU has ended: looks at what it said.
    pub(super) fn take_stderr(&mut self, text: &[u8]) -> Vec<Event> {
        let Ok(mut scan) = LogScan::new(self.correlator.rules(), &[Source::QemuStderr], STDERR_FILE) else {
            return Vec::new();
        };
        let mut findings = Vec::new();
        scan.feed(text, Instant::now(), &mut self.correlator, &mut findings);
        scan.finish(&mut self.correlator, &mut findings);
        self.events(&findings, Stream::Other)
    }

    fn events(&mut self, findings: &[triage::Finding], stream: Stream) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        for finding in findings {
            let Finding { rule, evidence, led_by } = self.told(finding);
            events.push(match stream {
                Stream::Console => Event::ConsoleMatched(Sighting {
                    mark: Mark::Rule(rule, led_by),
                    evidence,
                }),
                Stream::Screen => Event::ScreenMatched(Sighting {
                    mark: Mark::Rule(rule, led_by),
                    evidence,
                }),
                Stream::Output => Event::OutputRuleMatched(Finding { rule, evidence, led_by }),
                Stream::Other => Event::RuleMatched(Finding { rule, evidence, led_by }),
            });
        }
        if self.correlator.take_changed() {
            let prospects = self.correlator.prospects(&self.causes);
            let of_causes = prospects.of_causes.iter();
            events.push(Event::ProspectsChanged(Prospects {
                at_end: prospects.at_end.iter().map(|finding| self.told(finding)).collect(),
                of_causes: of_causes
                    .map(|(cause, finding)| (cause.clone(), self.told(finding)))
                    .collect(),
            }));
        }
        events
    }

    fn told(&self, finding: &triage::Finding) -> Finding {
        let mut places: Vec<_> = finding.places.iter().map(|place| self.evidence(place)).collect();
        Finding {
            rule: facts(self.correlator.rules().rule(finding.rule), self.today),
            evidence: places.pop().unwrap_or_default(),
            led_by: places,
        }
    }

    fn evidence(&self, place: &Place) -> EvidenceRef {
        let (file, offset_bytes) = match place.file.split_once(VIRTUAL) {
            Some((file, _)) => (file, None),
            None => (place.file.as_str(), Some(place.quote_offset)),
        };
        EvidenceRef {
            file: file.to_owned(),
            offset_bytes,
            // A guest may echo what it was given; the raw log keeps that, what is quoted from it does not.
            quote: Some(Untrusted::new(self.redactor.redact(place.quote.as_bytes()))),
        }
    }
}

/// What QEMU said. A file that can't be read says nothing.
pub(super) fn read_stderr(run: &Path) -> String {
    let mut text = Vec::new();
    let read = File::open(run.join(STDERR_FILE)).and_then(|file| file.take(STDERR_BYTES_MAX).read_to_end(&mut text));
    match read {
        Ok(_) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}

/// The mark as the line that rules see.
pub(super) fn mark_line(mark: &Mark) -> Option<String> {
    let name = match mark {
        Mark::Kernel => "kernel",
        Mark::Userspace => "userspace",
        Mark::LoginPrompt => "login-prompt",
        Mark::Target => "target",
        Mark::Marker(name) => return Some(format!("marker {name}\n")),
        Mark::UnlockPrompt | Mark::PassphraseRefused | Mark::Forbidden(_) | Mark::Rule(..) => return None,
    };
    Some(format!("{name}\n"))
}

/// What a rule says on a day. Once it has expired it knows no failure any more, and says so.
pub fn facts(rule: &Rule, today: Date) -> RuleFacts {
    let is_expired = rule.is_expired(today);
    let class = match rule.class {
        RuleClass::KnownFailure if !is_expired => Class::KnownFailure,
        RuleClass::Infrastructure => Class::Infrastructure,
        RuleClass::Untestable => Class::Untestable,
        RuleClass::KnownFailure | RuleClass::Failed | RuleClass::Note => Class::Failed,
    };
    let expires = rule.expires.map(|day| day.to_string());
    let mut facts = RuleFacts {
        id: rule.id.clone(),
        cause: rule.cause.clone(),
        class,
        is_note: rule.class == RuleClass::Note,
        title: rule.title.clone(),
        root_cause: rule.root_cause.clone(),
        remedy: rule.remedy.clone(),
        tracker: rule.tracker.clone(),
        publishable: rule.publishable && !is_expired,
        expires,
        is_expired,
        fatal: rule.fatal,
    };
    if let (true, Some(day)) = (is_expired, &facts.expires) {
        facts.title = format!("The rule `{}` for this has expired on {day}: {}", rule.id, rule.title);
        facts.remedy = format!(
            "Look at the failure again, then remove the rule or set a later day. {}",
            rule.remedy
        );
    }
    facts
}
