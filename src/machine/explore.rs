//! A walk through everything the machine can do: every reached configuration, every representative event.
//!
//! The walk is what `state-diagrams/` is made from, and what the tests assert their properties on: the picture is
//! proven, not drawn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::machine::record::Record;
use crate::machine::specimen::representative_events;
use crate::machine::{Class, DeadlineKind, Effect, Machine, Part, State};
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

/// A configuration of the machine, without what does not change its behaviour: instants, texts, large counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Configuration(String);

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

/// Walks the machine of one plan, or of a part of it.
pub fn explore(plan: &Arc<Plan>, hold: Duration, part: Part, origin: Instant) -> Exploration {
    let mut found = Exploration::default();
    let mut seen = BTreeSet::new();
    let mut queue = VecDeque::new();
    let mut first = Machine::of_part(plan.clone(), hold, part);
    first.start(origin);
    queue.push_back((first, origin));
    while let Some((machine, now)) = queue.pop_front() {
        if !seen.insert(configuration(&machine)) {
            continue;
        }
        let armed = found.deadlines.entry(machine.state()).or_default();
        armed.extend(machine.deadlines().iter().map(|deadline| deadline.kind));
        // One second between events, so that two resets are two resets.
        let now = now + Duration::from_secs(1);
        for event in representative_events(&machine) {
            let mut next = machine.clone();
            let effects = next.handle(now, &event);
            found.edges.extend(effects.iter().filter_map(edge));
            queue.push_back((next, now));
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

/// What of a machine decides its behaviour from here on.
fn configuration(machine: &Machine) -> Configuration {
    let gate = machine.gate();
    let state = machine.state();
    let verdict = machine.verdict();
    let cancelled = verdict.is_some_and(|verdict| verdict.class == Class::Cancelled);
    let armed: BTreeSet<_> = machine.deadlines().iter().map(|deadline| deadline.kind).collect();
    let common = format!("{state:?} {} {armed:?} {cancelled} {}", gate.stage, gate.kill);
    if verdict.is_some() {
        return Configuration(common);
    }
    let lost = gate.qmp_lost.is_some();
    // A rule that only the stage's end is missing for turns a stage that passes into one that fails.
    let fatal_at_end = gate.prospects.at_end.iter().any(|finding| finding.rule.fatal);
    Configuration(format!("{common} {lost} {fatal_at_end} {}", relevant_facts(machine)))
}

/// The facts that the handlers of a state look at. What a state ignores would only multiply the walk; and since no handler
/// looks at resets and logins together, a machine that has reset is walked without telling its logins apart.
fn relevant_facts(machine: &Machine) -> String {
    let gate = machine.gate();
    let (boot, ssh, command) = (&gate.boot, &gate.boot.ssh, &gate.command);
    let resets = (boot.resets, boot.kernel_resets, boot.kernel_since_reset);
    let logins = (boot.resets == 0).then_some((
        ssh.answered,
        ssh.flaps.min(1),
        ssh.last_logged_in,
        ssh.rejected_in_a_row,
        ssh.not_ssh_in_a_row,
    ));
    let pending = boot.pending.is_some();
    match machine.state() {
        State::Booting => format!("{resets:?} {logins:?} {pending} {} {}", boot.spoke, boot.kernel_seen),
        State::Resuming => format!("{logins:?} {pending}"),
        State::MarkerSeen => format!("{logins:?} {} {:?}", ssh.stable, boot.access),
        State::SshStable => format!("{}", ssh.stable),
        State::Installing | State::Triaged => {
            let ended = command.ended.as_ref().map(|(exit, _)| exit);
            let until = (command.until.is_some(), command.untested.is_some());
            format!(
                "{} {:?} {ended:?} {} {until:?}",
                ssh.stable, command.pass_seen, command.lost
            )
        }
        State::BootingDisk => format!(
            "{resets:?} {pending} {} {} {} {} {}",
            boot.spoke,
            boot.kernel_seen,
            boot.picture,
            boot.login_prompt,
            boot.target_seen.is_some()
        ),
        State::Unlocking => format!("{resets:?} {} {}", boot.asked_on_screen, boot.answer_typed),
        State::Verifying => format!(
            "{resets:?} {logins:?} {pending} {} {} {} {} {}",
            boot.target_asked, ssh.stable, boot.target_confirmed, boot.passphrase_asked, boot.asked_on_screen
        ),
        _ => String::new(),
    }
}
