//! How a hold ends: it expires, it is released, it is reaped, its holder is killed. Each time nothing is left of it.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::gates::{EARLY, Gate};
use crate::watched_run::{Place, Watched};

/// QEMU's ladder and bootgate's own end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// A gate that fails with the kernel's first line.
fn failing() -> String {
    Gate {
        forbidden: Some(EARLY),
        ..Gate::default()
    }
    .text()
}

fn start(place: &Place, arguments: &[&str]) -> Watched {
    Watched::start_as(place, &failing(), |command| {
        command.args(arguments).env_remove("CI");
    })
}

fn held(place: &Place) -> Vec<Value> {
    let listed = place.ask(&["ps", "--json"]);
    let listed: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
    listed.into_iter().filter(|row| !row["hold"].is_null()).collect()
}

#[test]
fn a_terminal_holds_until_ctrl_c() {
    let place = Place::new();
    let mut run = start(&place, &["--on-failure", "hold"]);
    run.until("Attach:");
    assert_eq!(held(&place).len(), 1, "{}", run.told());
    assert_eq!(place.machines().len(), 1);
    let path = run.record().path;
    assert!(
        path.join("result.json").exists(),
        "the verdict is written while the machine is held"
    );
    run.signal(Signal::INT);
    assert_eq!(run.ends(ENDS_WITHIN), 1, "the verdict's own code: {}", run.told());
    assert_eq!(place.processes(), []);
    for gone in ["hold.json", "control.sock", "reserve"] {
        assert!(!path.join(gone).exists(), "{gone} is left");
    }
    assert_eq!(held(&place), [] as [Value; 0]);
}

#[test]
fn a_hold_in_the_background_frees_the_terminal_and_expires() {
    let place = Place::new();
    let mut run = start(&place, &["--hold", "6s"]);
    assert_eq!(run.ends(Duration::from_secs(120)), 1, "{}", run.told());
    let ended = Instant::now();
    let rows = held(&place);
    assert_eq!(rows.len(), 1, "{}", run.told());
    assert_eq!(place.machines().len(), 1);
    for process in place.processes() {
        let grip = bootgate::procfs::ProcessGrip::take(process).unwrap();
        let gone = grip.is_none_or(|grip| grip.wait_until_gone(Duration::from_secs(6) + ENDS_WITHIN).unwrap());
        assert!(gone, "{process} outlives the hold");
    }
    assert!(
        ended.elapsed() >= Duration::from_secs(3),
        "it was not held: {:?}",
        ended.elapsed()
    );
    assert_eq!(held(&place), [] as [Value; 0]);
}

#[test]
fn a_hold_in_the_background_ends_with_the_terminal_as_long_as_there_is_no_verdict() {
    let place = Place::new();
    let mut run = start(&place, &["--hold", "1h"]);
    run.until("→ Booting");
    let killed = Instant::now();
    run.signal(Signal::KILL);
    assert_eq!(run.ends(ENDS_WITHIN), 137);
    place.assert_deserted_since(killed);
}

#[test]
fn quit_and_extend_and_reap() {
    let place = Place::new();
    let mut first = start(&place, &["--hold", "1h"]);
    assert_eq!(first.ends(Duration::from_secs(120)), 1, "{}", first.told());
    let id = first.id();
    let before = held(&place)[0]["hold"]["expires"].as_str().unwrap().to_owned();
    assert!(place.ask(&["inspect", &id, "extend", "3h"]).status.success());
    let after = held(&place)[0]["hold"]["expires"].as_str().unwrap().to_owned();
    assert!(before < after, "{before} {after}");
    let holder = place.processes();
    assert!(place.ask(&["inspect", &id, "quit"]).status.success());
    for process in holder {
        let grip = bootgate::procfs::ProcessGrip::take(process).unwrap();
        assert!(
            grip.is_none_or(|grip| grip.wait_until_gone(ENDS_WITHIN).unwrap()),
            "{process} is left"
        );
    }

    let mut second = start(&place, &["--hold", "1h"]);
    assert_eq!(second.ends(Duration::from_secs(120)), 1, "{}", second.told());
    assert!(place.ask(&["reap", "--keep-held"]).status.success());
    assert_eq!(held(&place).len(), 1);
    let reaped = place.ask(&["reap"]);
    assert!(reaped.status.success());
    let said = String::from_utf8_lossy(&reaped.stdout).into_owned();
    assert!(said.starts_with("ended the machine that was held for "), "{said}");
    assert_eq!(place.processes(), []);
}

#[test]
fn the_death_of_a_holder_is_the_end_of_its_machine() {
    let place = Place::new();
    let mut run = start(&place, &["--on-failure", "hold"]);
    run.until("Attach:");
    let killed = Instant::now();
    run.signal(Signal::KILL);
    assert_eq!(run.ends(ENDS_WITHIN), 137);
    place.assert_deserted_since(killed);
    assert_eq!(held(&place), [] as [Value; 0]);
    let id = run.id();
    let asked = place.ask(&["inspect", &id, "resume"]);
    assert_eq!(asked.status.code(), Some(2));
    let said = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert!(said.contains("nobody holds this machine any more"), "{said}");
    let shown = place.ask(&["inspect", &id]);
    assert!(shown.status.success(), "the evidence is there all the same");
}

#[test]
fn no_machine_is_held_under_ci() {
    let place = Place::new();
    for arguments in [["--hold", "1h"], ["--on-failure", "hold"]] {
        let mut run = Watched::start_as(&place, &failing(), |command| {
            command.args(arguments).env("CI", "true");
        });
        assert_eq!(run.ends(ENDS_WITHIN), 2, "{}", run.told());
        assert!(run.told().contains("can't be held under CI=true"), "{}", run.told());
    }
    assert!(!place.runs().exists(), "nothing was started");
}
