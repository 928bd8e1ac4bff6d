//! What lies ahead in a recording: what the recorded machine asked for, and when its driver was late.

use crate::machine::Event;

use super::super::fact::{Entry, Fact, Line, micros};

/// What the recorded machine asked for upon the line `index`: consoles go on meanwhile.
pub(super) fn asked_after(lines: &[Line], index: usize) -> Vec<&str> {
    let following = lines[index + 1..].iter();
    let until_next = following.take_while(|line| !matches!(line.entry, Entry::Fact(_)));
    let asked = until_next.filter_map(|line| match &line.entry {
        Entry::Asked { effect } => Some(effect.as_str()),
        _ => None,
    });
    asked.collect()
}

/// What the recorded driver did next about time, from a line on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ahead {
    /// When the deadline was due that it let pass next.
    pub(super) due_us: Option<u64>,
    /// From when to when it stood still next: nothing passed then.
    pub(super) stalled_us: Option<(u64, u64)>,
}

/// For each line, what was ahead.
pub(super) fn ahead(lines: &[Line]) -> Vec<Ahead> {
    let mut ahead = Ahead::default();
    let look_back = |line: &Line| {
        match &line.entry {
            Entry::Fact(Fact::Deadline { due_us }) => ahead.due_us = Some(*due_us),
            Entry::Fact(Fact::Event {
                event: Event::HostStalled { gap },
            }) => ahead.stalled_us = Some((line.t_us.saturating_sub(micros(*gap)), line.t_us)),
            _ => {}
        }
        ahead
    };
    let mut all: Vec<_> = lines.iter().rev().map(look_back).collect();
    all.reverse();
    all
}
