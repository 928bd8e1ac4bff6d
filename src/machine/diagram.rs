//! The walk of the machine as pictures and tables: `state-diagrams/` and `bootgate diagram`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::machine::explore::{Edge, Exploration};
use crate::machine::specimen_plans::{opened_plan, representative_parts, representative_plan};
use crate::machine::{DeadlineKind, Part, State, Superstate};
use crate::plan::Plan;

const SUPERSTATES: [Superstate; 4] = [
    Superstate::Live,
    Superstate::InstalledBoot,
    Superstate::Handover,
    Superstate::Failing,
];

/// What is walked: the representative plans, each as a whole and in parts.
pub fn representative_walks() -> Vec<(Arc<Plan>, Part)> {
    let plans = [
        (representative_plan(true), true),
        (representative_plan(false), false),
        (opened_plan(), false),
    ];
    let parts = plans.map(|(plan, ssh_stable)| {
        let parts = representative_parts(&plan, ssh_stable);
        let plan = Arc::new(plan);
        parts.into_iter().map(move |part| (plan.clone(), part))
    });
    parts.into_iter().flatten().collect()
}

/// A node of the picture: a leaf or a superstate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Superstate(usize),
    Leaf(State),
}

impl Node {
    fn name(self) -> &'static str {
        match self {
            Self::Superstate(index) => SUPERSTATES[index].name(),
            Self::Leaf(state) => state.name(),
        }
    }
}

fn within(state: State, superstate: Superstate) -> bool {
    let mut at = Some(state.parent());
    while let Some(place) = at {
        if place == superstate {
            return true;
        }
        at = place.parent();
    }
    false
}

/// Edges that every state of a superstate has are drawn once, from the superstate.
fn lift(edges: &BTreeSet<Edge>) -> BTreeMap<(Node, State), BTreeSet<&'static str>> {
    let mut drawn: BTreeMap<(Node, State), BTreeSet<&'static str>> = BTreeMap::new();
    for edge in edges {
        let has = |from: State| {
            edges
                .iter()
                .any(|e| e.from == from && e.to == edge.to && e.event == edge.event)
        };
        let widest = SUPERSTATES.iter().position(|&superstate| {
            within(edge.from, superstate)
                && State::ALL
                    .iter()
                    .filter(|&&state| within(state, superstate))
                    .all(|&state| has(state))
        });
        let node = widest.map_or(Node::Leaf(edge.from), Node::Superstate);
        drawn.entry((node, edge.to)).or_default().insert(edge.event);
    }
    drawn
}

/// The machine as a Mermaid state diagram.
pub fn mermaid(walk: &Exploration) -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> Preparing\n");
    for superstate in [Superstate::Live, Superstate::Handover, Superstate::Failing] {
        block(&mut text, superstate, 1);
    }
    for ((from, to), events) in lift(&walk.edges) {
        let events: Vec<_> = events.into_iter().collect();
        let label = if events.len() > 6 {
            format!("{}, … {} in all", events[..5].join(", "), events.len())
        } else {
            events.join(", ")
        };
        let _ = writeln!(text, "    {} --> {} : {label}", from.name(), to.name());
    }
    text.push_str("    Finished --> [*]\n");
    text
}

fn block(text: &mut String, superstate: Superstate, depth: usize) {
    let pad = "    ".repeat(depth);
    let _ = writeln!(text, "{pad}state {} {{", superstate.name());
    for state in State::ALL.iter().filter(|state| state.parent() == superstate) {
        let _ = writeln!(text, "{pad}    {}", state.name());
    }
    for inner in SUPERSTATES.iter().filter(|inner| inner.parent() == Some(superstate)) {
        block(text, *inner, depth + 1);
    }
    let _ = writeln!(text, "{pad}}}");
}

/// Every edge: `from,to,event,confirmed`.
pub fn transitions_csv(walk: &Exploration) -> String {
    let mut text = String::from("from,to,event,confirmed_by_a_second_signal\n");
    for edge in &walk.edges {
        let confirmed = if edge.confirmed { "yes" } else { "no" };
        let _ = writeln!(
            text,
            "{},{},{},{confirmed}",
            edge.from.name(),
            edge.to.name(),
            edge.event
        );
    }
    text
}

/// Which deadlines are armed in each state, where their limits come from, and when they warn.
pub fn deadlines_csv(walk: &Exploration) -> String {
    let mut text = String::from("state,deadline,limit,warns_after,scaled_by_accelerator\n");
    for (state, kinds) in &walk.deadlines {
        for kind in kinds {
            let (limit, warn) = limit_of(*kind);
            let scaled = if kind.faces_guest() { "yes" } else { "no" };
            let _ = writeln!(text, "{},{},{limit},{warn},{scaled}", state.name(), kind.name());
        }
    }
    text
}

fn limit_of(kind: DeadlineKind) -> (String, String) {
    match kind {
        DeadlineKind::Stage => (kind.source().to_owned(), "stage.warn-after".to_owned()),
        DeadlineKind::Hold => ("--hold".to_owned(), "75 %".to_owned()),
        _ if kind.source() == "fixed" => {
            let limit_s = kind.fixed_limit().as_secs();
            let warns = if kind.warns() { "75 %" } else { "never" };
            (format!("{limit_s} s"), warns.to_owned())
        }
        _ => (kind.source().to_owned(), "75 %".to_owned()),
    }
}
