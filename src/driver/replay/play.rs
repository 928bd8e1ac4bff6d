//! Plays a recording.
//!
//! A recording tells what happened to *its* run. It holds as long as the replayed machine does what the recorded one did:
//! had it stopped the guest a second later, nobody knows what the guest would have said in that second. So every request
//! that changes what happens must stand in both at the same place; where one is missing, the recording ends. Only the
//! guest's run state is known without asking: QEMU tells each change of it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::civil::Date;
use serde_json::Value;

use crate::machine::{Effect, Event, GuestStatus, Part, Record, State};
use crate::plan::{FailurePolicy, Plan};
use crate::text::Redactor;
use crate::triage;
use crate::units::human_span;

use super::super::fact::{Asks, Entry, Fact, Line, asks, micros};
use super::super::intake::Intake;
use super::super::launch::FIRMWARE_LOG;
use super::super::search::Search;
use super::super::{trace, watch};
use super::ahead::{Ahead, ahead, asked_after};
use super::consoles::Consoles;
use super::outcome::{ReplayEnd, ReplayOptions, Replayed};
use super::reading::{self, ReplayError};

/// How far the time at which a deadline was due may be from the recorded one: recorded times are whole microseconds.
const SAME_DEADLINE: Duration = Duration::from_millis(1);

/// Hands the recording in a run's directory to a machine for `plan`.
pub fn replay(run: &Path, plan: Plan, options: &ReplayOptions) -> Result<Replayed, ReplayError> {
    let lines = reading::lines(run)?;
    let (hold_ms, on_failure, today, part) = match &lines[0].entry {
        Entry::Began {
            hold_ms,
            on_failure,
            today,
            part,
            ..
        } => (*hold_ms, on_failure.as_deref(), today.as_deref(), part.clone()),
        _ => (0, None, None, Part::Whole),
    };
    // A gate with fewer stages has no such part.
    let part = if part.stages(&plan).end <= plan.stages.len() {
        part
    } else {
        Part::Whole
    };
    // Without the day of the run, no rule has expired.
    let today = today.and_then(|day| day.parse().ok()).unwrap_or(Date::MIN);
    let decided = FailurePolicy::ALL
        .into_iter()
        .find(|policy| Some(policy.as_str()) == on_failure);
    let plan = Arc::new(Plan {
        on_failure: decided,
        ..plan
    });
    let rules = options.rules.clone().unwrap_or_else(triage::builtin);
    let hold = Duration::from_millis(hold_ms);
    let mut player = Player {
        intake: Intake::new(plan, rules, Redactor::default(), (hold, part), today),
        // Only distances count.
        origin: Instant::now(),
        consoles: Consoles::new(run, &lines),
        search: None,
        serial: String::new(),
        status: None,
        statuses_owed: 0,
        scale_percent: options.deadline_scale_percent,
        answers: VecDeque::new(),
        records: Vec::new(),
        played: Duration::ZERO,
        stopped: None,
    };
    player.play(&lines)?;
    Ok(player.result())
}

struct Player {
    intake: Intake,
    origin: Instant,
    consoles: Consoles,
    /// The output of the stage's command, and its file.
    search: Option<(String, Search)>,
    /// The console's file of the machine that runs.
    serial: String,
    /// What the guest does, where QEMU has told.
    status: Option<GuestStatus>,
    /// Answers that the recording still has for questions that both runs have asked.
    statuses_owed: u32,
    scale_percent: u32,
    /// Answers to questions that only the replayed machine has asked.
    answers: VecDeque<Fact>,
    records: Vec<Value>,
    played: Duration,
    /// Why the recording ends.
    stopped: Option<String>,
}

impl Player {
    fn play(&mut self, lines: &[Line]) -> Result<(), ReplayError> {
        let effects = self.intake.start(self.origin);
        self.perform(self.origin, effects, &asked_after(lines, 0));
        let ahead = ahead(lines);
        for (index, line) in lines.iter().enumerate().skip(1) {
            let now = self.at(line.t_us);
            self.pass_time(now, ahead[index]);
            if self.is_over() {
                return Ok(());
            }
            self.played = now.saturating_duration_since(self.origin);
            match &line.entry {
                Entry::Began { .. } | Entry::Asked { .. } => {}
                Entry::Bytes { file, offset, length } => self.bytes(now, file, (*offset, *length))?,
                Entry::Closed { file } => {
                    let facts = self.consoles.close(file);
                    self.hand_in_new(now, facts);
                }
                Entry::Fact(fact) => self.recorded(now, fact.clone(), &asked_after(lines, index))?,
            }
            if self.is_over() {
                return Ok(());
            }
        }
        let state = self.intake.machine.state();
        if state != State::Finished {
            let next = self.intake.machine.deadlines().closest(self.origin + self.played);
            let waits =
                next.map(|(kind, left)| format!("; its next deadline ({}) is {} later", kind.name(), human_span(left)));
            self.stop(&format!(
                "no input follows, and the replayed machine still waits in {}{}",
                state.name(),
                waits.unwrap_or_default()
            ));
        }
        Ok(())
    }

    fn at(&self, t_us: u64) -> Instant {
        // A recording of a year is none.
        self.origin + Duration::from_micros(t_us.min(micros(Duration::from_secs(366 * 24 * 3600))))
    }

    fn is_over(&self) -> bool {
        self.stopped.is_some() || self.intake.machine.state() == State::Finished
    }

    fn stop(&mut self, why: &str) {
        let at = human_span(self.played);
        self.stopped.get_or_insert(format!("at {at}, {why}"));
    }

    /// Lets everything happen that is due up to `until`, but for what the recorded driver was late for.
    fn pass_time(&mut self, until: Instant, ahead: Ahead) {
        while !self.is_over() {
            let due = self.intake.machine.next_deadline();
            let due = due.filter(|due| !self.was_late(*due, ahead));
            let quiet = self.consoles.next_quiet_at();
            let Some(next) = due.into_iter().chain(quiet).min().filter(|next| *next <= until) else {
                return;
            };
            self.played = self.played.max(next.saturating_duration_since(self.origin));
            if quiet == Some(next) {
                let facts = self.consoles.quiet(next);
                self.hand_in_new(next, facts);
            } else {
                let due_us = micros(next.saturating_duration_since(self.origin));
                self.hand_in(next, &Fact::Deadline { due_us }, &[]);
            }
        }
    }

    /// True for a deadline that the recorded driver let pass only when it woke, or gave more time to because it stood still.
    fn was_late(&self, due: Instant, ahead: Ahead) -> bool {
        let recorded = ahead.due_us.map(|due_us| self.at(due_us));
        let stalled = ahead.stalled_us.map(|(from, to)| (self.at(from), self.at(to)));
        recorded.is_some_and(|recorded| distance(due, recorded) < SAME_DEADLINE)
            || stalled.is_some_and(|(from, to)| due + SAME_DEADLINE > from && due <= to)
    }

    fn bytes(&mut self, now: Instant, file: &str, piece: (u64, u64)) -> Result<(), ReplayError> {
        if !self.consoles.is_open(file) {
            let (plan, rules, stage) = (&self.intake.plan, &self.intake.rules, self.intake.machine.stage());
            let watch = if file.starts_with(FIRMWARE_LOG) {
                watch::of_firmware(rules)?
            } else {
                watch::of_stage(plan, stage, rules)?
            };
            self.consoles.open(file, watch);
        }
        match self.consoles.feed(now, file, piece) {
            Ok(facts) => self.hand_in_new(now, facts),
            Err(error) => self.stop(&format!("the run has not kept byte {} of {file} ({error})", piece.0)),
        }
        Ok(())
    }

    /// Hands in what the recorded run took, after reading anew what is kept raw.
    fn recorded(&mut self, now: Instant, mut fact: Fact, asked: &[&str]) -> Result<(), ReplayError> {
        match &mut fact {
            Fact::Prepared {
                scale_percent, serial, ..
            } => {
                self.serial.clone_from(serial);
                self.status = Some(GuestStatus::Prelaunch);
                let scaled = u64::from(*scale_percent) * u64::from(self.scale_percent) / 100;
                *scale_percent = u32::try_from(scaled).unwrap_or(u32::MAX).max(1);
            }
            Fact::Match {
                file,
                id,
                offset,
                found,
            } => *found = self.consoles.take_held(file, id, *offset),
            Fact::Look {
                console_bytes, line, ..
            } => *line = self.consoles.open_line(&self.serial, *console_bytes),
            Fact::Output {
                file,
                offset,
                length,
                hits,
            } => match self.consoles.output(file, *offset, *length) {
                Ok(bytes) => *hits = self.search(file)?.take(&bytes, now),
                Err(error) => {
                    self.stop(&format!("the run has not kept byte {offset} of {file} ({error})"));
                    return Ok(());
                }
            },
            Fact::OutputEnded { hits } => {
                *hits = self
                    .search
                    .take()
                    .map(|(_, mut search)| search.finish())
                    .unwrap_or_default();
            }
            Fact::Event {
                event: Event::StatusObserved(status),
            } => {
                self.status = Some(*status);
                if self.statuses_owed == 0 {
                    self.perform(now, Vec::new(), asked);
                    return Ok(());
                }
                self.statuses_owed -= 1;
            }
            Fact::Qmp { name, .. } => self.learn_status(name),
            Fact::QmpNote { .. } => self.status = None,
            _ => {}
        }
        self.hand_in(now, &fact, asked);
        Ok(())
    }

    fn search(&mut self, file: &str) -> Result<&mut Search, ReplayError> {
        let current = self.search.take().filter(|(searched, _)| searched == file);
        let current = if let Some(current) = current {
            current
        } else {
            let Intake {
                plan,
                rules,
                redactor,
                machine,
                ..
            } = &self.intake;
            let search = Search::of_stage(plan, machine.stage(), rules, file.to_owned(), redactor.clone())?;
            (file.to_owned(), search)
        };
        Ok(&mut self.search.insert(current).1)
    }

    /// QEMU tells each change of the guest's run state; what a stop means, only the next answer says.
    fn learn_status(&mut self, event: &str) {
        match event {
            "RESUME" => self.status = Some(GuestStatus::Running),
            "STOP" | "SHUTDOWN" | "GUEST_PANICKED" | "BLOCK_IO_ERROR" => self.status = None,
            _ => {}
        }
    }

    fn hand_in_new(&mut self, now: Instant, facts: Vec<Fact>) {
        for fact in facts {
            self.hand_in(now, &fact, &[]);
        }
    }

    fn hand_in(&mut self, now: Instant, fact: &Fact, asked: &[&str]) {
        if self.is_over() {
            return;
        }
        let effects = self.intake.take(now, fact);
        self.perform(now, effects, asked);
        while let Some(answer) = self.answers.pop_front() {
            let effects = self.intake.take(now, &answer);
            self.perform(now, effects, &[]);
        }
    }

    /// Compares what the machine asks for with what the recorded one asked for at this place.
    fn perform(&mut self, now: Instant, effects: Vec<Effect>, recorded: &[&str]) {
        let (mut acts, mut statuses) = (Vec::new(), 0);
        for effect in effects {
            if let Effect::Record(record) = &effect {
                self.record(now, record);
            }
            match asks(&effect) {
                (_, Asks::Nothing) => {}
                (_, Asks::Status) => statuses += 1,
                (act, Asks::Act) => acts.push(act),
            }
        }
        let is_query = |asked: &&&str| **asked == "query-status";
        let recorded_acts: Vec<&str> = recorded.iter().filter(|asked| !is_query(asked)).copied().collect();
        let recorded_statuses = u32::try_from(recorded.len() - recorded_acts.len()).unwrap_or(u32::MAX);
        let state = self.intake.machine.state().name();
        if let Some(act) = acts.iter().find(|act| !recorded_acts.contains(&act.as_str())) {
            return self.stop(&format!(
                "the replayed machine asks for `{act}` (it is in {state}), and the recorded run did not do that there"
            ));
        }
        if let Some(act) = recorded_acts.iter().find(|act| !acts.iter().any(|asked| asked == *act)) {
            return self.stop(&format!(
                "the recorded run did `{act}`, and the replayed machine (it is in {state}) does not ask for that: \
                 what follows is not what would have followed"
            ));
        }
        let stops = acts.iter().filter(|act| *act == "stop-guest").count();
        self.statuses_owed += statuses.min(recorded_statuses) + u32::try_from(stops).unwrap_or(0);
        for _ in recorded_statuses..statuses {
            match self.status {
                Some(status) => self.answers.push_back(Fact::Event {
                    event: Event::StatusObserved(status),
                }),
                None => self.stop(&format!(
                    "the replayed machine (it is in {state}) asks what the guest does, and the recording does not tell"
                )),
            }
        }
    }

    fn record(&mut self, now: Instant, record: &Record) {
        let mut line = serde_json::Map::new();
        line.insert("seq".to_owned(), (self.records.len() + 1).into());
        let t_us = micros(now.saturating_duration_since(self.origin));
        line.insert("t_us".to_owned(), t_us.into());
        line.extend(trace::record_json(&self.intake.plan, record, &self.intake.redactor));
        self.records.push(Value::Object(line));
    }

    fn result(self) -> Replayed {
        let verdict = self.intake.machine.verdict().cloned();
        let end = match (self.stopped, &verdict) {
            (None, _) => ReplayEnd::Finished,
            (Some(_), Some(_)) => ReplayEnd::Decided,
            (Some(why), None) => ReplayEnd::RecordingEnds { why },
        };
        Replayed {
            records: self.records,
            verdict,
            end,
            played: self.played,
        }
    }
}

fn distance(one: Instant, other: Instant) -> Duration {
    one.saturating_duration_since(other)
        .max(other.saturating_duration_since(one))
}
