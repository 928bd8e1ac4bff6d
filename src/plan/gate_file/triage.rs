//! `[triage]`.

use std::path::PathBuf;

use super::container::List;
use super::key::{Group, Key, Table};
use super::reader::TableReader;
use super::word::HostPath;

static RULES: Key<List<HostPath>> = Key::default(
    "rules",
    List(HostPath),
    "[]",
    "Files of rules that name causes; they are tried before the built-in ones.",
);

/// `[triage]`.
pub(super) static TRIAGE: Table = Table {
    title: "`[triage]`",
    doc: "What failures look like.",
    keys: &[&RULES],
    group: Group::None,
};

pub(super) fn read(table: &TableReader<'_>) -> Option<Vec<PathBuf>> {
    table.take(&RULES)
}
