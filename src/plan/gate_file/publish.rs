//! `[publish]`.

use super::container::{List, SubTable};
use super::diagnostic::Mistake;
use super::key::{Group, Key, Table};
use super::reader::TableReader;
use super::suggest::nearest;
use super::word::Name;
use crate::plan::StagePlan;

static REQUIRE: Key<List<Name>> = Key::optional(
    "require",
    List(Name { max_bytes: 40 }),
    "The stages without which the image is not published; one that tested nothing counts as missing. Default: all, but \
     for those that a tracked failure ends the gate before, if it may be published.",
);

/// `[publish]`.
pub(super) static PUBLISH: Table = Table {
    title: "`[publish]`",
    doc: "What `bootgate decide` asks for before it lets the image be published.",
    keys: &[&REQUIRE],
    group: Group::None,
};

/// The stages that are asked for; `None`: all, or a mistake that was reported.
pub(super) fn read(table: &TableReader<'_>) -> Option<Vec<String>> {
    table.take(&REQUIRE)
}

/// Every stage that is asked for is there.
pub(super) fn check(root: &TableReader<'_>, key: &Key<SubTable>, require: Option<&Vec<String>>, stages: &[StagePlan]) {
    let Some(table) = require.and_then(|_| root.table(key)) else {
        return;
    };
    let names = || stages.iter().map(|stage| stage.name.as_str());
    for wanted in require.into_iter().flatten() {
        if names().any(|name| name == wanted) {
            continue;
        }
        let message = format!("`require` names the stage `{wanted}`, which the gate does not have");
        let label = match nearest(wanted, names().map(|name| -> &str { name })) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "no such stage".to_owned(),
        };
        table.report(Mistake::new(table.span(&REQUIRE), message, label));
    }
}
