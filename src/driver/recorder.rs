//! Writes down what reaches a run, as it comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::civil::Date;
use serde_json::Value;

use crate::evidence::{EvidenceError, RECORDING, RECORDING_BYTES_MAX, Recording, RunDir};
use crate::machine::{Effect, Part};
use crate::plan::FailurePolicy;
use crate::serial::tap::Listener;
use crate::text::Redactor;

use super::fact::{Asks, Entry, FORM, Fact, Line, asks, micros};

/// Bytes of a console that come this close, with nothing else in between, are one line of the recording.
const TOGETHER: Duration = Duration::from_millis(2);

/// A handle to the recording of a run. Clones share it.
#[derive(Clone)]
pub(super) struct Recorder {
    shared: Arc<Mutex<Shared>>,
    started: Instant,
    redactor: Redactor,
}

struct Shared {
    recording: Recording,
    /// Bytes of a console that more may follow, and when the first of them came.
    pending: Option<(Line, Instant)>,
}

impl Shared {
    fn flush(&mut self) {
        if let Some((line, _)) = self.pending.take() {
            self.recording.append(&line);
        }
    }

    fn bytes(&mut self, t_us: u64, at: Instant, bytes: (&str, u64, u64)) {
        let (name, from, count) = bytes;
        if let Some((line, since)) = &mut self.pending
            && at.saturating_duration_since(*since) < TOGETHER
            && let Entry::Bytes { file, offset, length } = &mut line.entry
            && (file.as_str(), *offset + *length) == (name, from)
        {
            line.t_us = t_us;
            *length += count;
            return;
        }
        self.flush();
        let entry = Entry::Bytes {
            file: name.to_owned(),
            offset: from,
            length: count,
        };
        self.pending = Some((Line { t_us, entry }, at));
    }
}

impl Recorder {
    pub(super) fn create(
        run: &RunDir,
        started: Instant,
        redactor: Redactor,
        (hold, part): (Duration, &Part),
        on_failure: Option<FailurePolicy>,
        today: Date,
    ) -> Result<Self, EvidenceError> {
        let path = run.file(RECORDING)?;
        let mut recording = Recording::create(&path, RECORDING_BYTES_MAX, Some(run.reserve()))?;
        let entry = Entry::Began {
            form: FORM,
            bootgate: env!("CARGO_PKG_VERSION").to_owned(),
            hold_ms: u64::try_from(hold.as_millis()).unwrap_or(u64::MAX),
            on_failure: on_failure.map(|policy| policy.as_str().to_owned()),
            today: Some(today.to_string()),
            part: part.clone(),
        };
        recording.append(&Line { t_us: 0, entry });
        Ok(Self {
            shared: Arc::new(Mutex::new(Shared {
                recording,
                pending: None,
            })),
            started,
            redactor,
        })
    }

    /// When something happened, on the run's clock.
    pub(super) fn t_us(&self, at: Instant) -> u64 {
        micros(at.saturating_duration_since(self.started))
    }

    /// Something is taken now.
    pub(super) fn fact(&self, now: Instant, fact: &Fact) {
        self.append(now, Entry::Fact(self.without_secrets(fact)));
    }

    /// The machine asks for something upon the fact before.
    pub(super) fn asked(&self, now: Instant, effect: &Effect) {
        if let (effect, Asks::Status | Asks::Act) = asks(effect) {
            self.append(now, Entry::Asked { effect });
        }
    }

    /// Writes down what waits for more.
    pub(super) fn flush(&self) {
        self.lock().flush();
    }

    /// Hears one console.
    pub(super) fn console(&self, file: &str) -> ConsoleRecorder {
        ConsoleRecorder {
            recorder: self.clone(),
            file: file.to_owned(),
        }
    }

    fn append(&self, now: Instant, entry: Entry) {
        let t_us = self.t_us(now);
        let mut shared = self.lock();
        shared.flush();
        shared.recording.append(&Line { t_us, entry });
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Texts of QEMU, of the host and of a server may repeat what they were given.
    fn without_secrets(&self, fact: &Fact) -> Fact {
        let clean = |text: &str| String::from_utf8_lossy(&self.redactor.redact(text.as_bytes())).into_owned();
        let mut fact = fact.clone();
        match &mut fact {
            Fact::Qmp { data, .. } => clean_strings(data, &clean),
            Fact::Event { event } => {
                let mut value = serde_json::to_value(&*event).unwrap_or_default();
                clean_strings(&mut value, &clean);
                // An event whose own words look like a secret stays as it is: they are no secret.
                if let Ok(cleaned) = serde_json::from_value(value) {
                    *event = cleaned;
                }
            }
            Fact::QmpNote { detail } | Fact::Note { detail, .. } | Fact::Prepared { why: detail, .. } => {
                *detail = clean(detail);
            }
            _ => {}
        }
        fact
    }
}

fn clean_strings(value: &mut Value, clean: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = clean(text),
        Value::Array(values) => values.iter_mut().for_each(|value| clean_strings(value, clean)),
        Value::Object(map) => map.values_mut().for_each(|value| clean_strings(value, clean)),
        _ => {}
    }
}

/// Writes down when which bytes of a console came.
pub(super) struct ConsoleRecorder {
    recorder: Recorder,
    file: String,
}

impl Listener for ConsoleRecorder {
    fn bytes(&mut self, offset: u64, length: u64, at: Instant) {
        let t_us = self.recorder.t_us(at);
        self.recorder.lock().bytes(t_us, at, (&self.file, offset, length));
    }

    fn closed(&mut self, at: Instant) {
        let file = self.file.clone();
        self.recorder.append(at, Entry::Closed { file });
    }
}
