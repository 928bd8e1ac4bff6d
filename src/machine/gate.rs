//! What the machine knows beside its state, and the few moves that every handler is built from.

use std::sync::Arc;
use std::time::{Duration, Instant};

use statig::Outcome;

use crate::machine::record::{EvidenceRef, Record, StageOutcome, StageReport};
use crate::machine::{Cause, Class, DeadlineKind, Deadlines, Effect, Finding, Part, Prospects, State, Verdict};
use crate::plan::{Evidence, Plan, StageKind, StagePlan, VmUse};

/// What a handler answers.
pub(super) type Step = Outcome<State>;

/// Where handlers leave their requests. Records come before other effects, so that the trace names a transition
/// before anything is done about it.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) now: Instant,
    pub(super) records: Vec<Record>,
    pub(super) effects: Vec<Effect>,
}

impl Outbox {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            now,
            records: Vec::new(),
            effects: Vec::new(),
        }
    }

    pub(super) fn ask(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Something worth knowing that changes no state.
    pub(super) fn note(
        &mut self,
        state: State,
        what: &'static str,
        detail: impl Into<String>,
        evidence: Option<&EvidenceRef>,
    ) {
        self.records.push(Record::Note {
            state,
            what,
            detail: detail.into(),
            evidence: evidence.cloned(),
        });
    }
}

/// Why a transition happens: the event, the signal that confirms it, and where the evidence lies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) event: &'static str,
    pub(super) confirmed_by: Option<String>,
    pub(super) detail: String,
    pub(super) evidence: Option<EvidenceRef>,
}

impl Reason {
    pub(super) fn event(event: &'static str) -> Self {
        Self {
            event,
            ..Self::default()
        }
    }

    pub(super) fn confirmed(mut self, by: impl Into<String>) -> Self {
        self.confirmed_by = Some(by.into());
        self
    }

    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    pub(super) fn evidence(mut self, evidence: &EvidenceRef) -> Self {
        self.evidence = Some(evidence.clone());
        self
    }
}

/// What is known of the machine that runs now. Forgotten when the next one is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BootFacts {
    pub(super) spoke: bool,
    pub(super) kernel_seen: bool,
    pub(super) kernel_since_reset: bool,
    pub(super) marker_seen: bool,
    pub(super) resets: u32,
    pub(super) kernel_resets: u32,
    pub(super) last_reset: Option<Instant>,
    pub(super) login_prompt: bool,
    pub(super) passphrase_asked: bool,
    /// It was asked for on the screen.
    pub(super) asked_on_screen: bool,
    /// The screen shows a picture without text.
    pub(super) picture: bool,
    /// The answer to what the screen asks is typed.
    pub(super) answer_typed: bool,
    /// The target, seen before it could be asked whether the guest runs.
    pub(super) target_seen: Option<EvidenceRef>,
    pub(super) target_confirmed: bool,
    /// The installed system itself was asked for the target.
    pub(super) target_asked: bool,
    pub(super) ssh: SshFacts,
    pub(super) access: Access,
    /// A sighting that waits for `query-status` to confirm that the guest runs.
    pub(super) pending: Option<EvidenceRef>,
}

impl BootFacts {
    /// A reset on the way up: what the boot before it has shown proves nothing of the boot after it.
    pub(super) fn begin_anew(&mut self) {
        self.pending = None;
        self.target_seen = None;
        self.target_asked = false;
        self.login_prompt = false;
        self.passphrase_asked = false;
        self.asked_on_screen = false;
        self.answer_typed = false;
        self.ssh.stable = false;
    }
}

/// Whether the image was had to let us in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Access {
    /// Nobody has asked.
    #[default]
    Closed,
    /// It is being asked.
    Opening,
    /// It has.
    Open,
}

/// What is known of SSH in this boot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SshFacts {
    pub(super) answered: bool,
    pub(super) stable: bool,
    pub(super) last_logged_in: bool,
    pub(super) flaps: u32,
    pub(super) rejected_in_a_row: u32,
    pub(super) not_ssh_in_a_row: u32,
    pub(super) no_answer: u32,
}

/// What is known of the stage's command.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct CommandFacts {
    pub(super) pass_seen: Vec<bool>,
    /// The line that ends the command well.
    pub(super) until: Option<EvidenceRef>,
    /// Why the command does not test what the stage is for.
    pub(super) untested: Option<String>,
    pub(super) ended: Option<(crate::machine::CommandExit, EvidenceRef)>,
    pub(super) lost: bool,
}

/// The gate's memory: shared by all states.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    pub(super) plan: Arc<Plan>,
    pub(super) part: Part,
    pub(super) hold: Duration,
    pub(super) stage: usize,
    pub(super) reports: Vec<StageReport>,
    pub(super) scale_percent: u32,
    pub(super) deadlines: Deadlines,
    pub(super) boot: BootFacts,
    pub(super) command: CommandFacts,
    /// The rule that is the likely cause if the stage fails: the first one at the last place.
    pub(super) suspect: Option<Finding>,
    pub(super) prospects: Prospects,
    pub(super) reason: Option<(Reason, Option<(DeadlineKind, Duration)>)>,
    pub(super) verdict: Option<Verdict>,
    pub(super) qmp_lost: Option<String>,
    pub(super) kill: bool,
    /// The verdict came from a line on the console, behind which the guest may say more: the trace of a panic, the advice
    /// of an emergency shell, a panic's word to the pvpanic device.
    pub(super) last_words: bool,
    /// The leaf state, for handlers of superstates.
    pub(super) current: State,
}

impl Gate {
    pub(super) fn new(plan: Arc<Plan>, hold: Duration, part: Part) -> Self {
        let stage = part.only_stage().unwrap_or(0);
        let reports = plan.stages.iter().map(|_| StageReport::default()).collect();
        Self {
            plan,
            part,
            hold,
            stage,
            reports,
            scale_percent: 100,
            deadlines: Deadlines::default(),
            boot: BootFacts::default(),
            command: CommandFacts::default(),
            suspect: None,
            prospects: Prospects::default(),
            reason: None,
            verdict: None,
            qmp_lost: None,
            kill: false,
            last_words: false,
            current: State::Preparing,
        }
    }

    /// The leaf state.
    pub(super) fn place(&self) -> State {
        self.current
    }

    /// The current stage.
    pub(super) fn plan_stage(&self) -> &StagePlan {
        &self.plan.stages[self.stage]
    }

    /// True if nothing but the guest itself can bring the run forward, and nothing but the console tells of it.
    pub(super) fn awaits_guest(&self) -> bool {
        match self.current {
            State::BootingDisk | State::Unlocking | State::Installing => true,
            State::Booting => !self.boot.ssh.answered,
            State::Verifying => !self.boot.ssh.answered && !self.boot.target_confirmed,
            _ => false,
        }
    }

    pub(super) fn boots_installed(&self) -> bool {
        matches!(self.plan_stage().kind, StageKind::InstalledBoot { .. })
    }

    /// Goes to another state, for a reason that the trace will tell.
    pub(super) fn go(&mut self, out: &Outbox, to: State, reason: Reason) -> Step {
        let closest = self.deadlines.closest(out.now);
        self.reason = Some((reason, closest));
        Outcome::Transition(to)
    }

    /// Arms a deadline; a guest-facing one is scaled by the accelerator's speed. It warns after three quarters.
    pub(super) fn arm(&mut self, out: &Outbox, kind: DeadlineKind, limit: Duration) {
        let limit = self.scaled(kind, limit);
        let warn_after = if kind.warns() { limit * 3 / 4 } else { limit };
        self.deadlines.arm(kind, out.now, limit, warn_after);
    }

    /// Arms a deadline whose limit no gate file sets.
    pub(super) fn arm_fixed(&mut self, out: &Outbox, kind: DeadlineKind) {
        self.arm(out, kind, kind.fixed_limit());
    }

    fn scaled(&self, kind: DeadlineKind, limit: Duration) -> Duration {
        if kind.faces_guest() {
            limit * self.scale_percent / 100
        } else {
            limit
        }
    }

    pub(super) fn arm_stage(&mut self, out: &Outbox) {
        let (timeout, warn_after) = (self.plan_stage().timeout, self.plan_stage().warn_after);
        let limit = self.scaled(DeadlineKind::Stage, timeout);
        let warn_after = self.scaled(DeadlineKind::Stage, warn_after);
        self.deadlines.arm(DeadlineKind::Stage, out.now, limit, warn_after);
    }

    /// Remembers the highest level of evidence of the stage.
    pub(super) fn reach(&mut self, level: Evidence) {
        let reached = &mut self.reports[self.stage].reached;
        *reached = (*reached).max(Some(level));
    }

    pub(super) fn remark(&mut self, remark: impl Into<String>) {
        let remark = remark.into();
        let remarks = &mut self.reports[self.stage].remarks;
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }

    pub(super) fn begin_stage(&mut self, out: &mut Outbox, stage: usize) {
        self.stage = stage;
        self.reports[stage].began = Some(out.now);
        self.command = CommandFacts::default();
        self.suspect = None;
        self.prospects = Prospects::default();
        out.records.push(Record::StageBegan { stage });
    }

    /// The stage's claim is proved: on to the next stage, or to the end.
    pub(super) fn complete_stage(&mut self, out: &mut Outbox, reason: Reason) -> Step {
        if let Some(finding) = self.prospects.at_end.iter().find(|finding| finding.rule.fatal).cloned() {
            return self.fail_by_rule(out, "rule-at-stage-end", finding);
        }
        self.deadlines.disarm(DeadlineKind::Stage);
        let untested = self.command.untested.take();
        self.end_stage(
            out,
            if untested.is_some() {
                StageOutcome::NotTested
            } else {
                StageOutcome::Passed
            },
        );
        self.reports[self.stage].not_tested = untested;
        let next = self.stage + 1;
        let Some(next_stage) = self.plan.stages.get(next) else {
            let clean = self.plan.disks.iter().any(|disk| disk.keep);
            return self.go(out, if clean { State::PoweringDown } else { State::Exiting }, reason);
        };
        if next_stage.vm == VmUse::Fresh {
            return self.go(out, State::PoweringDown, reason);
        }
        if self.hands_on().is_some() {
            return self.go(out, State::Pausing, reason);
        }
        let reached = self.reports[self.stage].reached;
        self.begin_stage(out, next);
        self.reports[next].reached = reached;
        self.arm_stage(out);
        let to = if self.boot.ssh.stable {
            State::SshStable
        } else {
            State::MarkerSeen
        };
        self.go(out, to, reason)
    }

    pub(super) fn end_stage(&mut self, out: &mut Outbox, outcome: StageOutcome) {
        let report = &self.reports[self.stage];
        if report.ended.is_some() {
            return;
        }
        for finding in std::mem::take(&mut self.prospects.at_end) {
            self.found(out, "rule-at-stage-end", finding);
        }
        let report = &mut self.reports[self.stage];
        report.outcome = outcome;
        report.ended = Some(out.now);
        let (stage, reached) = (self.stage, report.reached);
        out.records.push(Record::StageEnded {
            stage,
            outcome,
            reached,
        });
    }

    /// Decides a failure that the machine knows, and stops the guest where it is.
    pub(super) fn fail(&mut self, out: &mut Outbox, state: State, cause: Cause, reason: Reason) -> Step {
        let verdict = self.explained(cause, &reason, state);
        self.decide(out, verdict, &reason);
        self.go(out, State::Stopping, reason)
    }

    /// Decides a failure after which QEMU can't be asked anything any more.
    pub(super) fn fail_dead(&mut self, out: &mut Outbox, state: State, cause: Cause, reason: Reason) -> Step {
        let verdict = self.explained(cause, &reason, state);
        self.decide(out, verdict, &reason);
        self.go(out, State::Discarding, reason)
    }

    /// Makes a verdict final, unless one is: the first cause wins, later signals only confirm it.
    pub(super) fn decide(&mut self, out: &mut Outbox, mut verdict: Verdict, reason: &Reason) {
        if self.verdict.is_some() {
            return;
        }
        if verdict.evidence.is_none() {
            verdict.evidence.clone_from(&reason.evidence);
        }
        if let Some(by) = &reason.confirmed_by {
            verdict.confirmed_by.push(by.clone());
        }
        self.deadlines.disarm(DeadlineKind::Stage);
        if self.reports[self.stage].began.is_some() {
            let outcome = match verdict.class {
                Class::Passed | Class::Failed | Class::KnownFailure => StageOutcome::Failed,
                Class::Infrastructure | Class::Untestable | Class::Internal | Class::Cancelled => {
                    StageOutcome::Undecided
                }
            };
            self.end_stage(out, outcome);
        }
        out.records.push(Record::Decided(Box::new(verdict.clone())));
        self.verdict = Some(verdict);
    }
}
