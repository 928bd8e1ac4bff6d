//! `[console]`.

use super::container::List;
use super::diagnostic::Mistake;
use super::key::{Group, Key, Table};
use super::pattern::{LinePattern, Marker};
use super::reader::TableReader;
use crate::plan::ConsolePlan;

static MARKERS: Key<List<Marker>> = Key::default(
    "markers",
    List(Marker),
    "[]",
    "The markers, any of which says that the live system is up.",
);
static FAIL: Key<List<LinePattern>> = Key::default(
    "fail",
    List(LinePattern),
    "[]",
    "Lines that end the run as failed wherever they appear.",
);

/// `[console]`.
pub(super) static CONSOLE: Table = Table {
    title: "`[console]`",
    doc: "What to look for on the serial console.",
    keys: &[&MARKERS, &FAIL],
    group: Group::None,
};

/// True if somebody wrote markers, right or wrong.
pub(super) fn has_markers(table: &TableReader<'_>) -> bool {
    table.has(&MARKERS) && table.take(&MARKERS).is_none_or(|markers| !markers.is_empty())
}

pub(super) fn read(table: &TableReader<'_>) -> Option<ConsolePlan> {
    let (markers, fail) = (table.take(&MARKERS), table.take(&FAIL));
    let markers = markers?;
    for (at, (marker, span)) in markers.iter().enumerate() {
        if let Some((_, first)) = markers[..at].iter().find(|(earlier, _)| earlier.name == marker.name) {
            let message = format!("two markers are called `{}`", marker.name);
            let mistake = Mistake::new(span.clone(), message, "the trace could not tell them apart");
            table.report(mistake.related(first.clone(), "the first one"));
        }
    }
    Some(ConsolePlan {
        markers: markers.into_iter().map(|(marker, _)| marker).collect(),
        fail: fail?,
    })
}
