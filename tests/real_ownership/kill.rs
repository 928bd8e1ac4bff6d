//! `kill -9` of bootgate in each state: its QEMU ends with it, its trace is readable, and the next run is not disturbed.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::gates::{EARLY, Gate, TARGET, boot, command, installs, sector};
use crate::watched_run::{Place, Watched};

/// 128 and the number of SIGKILL.
const KILLED: i32 = 137;
/// A run that comes to its end before the signal comes to it is made again so often.
const TRIES: usize = 5;

/// Kills a run when it prints these words, and looks at what is left.
fn killed_at(place: &Place, words: &str, gate: &Gate) {
    for _ in 0..TRIES {
        let mut run = Watched::start(place, &gate.text());
        run.until(words);
        if kill(place, &mut run) {
            let record = run.record();
            let trace = place.ask(&["trace", &record.info.id, "--json"]);
            let trace = String::from_utf8(trace.stdout).unwrap();
            let state = words.rsplit(' ').next().unwrap();
            assert!(trace.contains(state), "the trace does not know of {words}:\n{trace}");
            return;
        }
    }
    panic!("{words}: the run always ended before it was killed");
}

/// False if the run had its verdict before it was killed.
fn kill(place: &Place, run: &mut Watched) -> bool {
    run.signal(Signal::KILL);
    let code = run.ends(Duration::from_secs(10));
    place.assert_deserted_since(Instant::now());
    let record = run.record();
    let trace = place.ask(&["trace", &record.info.id]);
    let notes = String::from_utf8_lossy(&trace.stderr);
    assert_eq!(trace.status.code(), Some(0), "{notes}");
    let interrupted = record.result().unwrap().is_none();
    assert_eq!(notes.contains("the run was interrupted"), interrupted, "{notes}");
    // The reserve of a killed run is given back; a machine there must not be any more.
    for nothing in [false, true] {
        let reap = place.ask(&["reap"]);
        let said = String::from_utf8_lossy(&reap.stdout);
        assert!(reap.status.success() && !said.contains("QEMU"), "{said}");
        assert!(!nothing || said.contains("nothing to reap"), "{said}");
    }
    interrupted && code == KILLED
}

fn next_run_passes(place: &Place) {
    let early = Gate {
        marker: EARLY,
        ..Gate::default()
    };
    Watched::start(place, &early.text()).passes();
    assert_eq!(place.processes(), []);
}

#[test]
fn killed_before_the_guest_can_answer() {
    let place = Place::new();
    let early = || Gate {
        marker: EARLY,
        ..Gate::default()
    };
    let login = || {
        Gate {
            stages: boot("login"),
            ..early()
        }
        .with_login()
    };
    // The second boot has its own machine, so the first must power down, which a kernel on its way up does not do.
    let twice = || Gate {
        stages: boot("marker") + &boot("marker").replace("boot-", "again-"),
        ..early()
    };
    killed_at(&place, "── stage boot", &early());
    killed_at(&place, "Preparing → Booting", &early());
    killed_at(&place, "Booting → MarkerSeen", &login());
    killed_at(&place, "Booting → PoweringDown", &twice());
    killed_at(&place, "Booting → Exiting", &early());
    killed_at(&place, "Exiting → Releasing", &early());
    next_run_passes(&place);
}

#[test]
fn killed_while_a_failure_is_examined() {
    let place = Place::new();
    let fails = || Gate {
        forbidden: Some(EARLY),
        ..Gate::default()
    };
    killed_at(&place, "Booting → Stopping", &fails());
    killed_at(&place, "Stopping → Capturing", &fails());
    killed_at(&place, "Capturing → Discarding", &fails());
    next_run_passes(&place);
}

#[test]
fn killed_while_a_command_runs() {
    let place = Place::new();
    let gate = |line: &str| {
        Gate {
            stages: boot("login") + &command(line),
            ..Gate::default()
        }
        .with_login()
    };
    killed_at(&place, "MarkerSeen → SshStable", &gate("sleep 600"));
    killed_at(&place, "command-started", &gate("echo; sleep 600"));
    killed_at(&place, "Installing → Triaged", &gate("true"));
    next_run_passes(&place);
}

#[test]
fn killed_on_the_way_to_the_installed_system() {
    let place = Place::new();
    let deaf = place.write("deaf", sector(true));
    killed_at(&place, "Releasing → Preparing", &installs(&deaf, TARGET, "\"answer\""));
    killed_at(
        &place,
        "Preparing → BootingDisk",
        &installs(&deaf, TARGET, "\"answer\""),
    );
    next_run_passes(&place);
}

#[test]
fn killed_in_the_installed_system() {
    let place = Place::new();
    let (deaf, hears) = (place.write("deaf", sector(true)), place.write("hears", sector(false)));
    killed_at(
        &place,
        "BootingDisk → Unlocking",
        &installs(&deaf, TARGET, "\"answer\""),
    );
    killed_at(
        &place,
        "Unlocking → Verifying",
        &installs(&hears, "never printed", "\"answer\""),
    );
    next_run_passes(&place);
}

#[test]
fn killed_at_any_time() {
    let place = Place::new();
    let gate = Gate {
        stages: boot("login"),
        marker: EARLY,
        ..Gate::default()
    }
    .with_login();
    for _ in 0..5 {
        let mut run = Watched::start(&place, &gate.text());
        run.id();
        let after = Duration::from_millis(uuid::Uuid::new_v4().as_u64_pair().0 % 4000);
        eprintln!("killed after {after:?}");
        assert!(!run.ends_within(after), "{}", run.told());
        assert!(kill(&place, &mut run));
    }
    next_run_passes(&place);
}
