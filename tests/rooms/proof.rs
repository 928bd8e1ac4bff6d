//! The check itself is able to fail: small crates that break one rule each, and their mended twins.

use crate::check::Sources;

/// What is said about a crate of these files.
fn said(files: &[(&str, &str)]) -> Vec<String> {
    let said = Sources::new(files.iter().copied()).violations();
    // A small crate lacks most files of a split room; that rule has its own test.
    said.into_iter()
        .filter(|line| !line.ends_with("has a row but no file"))
        .collect()
}

#[track_caller]
fn bad(name: &str, text: &str, expected: &str) {
    let said = said(&[(name, text)]);
    assert!(
        said.len() == 1 && said[0].contains(expected),
        "expected one line with {expected:?}, got {said:#?}"
    );
}

#[track_caller]
fn good(name: &str, text: &str) {
    assert_eq!(said(&[(name, text)]), Vec::<String>::new());
}

#[test]
fn an_import_goes_downward_only() {
    good(
        "src/machine/gate.rs",
        "use crate::plan::Plan; fn f(_: crate::units::ByteSize) {}",
    );
    bad(
        "src/machine/gate.rs",
        "use crate::driver::Driver;",
        "src/machine/gate.rs:1: `machine` (floor 1)",
    );
    bad("src/machine/gate.rs", "fn f() {\n crate::cli::run()\n}", "gate.rs:2");
    bad(
        "src/machine/gate.rs",
        "fn f() { assert!(crate::evidence::x()); }",
        "crate::evidence::x",
    );
    bad(
        "src/machine/gate.rs",
        "use crate::{plan::Plan, report::Trace};",
        "crate::report::Trace",
    );
    bad(
        "src/machine/gate.rs",
        "use super::super::driver::Driver;",
        "crate::driver::Driver",
    );
    bad(
        "src/machine/gate.rs",
        "mod inner { use super::super::super::driver::Driver; }",
        "crate::driver::Driver",
    );
    bad(
        "src/plan/stage.rs",
        "use crate::machine::Event as Happening;",
        "crate::machine::Event",
    );
    bad("src/driver/run.rs", "use ::bootgate::cli::Args;", "crate::cli::Args");
    good(
        "src/driver/run.rs",
        "/// See [`crate::cli::run`].\n// crate::cli\nconst A: &str = \"crate::cli::run\";",
    );
}

#[test]
fn rooms_of_one_floor_are_strangers_unless_listed() {
    bad("src/machine/gate.rs", "use crate::triage::Rule;", "crate::triage::Rule");
    bad("src/units.rs", "use crate::plan::Plan;", "crate::plan::Plan");
    good(
        "src/plan/stage.rs",
        "use crate::units::ByteSize; use crate::error::Place;",
    );
    good(
        "src/machine/gate.rs",
        "use crate::machine::event::Event; use super::state::State;",
    );
}

#[test]
fn a_split_room_is_seen_file_by_file() {
    good(
        "src/qmp/session.rs",
        "use super::codec::Frame; use crate::qmp::event::Event;",
    );
    bad("src/qmp/codec.rs", "use super::link::Link;", "crate::qmp::link::Link");
    good(
        "src/qmp/link.rs",
        "use super::codec::Frame; use crate::qmp::session::Session;",
    );
    bad(
        "src/machine/gate.rs",
        "use crate::qmp::codec::Frame;",
        "crate::qmp::codec::Frame",
    );
    bad("src/evidence/run.rs", "use crate::qmp;", "`crate::qmp` (floor 2)");
    bad("src/evidence/run.rs", "use crate::qmp::*;", "`crate::qmp::*` (floor 2)");
}

#[test]
fn a_reexport_counts_as_what_it_stands_for() {
    let declares = (
        "src/qmp/mod.rs",
        "mod codec; mod link; pub use codec::Frame; pub use link::{Link as Wire, Other};",
    );
    let from_evidence = |text| said(&[declares, ("src/evidence/run.rs", text)]);
    assert_eq!(from_evidence("use crate::qmp::Frame;"), Vec::<String>::new());
    assert_eq!(from_evidence("use crate::qmp::{Frame, Wire};").len(), 1);
    assert_eq!(from_evidence("fn f() { crate::qmp::Other::new() }").len(), 1);
    assert_eq!(said(&[declares, ("src/qmp/codec.rs", "use super::Wire;")]).len(), 1);
    assert_eq!(
        said(&[declares, ("src/qmp/session.rs", "use super::Frame;")]),
        Vec::<String>::new()
    );
}

#[test]
fn a_pure_room_stays_pure() {
    for bad_line in [
        "use tokio::sync::mpsc;",
        "use std::{fmt, fs};",
        "fn f() { std::env::var(\"A\"); }",
        "use std::time::{Instant, SystemTime};",
        "fn f() { let start = Instant::now(); }",
        "fn f() { jiff::Timestamp::now(); }",
        "fn f(start: Instant) { start.elapsed(); }",
        "fn f() { println!(\"x\"); }",
        "use nix::unistd::Pid;",
        "use std::process::Command;",
        "#[cfg(not(test))] fn f() { std::net::TcpStream::connect(1); }",
    ] {
        bad("src/machine/gate.rs", bad_line, "a pure room uses");
        bad("src/text/untrusted.rs", bad_line, "a pure room uses");
        bad("src/qemu/argv.rs", bad_line, "a pure room uses");
        good("src/qemu/process.rs", bad_line);
    }
    good(
        "src/machine/gate.rs",
        "fn f(now: Instant) -> Instant { now + self.now }",
    );
    good(
        "src/machine/gate.rs",
        "#[cfg(test)]\nmod tests { fn f() { std::fs::read(1); Instant::now().elapsed(); } }",
    );
    let tests = [
        ("src/machine/mod.rs", "#[cfg(test)]\nmod walk;"),
        ("src/machine/walk.rs", "use std::fs;"),
    ];
    assert_eq!(said(&tests), Vec::<String>::new());
}

#[test]
fn a_crate_stays_in_its_home() {
    bad("src/machine/gate.rs", "use qapi_qmp::Event;", "has another home");
    good("src/machine/gate.rs", "use statig::prelude::*;");
    good("src/qmp/event.rs", "use qapi_qmp::Event;");
}

#[test]
fn unsafe_stays_where_it_is_meant_to_be() {
    bad(
        "src/driver/run.rs",
        "fn f() { unsafe { g() } }",
        "`unsafe` is not for this file",
    );
    good("src/qemu/process/spawner.rs", "fn f() { unsafe { g() } }");
    good("src/driver/run.rs", "#![deny(unsafe_code)] // unsafe");
}

#[test]
fn a_mod_file_only_declares() {
    good(
        "src/plan/mod.rs",
        "//! Words.\n#[cfg(test)]\nmod tests;\npub(crate) mod a;\npub use a::{B, C};",
    );
    for text in [
        "pub fn f() {}",
        "mod a; struct B;",
        "mod a { }",
        "pub const A: u8 = 1;",
        "macro_rules! m { () => {} }",
    ] {
        bad("src/plan/mod.rs", text, "only `mod` and `use` belong here");
    }
}

#[test]
fn a_file_without_a_row_and_a_row_without_a_file_are_found() {
    bad(
        "src/attic/box.rs",
        "",
        "no row in tests/rooms/table.rs: give `attic::box` its floor there",
    );
    bad("src/qmp/novelty.rs", "", "give `qmp::novelty` its floor there");
    let violations = Sources::new([("src/qmp/mod.rs", "mod codec;"), ("src/qmp/codec.rs", "")]).violations();
    assert!(
        violations
            .iter()
            .any(|line| line.contains("`qmp::link` has a row but no file")),
        "{violations:#?}"
    );
}
