//! One row of the fault table: what goes wrong, and the verdict that must follow.

use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::gate::{Boots, GateFile};
use crate::run::{Run, at, start};

/// A fault and what must become of it.
pub(crate) struct Row {
    /// The guest's faults, in the words of its README; none if the fault comes from outside.
    pub(crate) faults: &'static str,
    /// How the live system is started.
    pub(crate) boots: Boots,
    /// How many of the demo's stages the gate has: boot, install, installed boot.
    pub(crate) stages: usize,
    /// Keys of the gate file, and their values in TOML's words.
    pub(crate) gate: &'static [(&'static str, &'static str)],
    /// A signal that QEMU gets when the guest's kernel has spoken.
    pub(crate) signal: Option<Signal>,
    /// The record of the trace whose first one begins the fault, where neither the guest nor a signal does.
    pub(crate) since: Option<fn(&Value) -> bool>,
    /// The verdict.
    pub(crate) expect: Expect,
}

/// The verdict that a row must have.
pub(crate) struct Expect {
    /// The class.
    pub(crate) class: &'static str,
    /// The program's exit code.
    pub(crate) exit: i32,
    /// The cause.
    pub(crate) cause: &'static str,
    /// The stage and the state that it is decided in.
    pub(crate) place: (&'static str, &'static str),
    /// The rule that names it, if one knows it.
    pub(crate) rule: Option<&'static str>,
    /// The event that decides it.
    pub(crate) event: &'static str,
    /// How long after the fault it must be decided at the latest. `None`: nothing says when the fault began.
    pub(crate) within: Option<Duration>,
}

/// A limit for the time from a fault to its verdict.
pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A fault while the live system boots, and a verdict that blames the image.
pub(crate) const BOOT: Row = Row {
    faults: "",
    boots: Boots::Kernel,
    stages: 1,
    gate: &[],
    signal: None,
    since: None,
    expect: Expect {
        class: "failed",
        exit: 1,
        cause: "",
        place: ("boot-live", "Booting"),
        rule: None,
        event: "",
        within: Some(seconds(2)),
    },
};

/// The verdict of a fault that the run gets over.
pub(crate) const PASSED: Expect = Expect {
    class: "passed",
    exit: 0,
    cause: "every-claim-proved",
    place: ("", "Releasing"),
    rule: None,
    event: "images-released",
    within: None,
};

impl Row {
    /// Runs the row and checks its verdict and its evidence.
    pub(crate) fn run(&self, name: &str) -> Run {
        let mut gate = GateFile::new(self.boots);
        gate.put("gate", name.replace('_', "-").into());
        gate.faults(self.faults);
        gate.truncate(self.stages);
        for (key, value) in self.gate {
            gate.set(key, value);
        }
        let mut running = start(&gate);
        let signalled = self.signal.map(|signal| {
            running.until(|record| record["what"] == "kernel-seen");
            running.signal_qemu(signal)
        });
        let run = running.end();
        let struck = signalled.or_else(|| self.struck(&run));
        let took = struck.map(|at| run.verdict_after(at));
        run.report(name, took);
        self.expect.check(&run, took);
        run
    }

    /// When the fault began, as the run tells it.
    fn struck(&self, run: &Run) -> Option<SystemTime> {
        if let Some(begins) = self.since {
            let first = run.trace.iter().find(|record| begins(record));
            return Some(at(first.unwrap_or_else(|| panic!("{}", run.story()))));
        }
        if self.faults.is_empty() {
            return None;
        }
        let fault = run.faults.last();
        let fault = fault.unwrap_or_else(|| panic!("the fault did not strike\n{}", run.story()));
        assert!(self.faults.contains(&fault.name), "{fault:?}");
        Some(fault.at)
    }
}

impl Expect {
    /// Checks a run that ended `took` after its fault.
    pub(crate) fn check(&self, run: &Run, took: Option<Duration>) {
        let verdict = &run.result["verdict"];
        let story = || run.story();
        assert_eq!(verdict["cause"], self.cause, "{}", story());
        assert_eq!(
            (&verdict["class"], run.exit_code),
            (&self.class.into(), self.exit),
            "{}",
            story()
        );
        assert_eq!(verdict["rule"]["id"].as_str(), self.rule, "{}", story());
        if self.rule.is_some() {
            let told = |key: &str| verdict[key].as_str().is_some_and(|text| !text.is_empty());
            assert!(told("root_cause") && told("remedy"), "{}", story());
        }
        assert!(!self.cause.contains("timeout"), "a time-out explains nothing");
        if !self.place.0.is_empty() {
            assert_eq!(verdict["stage"], self.place.0, "{}", story());
        }
        assert_eq!(verdict["state"], self.place.1, "{}", story());
        let decided = run.records("verdict").next().unwrap()["seq"].as_u64().unwrap();
        let mut later = run
            .records("transition")
            .filter(|record| record["seq"].as_u64() > Some(decided));
        assert_eq!(later.next().unwrap()["event"], self.event, "{}", story());
        if let Some(within) = self.within {
            let took = took.unwrap_or_else(|| panic!("the row says when its fault strikes"));
            assert!(
                took <= within,
                "{took:?} after the fault, at most {within:?}: {}",
                story()
            );
        }
        run.audit();
    }
}
