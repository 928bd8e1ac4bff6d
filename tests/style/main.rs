//! The repository keeps its style: what a compiler, clippy and rustfmt don't see.

mod files;
mod fixtures;
mod proof;
#[path = "../support/source.rs"]
mod source;

use files::{rust_source, script, text, workflow};
use source::has_extension;
use std::os::unix::fs::PermissionsExt;

/// Folders whose files people write; what is built or left by a run lies elsewhere.
const WRITTEN: &[&str] = &[
    ".ci",
    ".config",
    ".github",
    "docs",
    "fixtures",
    "src",
    "state-diagrams",
    "tests",
];

/// Every written file as its name and its text; a file that is not UTF-8 has none.
fn written() -> Vec<(String, String)> {
    let paths = WRITTEN.iter().flat_map(|folder| source::files_below(folder, &[]));
    let top = std::fs::read_dir(source::root())
        .expect("the repository can be listed")
        .flatten();
    let top = top.map(|entry| entry.path()).filter(|path| path.is_file());
    // In a linked worktree `.git` is a file.
    let ours = paths.chain(top).filter(|path| !path.ends_with(".git"));
    let texts = ours.filter_map(|path| Some((source::relative(&path), source::read(&path)?)));
    texts.collect()
}

/// The written files that `wanted` takes by name and text, of which there must be at least one.
fn those(wanted: impl Fn(&str, &str) -> bool) -> Vec<(String, String)> {
    let found: Vec<_> = written()
        .into_iter()
        .filter(|(name, text)| wanted(name, text))
        .collect();
    assert!(
        !found.is_empty(),
        "no file to look at: this test looks in the wrong place"
    );
    found
}

fn is_rust(name: &str) -> bool {
    (name.starts_with("src/") || name.starts_with("tests/")) && has_extension(name, "rs")
}

#[track_caller]
fn none(complaints: &[String]) {
    assert!(
        complaints.is_empty(),
        "{} against the style:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

#[test]
fn rust_sources_are_short_and_finished() {
    let files = those(|name, _| is_rust(name));
    none(
        &files
            .iter()
            .flat_map(|(name, text)| rust_source(name, text))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn texts_hold_no_leftovers() {
    let files = those(|name, _| name != "Cargo.lock");
    none(
        &files
            .iter()
            .flat_map(|(name, content)| text(name, content))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn scripts_stop_at_the_first_failure_and_can_be_started() {
    let files = those(|_, text| text.starts_with("#!/"));
    let complaints = files.iter().flat_map(|(name, text)| {
        let mode = std::fs::metadata(source::root().join(name))
            .expect("a listed file has a mode")
            .permissions()
            .mode();
        script(name, text, mode)
    });
    none(&complaints.collect::<Vec<_>>());
}

#[test]
fn workflows_are_pinned_and_hold_few_rights() {
    let files = those(|name, _| name.starts_with(".github/workflows/"));
    none(
        &files
            .iter()
            .flat_map(|(name, text)| workflow(name, text))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_fixture_is_used_or_described() {
    none(&fixtures::dead(&written()));
}
