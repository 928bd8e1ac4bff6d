//! Eight runs at the same time, in one directory: none notices the others.

use std::collections::BTreeSet;

use crate::gates::{EARLY, Gate, MARKER};
use crate::outside::{Listener, listeners};
use crate::watched_run::{Place, Watched, uuid_of};

const RUNS: usize = 8;
/// So many of them read one and the same ISO. Its boot loader is so slow that the kernel's first line must do there.
const ISOS: usize = 2;

#[test]
fn alone_eight_runs_do_not_meet() {
    let place = Place::new();
    let gate = |iso| {
        let marker = if iso { EARLY } else { MARKER };
        let gate = Gate {
            iso,
            marker,
            ..Gate::default()
        };
        gate.with_login().text()
    };
    let mut runs: Vec<_> = (0..RUNS)
        .map(|number| Watched::start(&place, &gate(number < ISOS)))
        .collect();
    for run in &mut runs {
        run.until("→ Booting");
    }
    let machines = place.machines();
    let uuids: BTreeSet<_> = machines.iter().filter_map(|machine| uuid_of(machine.pid)).collect();
    assert_eq!(
        (machines.len(), uuids.len()),
        (RUNS, RUNS),
        "all of them are there at once"
    );
    let mut ports = BTreeSet::new();
    for machine in &machines {
        let listeners = listeners(machine.pid);
        let [
            Listener {
                is_loopback: true,
                port,
            },
        ] = listeners[..]
        else {
            panic!("{listeners:?}")
        };
        assert!(ports.insert(port), "port {port} twice");
    }
    let mut directories = BTreeSet::new();
    for (number, run) in runs.iter_mut().enumerate() {
        run.passes();
        let record = run.record();
        let own = record.info.uuid.to_string();
        let console = std::fs::read(record.path.join("serial.log")).unwrap();
        let console = String::from_utf8_lossy(&console);
        let marker = format!("BOOTGATE-LIVE-READY uuid={own}");
        assert!(number < ISOS || console.contains(&marker), "{console}");
        let others = uuids.iter().filter(|uuid| **uuid != own);
        assert!(others.clone().count() == RUNS - 1 && others.clone().all(|uuid| !console.contains(uuid.as_str())));
        assert!(directories.insert(record.path));
    }
    assert_eq!(directories.len(), RUNS);
    assert_eq!(place.processes(), []);
}
