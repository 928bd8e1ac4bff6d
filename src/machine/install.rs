//! The stage's command: Installing, Triaged.

use statig::Outcome::{Handled, Super};

use crate::machine::boot::STATUS_RUNNING;
use crate::machine::gate::{CommandFacts, Gate, Outbox, Reason, Step};
use crate::machine::{Cause, CommandExit, DeadlineKind, Effect, Event, EvidenceRef, GuestStatus, State};
use crate::plan::{Evidence, Pattern, StageKind};

impl Gate {
    fn command_patterns(&self) -> (&[Pattern], &[Pattern]) {
        match &self.plan_stage().kind {
            StageKind::Command { pass, fail, .. } => (pass, fail),
            StageKind::Boot | StageKind::InstalledBoot { .. } => (&[], &[]),
        }
    }

    pub(super) fn enter_installing(&mut self, out: &mut Outbox) {
        self.command = CommandFacts {
            pass_seen: vec![false; self.command_patterns().0.len()],
            ..CommandFacts::default()
        };
        self.arm_no_progress(out);
        out.ask(Effect::RunCommand { stage: self.stage });
    }

    fn arm_no_progress(&mut self, out: &Outbox) {
        if let StageKind::Command { no_progress, .. } = self.plan_stage().kind {
            self.arm(out, DeadlineKind::NoProgress, no_progress);
        }
    }

    pub(super) fn installing(&mut self, event: &Event, out: &mut Outbox) -> Step {
        const STATE: State = State::Installing;
        match event {
            Event::CommandStarted => {
                out.note(STATE, "command-started", "the command runs detached in the guest", None);
                Handled
            }
            Event::CommandProgressed => {
                if self.command.until.is_none() {
                    self.arm_no_progress(out);
                }
                Handled
            }
            Event::PassLineSeen { pattern, evidence } => {
                if let Some(seen) = self.command.pass_seen.get_mut(*pattern)
                    && self.command.until.as_ref().is_none_or(|until| until == evidence)
                    && !std::mem::replace(seen, true)
                {
                    let detail = self.command_patterns().0[*pattern].to_string();
                    out.note(STATE, "pass-line-seen", detail, Some(evidence));
                }
                Handled
            }
            Event::UntilLineSeen { pattern, evidence } => {
                self.until_line(out, *pattern, evidence);
                Handled
            }
            Event::ConditionChecked { exit } => {
                self.condition_checked(out, exit);
                Handled
            }
            // Whoever is ended in the middle may complain.
            Event::FailLineSeen { .. } | Event::OutputRuleMatched(_) if self.command.until.is_some() => Handled,
            Event::FailLineSeen { pattern, evidence } => {
                let detail = self.command_patterns().1.get(*pattern).map(ToString::to_string);
                let reason = Reason::event("fail-line-seen")
                    .detail(detail.unwrap_or_default())
                    .evidence(evidence);
                self.fail(out, STATE, Cause::ForbiddenLine, reason)
            }
            Event::OutputRuleMatched(finding) => self.on_rule(out, "output-rule", finding.clone()),
            Event::ConnectionLost => {
                self.command.lost = true;
                let detail = "the command goes on in the guest; trying to pick it up again";
                out.note(STATE, "connection-lost", detail, None);
                Handled
            }
            Event::CommandReattached => {
                self.command.lost = false;
                out.note(STATE, "command-reattached", "no output was lost", None);
                Handled
            }
            Event::CommandEnded { exit, evidence } => self.command_ended(out, exit, evidence),
            Event::DeadlinePassed(DeadlineKind::EndCommand) => self.not_ended(out, "it did not end in time"),
            Event::CommandUnreachable { detail } if self.command.until.is_some() => self.not_ended(out, detail),
            Event::CommandUnreachable { detail } => {
                let reason = Reason::event("command-unreachable").detail(detail);
                self.fail(out, STATE, Cause::CommandUnreachable, reason)
            }
            Event::DeadlinePassed(DeadlineKind::NoProgress) => self.no_progress(out),
            Event::DeadlinePassed(DeadlineKind::Stage) => {
                let reason = Reason::event("deadline-stage");
                self.fail(out, STATE, Cause::CommandTimeout, reason)
            }
            _ => Super,
        }
    }

    fn command_ended(&mut self, out: &mut Outbox, exit: &CommandExit, evidence: &EvidenceRef) -> Step {
        self.command.ended = Some((exit.clone(), evidence.clone()));
        let detail = exit_words(exit);
        if let Some(line) = self.command.until.clone() {
            let reason = Reason::event("until-line-seen").confirmed("the command was ended");
            return self.go(out, State::Triaged, reason.detail(detail).evidence(&line));
        }
        let reason = Reason::event("command-ended").detail(detail).evidence(evidence);
        self.go(out, State::Triaged, reason)
    }

    /// The stage ends well here. The command is ended before anything else is done to its machine.
    fn until_line(&mut self, out: &mut Outbox, pattern: usize, evidence: &EvidenceRef) {
        let StageKind::Command { until, .. } = &self.plan_stage().kind else {
            return;
        };
        let Some(line) = until.get(pattern).filter(|_| self.command.until.is_none()) else {
            return;
        };
        out.note(State::Installing, "until-line-seen", line.to_string(), Some(evidence));
        self.command.until = Some(evidence.clone());
        self.deadlines.disarm(DeadlineKind::Stage);
        self.deadlines.disarm(DeadlineKind::NoProgress);
        self.arm_fixed(out, DeadlineKind::EndCommand);
        out.ask(Effect::EndCommand { stage: self.stage });
    }

    /// The line has come; what was to end with it may still run.
    fn not_ended(&mut self, out: &mut Outbox, why: &str) -> Step {
        self.remark(format!(
            "the command printed the line that ends it, and may still run in the guest: {why}"
        ));
        let mut reason = Reason::event("until-line-seen").detail(why);
        if let Some(line) = &self.command.until {
            reason = reason.evidence(line);
        }
        self.go(out, State::Triaged, reason)
    }

    fn condition_checked(&mut self, out: &mut Outbox, exit: &CommandExit) {
        let StageKind::Command {
            only_tests_if: Some(condition),
            ..
        } = &self.plan_stage().kind
        else {
            return;
        };
        let said = format!("`{}`: {}", condition.command, exit_words(exit));
        if *exit == CommandExit::Status(0) {
            out.note(State::Installing, "condition-holds", said, None);
        } else {
            let untested = format!("{} ({said})", condition.because);
            out.note(State::Installing, "condition-does-not-hold", &untested, None);
            self.command.untested = Some(untested);
        }
    }

    fn no_progress(&mut self, out: &mut Outbox) -> Step {
        let reason = Reason::event("deadline-no-progress");
        if self.command.lost {
            let reason = reason.detail("the connection under the command did not come back");
            return self.fail(out, State::Installing, Cause::CommandUnreachable, reason);
        }
        self.fail(out, State::Installing, Cause::CommandSilent, reason)
    }

    pub(super) fn enter_triaged(&mut self, out: &mut Outbox) {
        self.arm_fixed(out, DeadlineKind::Confirm);
        out.ask(Effect::QueryStatus);
    }

    pub(super) fn triaged(&mut self, event: &Event, out: &mut Outbox) -> Step {
        match event {
            Event::StatusObserved(GuestStatus::Running) => self.classify(out),
            Event::DeadlinePassed(DeadlineKind::Stage) => {
                let reason = Reason::event("deadline-stage");
                self.fail(out, State::Triaged, Cause::CommandTimeout, reason)
            }
            _ => Super,
        }
    }

    /// The outcome of the command: a status of 0 and every line that the stage asks for, or a failure with its cause.
    fn classify(&mut self, out: &mut Outbox) -> Step {
        const STATE: State = State::Triaged;
        if let Some(line) = self.command.until.clone() {
            let reason = Reason::event("outcome-classified")
                .confirmed(STATUS_RUNNING)
                .evidence(&line);
            return self.complete_if_printed(out, reason.detail("ended at its line"));
        }
        let Some((exit, evidence)) = self.command.ended.clone() else {
            return self.fail(out, STATE, Cause::Internal, Reason::event("no-exit-status"));
        };
        let reason = Reason::event("outcome-classified")
            .confirmed(STATUS_RUNNING)
            .evidence(&evidence);
        match exit {
            CommandExit::Status(0) => match &self.plan_stage().kind {
                StageKind::Command { until, .. } if !until.is_empty() => {
                    let lines: Vec<_> = until.iter().map(ToString::to_string).collect();
                    let detail = format!("it ended before it printed {}", lines.join(" or "));
                    self.fail(out, STATE, Cause::ExpectedLineMissing, reason.detail(detail))
                }
                _ => self.complete_if_printed(out, reason.detail("clean")),
            },
            CommandExit::Status(status) => {
                let reason = reason.detail(format!("exit status {status}"));
                self.fail(out, STATE, Cause::CommandFailed, reason)
            }
            CommandExit::Signal(name) => self.fail(out, STATE, Cause::CommandKilled, reason.detail(name)),
        }
    }

    fn complete_if_printed(&mut self, out: &mut Outbox, reason: Reason) -> Step {
        let missing = self.command.pass_seen.iter().position(|seen| !seen);
        if let Some(index) = missing {
            let detail = format!("{} never appeared", self.command_patterns().0[index]);
            return self.fail(out, State::Triaged, Cause::ExpectedLineMissing, reason.detail(detail));
        }
        self.reach(Evidence::Installed);
        self.complete_stage(out, reason)
    }
}

pub(super) fn exit_words(exit: &CommandExit) -> String {
    match exit {
        CommandExit::Status(status) => format!("exit status {status}"),
        CommandExit::Signal(name) => format!("killed by {name}"),
    }
}
