//! The records of a trace as what stood when: states within stages, and moments.

use serde_json::Value;

/// A run as spans and moments. All times are microseconds since the run began.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline<'a> {
    /// The stages, in order and without gaps: each begins with the first state that belongs to it.
    pub stages: Vec<StageSpan<'a>>,
    /// Everything that is no transition, in the trace's order.
    pub moments: Vec<Moment<'a>>,
    /// When the last record was written.
    pub end_us: u64,
    /// The verdict's record, once it is decided.
    pub verdict: Option<&'a Value>,
}

/// A stage, with the states that it went through.
#[derive(Debug, Clone, PartialEq)]
pub struct StageSpan<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it came to, once it has.
    pub outcome: Option<&'a str>,
    /// Its states, in order and without gaps. There is at least one.
    pub states: Vec<Span<'a>>,
}

/// A state that stood for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span<'a> {
    /// Its name.
    pub state: &'a str,
    /// When it was entered.
    pub from_us: u64,
    /// When it was left, or when the trace ends.
    pub to_us: u64,
    /// The transition that ended it. `None`: the trace ends before.
    pub left_by: Option<&'a Value>,
}

/// Something that happened at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment<'a> {
    /// When.
    pub at_us: u64,
    /// What, in a word.
    pub what: &'a str,
    /// The record.
    pub record: &'a Value,
}

impl<'a> Timeline<'a> {
    /// Reads the records of a trace. Whatever they hold, nothing is assumed of them: what makes no sense is left out.
    pub fn new(records: &'a [Value]) -> Self {
        let mut timeline = Self {
            stages: Vec::new(),
            moments: Vec::new(),
            end_us: 0,
            verdict: None,
        };
        let mut last: Option<(&str, &str, u64)> = None;
        for record in records {
            // Times that run backwards are taken for the time that is known.
            let at_us = at_us(record).max(timeline.end_us);
            timeline.end_us = at_us;
            match text(record, "kind") {
                "transition" => {
                    let (began_in, state, from_us) = last.unwrap_or((text(record, "stage"), text(record, "from"), 0));
                    let left_by = Some(record);
                    timeline.add(
                        began_in,
                        Span {
                            state,
                            from_us,
                            to_us: at_us,
                            left_by,
                        },
                    );
                    last = Some((text(record, "stage"), text(record, "to"), at_us));
                }
                "stage-ended" => timeline.end_stage(record, at_us, last),
                "verdict" => {
                    timeline.verdict = timeline.verdict.or(Some(record));
                    timeline.note(at_us, "verdict", record);
                }
                "stage-began" => {}
                "deadline-near" => timeline.note(at_us, "deadline-near", record),
                _ => timeline.note(at_us, text(record, "what"), record),
            }
        }
        if let Some((stage, state, from_us)) = last.filter(|(_, state, _)| *state != "Finished") {
            let to_us = timeline.end_us;
            timeline.add(
                stage,
                Span {
                    state,
                    from_us,
                    to_us,
                    left_by: None,
                },
            );
        }
        timeline
    }

    fn note(&mut self, at_us: u64, what: &'a str, record: &'a Value) {
        self.moments.push(Moment { at_us, what, record });
    }

    fn add(&mut self, stage: &'a str, span: Span<'a>) {
        self.stage(stage).states.push(span);
    }

    /// The outcome is told while the stage's last state still stands, so that state may not be there yet.
    fn end_stage(&mut self, record: &'a Value, at_us: u64, last: Option<(&'a str, &'a str, u64)>) {
        self.note(at_us, "stage-ended", record);
        let name = text(record, "stage");
        if last.is_none_or(|(stage, ..)| stage == name) || self.stages.last().is_some_and(|last| last.name == name) {
            self.stage(name).outcome = Some(text(record, "outcome"));
        }
    }

    /// The current stage, if it has this name; otherwise a new one.
    fn stage(&mut self, name: &'a str) -> &mut StageSpan<'a> {
        if self.stages.last().is_none_or(|stage| stage.name != name) {
            self.stages.push(StageSpan {
                name,
                outcome: None,
                states: Vec::new(),
            });
        }
        let last = self.stages.len() - 1;
        &mut self.stages[last]
    }
}

impl StageSpan<'_> {
    /// When it began.
    pub fn from_us(&self) -> u64 {
        self.states.first().map_or(0, |state| state.from_us)
    }

    /// When it was over.
    pub fn to_us(&self) -> u64 {
        self.states.last().map_or(0, |state| state.to_us)
    }
}

impl Span<'_> {
    /// How long it stood.
    pub fn length_us(&self) -> u64 {
        self.to_us - self.from_us
    }
}

fn at_us(record: &Value) -> u64 {
    record.get("t_us").and_then(Value::as_u64).unwrap_or(0)
}

pub(super) fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record.get(key).and_then(Value::as_str).unwrap_or_default()
}
