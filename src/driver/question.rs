//! Whether a question that stands on the console holds up the run.

use std::time::{Duration, Instant};

use crate::machine::{Machine, State};
use crate::plan::{Plan, StageKind};
use crate::serial::prompt::{IDLE_WINDOW, OpenLine, PromptDetector, STANDS_BEFORE_KERNEL, STANDS_MIN, Sample};

use super::watch;

/// What is known about questions on the console of one machine.
#[derive(Default)]
pub(super) struct Questions {
    detector: PromptDetector,
    /// The state that was seen last, and since when.
    state: Option<(State, Instant)>,
    /// When the stage's command last said something.
    command_spoke: Option<Instant>,
}

impl Questions {
    /// The stage's command has said something.
    pub(super) fn command_spoke(&mut self, now: Instant) {
        self.command_spoke = Some(now);
    }

    /// The machine is in this state.
    pub(super) fn in_state(&mut self, state: State, now: Instant) {
        if self.state.is_none_or(|(before, _)| before != state) {
            self.state = Some((state, now));
        }
    }

    /// True if the question holds up the run.
    pub(super) fn hold_up(&mut self, machine: &Machine, plan: &Plan, line: &OpenLine, sample: Sample) -> bool {
        let stands_min = if machine.kernel_spoke() {
            STANDS_MIN
        } else {
            STANDS_BEFORE_KERNEL
        };
        machine.awaits_guest()
            && !is_expected(plan, machine.stage(), line)
            && (machine.state() != State::Installing || self.came_with_the_command(&sample))
            && self.detector.observe(sample, stands_min)
    }

    /// A command goes on beside a question that stood there before it, and while it prints it is not held up.
    fn came_with_the_command(&self, sample: &Sample) -> bool {
        let since = |at: Instant| sample.at.saturating_duration_since(at);
        let asked_later = self.state.is_some_and(|(_, entered)| sample.silent < since(entered));
        let silent = self.command_spoke.map_or(Duration::MAX, since);
        asked_later && silent >= IDLE_WINDOW
    }
}

/// True for the prompt that the stage answers.
fn is_expected(plan: &Plan, stage: usize, line: &OpenLine) -> bool {
    let StageKind::InstalledBoot {
        unlock: Some(unlock), ..
    } = &plan.stages[stage].kind
    else {
        return false;
    };
    // A pattern that does not compile has ended the preparation.
    let pattern = regex::Regex::new(&watch::as_shown(&unlock.pattern).to_regex());
    let text = String::from_utf8_lossy(line.text.as_bytes());
    pattern.is_ok_and(|pattern| pattern.is_match(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at: Instant, silent_s: u64) -> Sample {
        Sample {
            at,
            silent: Duration::from_secs(silent_s),
            console_bytes: 9,
            block_operations: 0,
            busy: Duration::ZERO,
        }
    }

    #[test]
    fn a_command_is_held_up_only_by_what_came_with_it_while_it_is_silent() {
        let entered = Instant::now();
        let after = |seconds| entered + Duration::from_secs(seconds);
        let mut questions = Questions::default();
        questions.in_state(State::Installing, entered);
        assert!(questions.came_with_the_command(&look(after(10), 4)));
        assert!(
            !questions.came_with_the_command(&look(after(10), 11)),
            "it stood there before"
        );
        questions.in_state(State::Installing, after(9));
        questions.command_spoke(after(8));
        assert!(
            !questions.came_with_the_command(&look(after(10), 4)),
            "the command goes on"
        );
        assert!(questions.came_with_the_command(&look(after(11), 4)));
    }
}
