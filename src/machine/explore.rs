//! A walk through everything the machine can do: every reached configuration, every representative event.
//!
//! The walk is what `state-diagrams/` is made from, and what the tests assert their properties on: the picture is
//! proven, not drawn.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::machine::gate::{Access, CommandFacts};
use crate::machine::record::Record;
use crate::machine::specimen::representative_events;
use crate::machine::{Class, CommandExit, DeadlineKind, Effect, Machine, Part, State};
use crate::plan::Plan;

/// One way from a state to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// The event that decides it.
    pub event: &'static str,
    /// True if a second signal confirms it.
    pub confirmed: bool,
}

/// What the walk found.
#[derive(Debug, Default)]
pub struct Exploration {
    /// Every edge.
    pub edges: BTreeSet<Edge>,
    /// Which deadlines are armed in each state, over all configurations.
    pub deadlines: BTreeMap<State, BTreeSet<DeadlineKind>>,
    /// How many configurations were reached.
    pub configurations: usize,
    /// One machine for each configuration.
    pub machines: Vec<Machine>,
}

impl Exploration {
    /// Adds what another walk has found.
    pub fn add(&mut self, other: Self) {
        self.edges.extend(other.edges);
        self.configurations += other.configurations;
        self.machines.extend(other.machines);
        for (state, kinds) in other.deadlines {
            self.deadlines.entry(state).or_default().extend(kinds);
        }
    }
}

/// Walks the machine of one plan, or of a part of it.
pub fn explore(plan: &Arc<Plan>, hold: Duration, part: Part, origin: Instant) -> Exploration {
    let mut found = Exploration::default();
    let mut first = Machine::of_part(plan.clone(), hold, part);
    first.start(origin);
    let mut seen = HashSet::from([configuration(&first)]);
    let mut queue = VecDeque::from([(first, origin)]);
    while let Some((machine, now)) = queue.pop_front() {
        let armed = found.deadlines.entry(machine.state()).or_default();
        armed.extend(machine.deadlines().iter().map(|deadline| deadline.kind));
        // One second between events, so that two resets are two resets.
        let now = now + Duration::from_secs(1);
        for event in representative_events(&machine) {
            let mut next = machine.clone();
            let effects = next.handle(now, &event);
            found.edges.extend(effects.iter().filter_map(edge));
            // Only what is new waits, so that what is known already takes no memory.
            if seen.insert(configuration(&next)) {
                queue.push_back((next, now));
            }
        }
        found.machines.push(machine);
    }
    found.configurations = seen.len();
    found
}

fn edge(effect: &Effect) -> Option<Edge> {
    let Effect::Record(Record::Transition {
        from,
        to,
        event,
        confirmed_by,
        ..
    }) = effect
    else {
        return None;
    };
    Some(Edge {
        from: *from,
        to: *to,
        event,
        confirmed: confirmed_by.is_some(),
    })
}

/// What of a machine decides its behaviour from here on: instants, texts and large counts do not. It is made and looked up
/// millions of times, so it holds values and no text.
#[derive(PartialEq, Eq, Hash)]
struct Configuration {
    state: State,
    stage: usize,
    /// A bit for each kind of deadline.
    armed: u32,
    cancelled: bool,
    kill: bool,
    /// `None` once the verdict is decided.
    undecided: Option<Undecided>,
}

#[derive(PartialEq, Eq, Hash)]
struct Undecided {
    qmp_lost: bool,
    /// A rule that only the stage's end is missing for turns a stage that passes into one that fails.
    fatal_at_end: bool,
    facts: Facts,
}

/// The facts that the handlers of a state look at; those that the state ignores are as they are by default.
#[derive(Default, PartialEq, Eq, Hash)]
struct Facts {
    resets: (u32, u32, bool),
    logins: Option<(bool, u32, bool, u32, u32)>,
    pending: bool,
    spoke: bool,
    kernel_seen: bool,
    stable: bool,
    access: Access,
    command: Option<Command>,
    picture: bool,
    login_prompt: bool,
    target_seen: bool,
    target_asked: bool,
    target_confirmed: bool,
    passphrase_asked: bool,
    asked_on_screen: bool,
    answer_typed: bool,
}

#[derive(PartialEq, Eq, Hash)]
struct Command {
    pass_seen: Vec<bool>,
    ended: Option<CommandExit>,
    lost: bool,
    until: bool,
    untested: bool,
}

impl Command {
    fn of(facts: &CommandFacts) -> Self {
        Self {
            pass_seen: facts.pass_seen.clone(),
            ended: facts.ended.as_ref().map(|(exit, _)| exit.clone()),
            lost: facts.lost,
            until: facts.until.is_some(),
            untested: facts.untested.is_some(),
        }
    }
}

fn configuration(machine: &Machine) -> Configuration {
    let gate = machine.gate();
    let verdict = machine.verdict();
    Configuration {
        state: machine.state(),
        stage: gate.stage,
        armed: machine
            .deadlines()
            .iter()
            .fold(0, |armed, one| armed | 1 << one.kind as u32),
        cancelled: verdict.is_some_and(|verdict| verdict.class == Class::Cancelled),
        kill: gate.kill,
        undecided: verdict.is_none().then(|| Undecided {
            qmp_lost: gate.qmp_lost.is_some(),
            fatal_at_end: gate.prospects.at_end.iter().any(|finding| finding.rule.fatal),
            facts: relevant_facts(machine),
        }),
    }
}

/// What a state ignores would only multiply the walk; and since no handler looks at resets and logins together, a machine
/// that has reset is walked without telling its logins apart.
fn relevant_facts(machine: &Machine) -> Facts {
    let gate = machine.gate();
    let (boot, ssh) = (&gate.boot, &gate.boot.ssh);
    let none = Facts::default();
    let resets = (boot.resets, boot.kernel_resets, boot.kernel_since_reset);
    let logins = (boot.resets == 0).then_some((
        ssh.answered,
        ssh.flaps.min(1),
        ssh.last_logged_in,
        ssh.rejected_in_a_row,
        ssh.not_ssh_in_a_row,
    ));
    let (pending, stable, asked_on_screen) = (boot.pending.is_some(), ssh.stable, boot.asked_on_screen);
    let (spoke, kernel_seen) = (boot.spoke, boot.kernel_seen);
    match machine.state() {
        State::Booting => Facts {
            resets,
            logins,
            pending,
            spoke,
            kernel_seen,
            ..none
        },
        State::Resuming => Facts {
            logins,
            pending,
            ..none
        },
        State::MarkerSeen => Facts {
            logins,
            stable,
            access: boot.access,
            ..none
        },
        State::SshStable => Facts { stable, ..none },
        State::Installing | State::Triaged => Facts {
            stable,
            command: Some(Command::of(&gate.command)),
            ..none
        },
        State::BootingDisk => Facts {
            resets,
            pending,
            spoke,
            kernel_seen,
            picture: boot.picture,
            login_prompt: boot.login_prompt,
            target_seen: boot.target_seen.is_some(),
            ..none
        },
        State::Unlocking => Facts {
            resets,
            asked_on_screen,
            answer_typed: boot.answer_typed,
            ..none
        },
        State::Verifying => Facts {
            resets,
            logins,
            pending,
            stable,
            asked_on_screen,
            target_asked: boot.target_asked,
            target_confirmed: boot.target_confirmed,
            passphrase_asked: boot.passphrase_asked,
            ..none
        },
        _ => none,
    }
}
