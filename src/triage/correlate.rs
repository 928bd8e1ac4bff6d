//! From single lines to findings: order, distance, absence.

use std::sync::Arc;

use super::rules::Rules;
use crate::plan::{LookNumber, Rule, Until};
use crate::text::Untrusted;
use crate::units::ByteSize;

/// Where something was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file that records the stream.
    pub file: String,
    /// Offset in the stream of the line's first byte.
    pub line_offset: u64,
    /// Offset in the stream of the quotation's first byte.
    pub quote_offset: u64,
    /// The line, or the part of it around the match; at most [`crate::serial::marker::MATCH_LINE_BYTES_MAX`] bytes.
    pub quote: Untrusted,
}

impl Place {
    fn in_line_of(&self, other: &Self) -> bool {
        self.file == other.file && self.line_offset == other.line_offset
    }

    /// True if it stands before `later`. Between streams the order of arrival counts, and `self` was there first.
    fn precedes(&self, later: &Self) -> bool {
        self.file != later.file || self.line_offset < later.line_offset
    }
}

/// A look of a rule that has found a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The rule's number.
    pub rule: usize,
    /// Which of its looks.
    pub look: LookNumber,
    /// Where.
    pub place: Place,
}

/// A rule that is certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's number.
    pub rule: usize,
    /// Where its steps were seen, in order. Without the last one if that is a cause, which stands nowhere.
    pub places: Vec<Place>,
}

impl Finding {
    /// The place that decided it.
    pub fn place(&self) -> Option<&Place> {
        self.places.last()
    }

    /// True if the same line decided both.
    pub fn stands_with(&self, other: &Self) -> bool {
        match (self.place(), other.place()) {
            (Some(one), Some(two)) => one.in_line_of(two),
            (None, None) => true,
            _ => false,
        }
    }
}

/// What would be certain if the stage ended now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prospects {
    /// However it ended.
    pub at_end: Vec<Finding>,
    /// If it ended with this cause: the first rule that knows it.
    pub of_causes: Vec<(String, Finding)>,
}

/// Puts together what the looks of rules see in one stage. Holds a few places for each step of each rule, whatever comes.
#[derive(Debug, Clone)]
pub struct Correlator {
    rules: Arc<Rules>,
    states: Vec<RuleState>,
    changed: bool,
}

#[derive(Debug, Clone, Default)]
struct RuleState {
    /// For each step, how it was reached last.
    reached: Vec<Option<Reached>>,
    /// What must be absent was seen.
    spoilt: bool,
    /// All was seen; only the stage's end is missing.
    pending: Option<Vec<Place>>,
    found: bool,
}

/// The places of a step and of those before it: the last ones, and the last ones in an earlier line.
#[derive(Debug, Clone)]
struct Reached {
    last: Vec<Place>,
    before: Option<Vec<Place>>,
}

impl Correlator {
    /// A correlator at the beginning of a stage.
    pub fn new(rules: Arc<Rules>) -> Self {
        let states = rules.as_slice().iter().map(RuleState::new).collect();
        Self {
            rules,
            states,
            changed: true,
        }
    }

    /// Its rules.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Forgets all: a stage begins.
    pub fn begin_stage(&mut self) {
        self.states = self.rules.as_slice().iter().map(RuleState::new).collect();
        self.changed = true;
    }

    /// Takes what a look has seen; gives what is certain by it, the earlier rule first, each rule once in a stage.
    pub fn see(&mut self, sighting: &Sighting) -> Vec<Finding> {
        let rules = self.rules.clone();
        let Some(rule) = rules.as_slice().get(sighting.rule) else {
            return Vec::new();
        };
        let mut looks = vec![(sighting.rule, sighting.look)];
        if rule.only_look().is_some() {
            looks.extend(rules.referrers(sighting.rule));
            looks.sort_by_key(|(rule, look)| (*rule, std::cmp::Reverse(in_order(*look))));
        }
        let mut findings = Vec::new();
        for (rule, look) in looks {
            findings.extend(self.advance(&rules, rule, look, &sighting.place));
        }
        findings
    }

    fn advance(&mut self, rules: &Rules, number: usize, look: LookNumber, place: &Place) -> Option<Finding> {
        let (rule, state) = (rules.rule(number), &mut self.states[number]);
        let LookNumber::Step(step) = look else {
            self.changed |= !std::mem::replace(&mut state.spoilt, true);
            state.pending = None;
            return None;
        };
        let is_first = state.reached[step].is_none();
        let places = state.reach(rule, step, place)?;
        let last = rule.steps.len() - 1;
        if step < last {
            self.changed |= is_first && step + 1 == last && rules.has_cause(number);
            return None;
        }
        if state.found || state.spoilt {
            return None;
        }
        if rule.without.as_ref().is_some_and(|without| without.until == Until::End) {
            self.changed |= state.pending.replace(places).is_none();
            return None;
        }
        state.found = true;
        Some(Finding { rule: number, places })
    }

    /// What would be certain if the stage ended now, with one of `causes` or another one.
    pub fn prospects(&self, causes: &[&str]) -> Prospects {
        let of_causes = causes.iter().filter_map(|cause| {
            let finding = (0..self.states.len()).find_map(|number| self.explained(number, cause))?;
            Some(((*cause).to_owned(), finding))
        });
        Prospects {
            at_end: self.pending(),
            of_causes: of_causes.collect(),
        }
    }

    /// True if the prospects may have changed since this was asked last.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What is certain now that the stage has ended, with this cause if the machine has decided on one by itself.
    pub fn end(&self, cause: Option<&str>) -> Vec<Finding> {
        let mut findings = self.pending();
        let explained = cause.and_then(|cause| (0..self.states.len()).find_map(|number| self.explained(number, cause)));
        findings.extend(explained);
        findings
    }

    fn pending(&self) -> Vec<Finding> {
        let states = self.states.iter().enumerate();
        states
            .filter_map(|(rule, state)| {
                let places = state.pending.clone()?;
                Some(Finding { rule, places })
            })
            .collect()
    }

    /// What the rule would find if the stage ended with this cause.
    fn explained(&self, number: usize, cause: &str) -> Option<Finding> {
        let state = &self.states[number];
        if state.spoilt || !self.rules.explains(number, cause) {
            return None;
        }
        let places = match self.rules.rule(number).steps.len() {
            1 => Vec::new(),
            steps => state.reached[steps - 2].as_ref()?.last.clone(),
        };
        Some(Finding { rule: number, places })
    }
}

/// What must be absent comes before all steps.
fn in_order(look: LookNumber) -> usize {
    match look {
        LookNumber::Without => usize::MAX,
        LookNumber::Step(step) => step,
    }
}

impl RuleState {
    fn new(rule: &Rule) -> Self {
        Self {
            reached: vec![None; rule.steps.len()],
            ..Self::default()
        }
    }

    /// The step was seen. Gives the places of it and of the steps before it, if those were seen in order.
    fn reach(&mut self, rule: &Rule, step: usize, place: &Place) -> Option<Vec<Place>> {
        let mut places = match step.checked_sub(1) {
            None => Vec::new(),
            Some(previous) => {
                let within = rule.steps[step].within;
                let fits = |places: &&Vec<Place>| {
                    places.last().is_some_and(|before| {
                        let is_near = |within: ByteSize| {
                            before.file != place.file || place.line_offset - before.line_offset <= within.0
                        };
                        before.precedes(place) && within.is_none_or(is_near)
                    })
                };
                let reached = self.reached[previous].as_ref()?;
                let candidates = std::iter::once(&reached.last).chain(&reached.before);
                candidates.into_iter().find(fits)?.clone()
            }
        };
        places.push(place.clone());
        let reached = &mut self.reached[step];
        let before = match reached.take() {
            None => None,
            Some(old) if old.last.last().is_some_and(|last| last.in_line_of(place)) => old.before,
            Some(old) => Some(old.last),
        };
        *reached = Some(Reached {
            last: places.clone(),
            before,
        });
        Some(places)
    }
}
