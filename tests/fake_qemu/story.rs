//! What the fake is told to do, in the file beside its wrapper script.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What happens in one machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Story {
    /// Which QEMU it plays: a folder of `fixtures/qemu`.
    pub(crate) version: String,
    /// What it says instead of the greeting of that version.
    pub(crate) greeting: Option<String>,
    /// The port that it says it forwards.
    pub(crate) ssh_port: u16,
    /// The file that the guest reads its UUID from.
    pub(crate) uuid_file: Option<PathBuf>,
    pub(crate) beats: Vec<Beat>,
}

/// One thing that happens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Beat {
    /// `start`, `console` (a line came over the serial console), or the name of a command.
    pub(crate) on: String,
    /// The how manieth time; 0 for each.
    pub(crate) nth: u32,
    /// How long after that.
    pub(crate) after_ms: u64,
    pub(crate) act: Act,
}

/// Something that the fake does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Act {
    /// Says a line over QMP as it is.
    Qmp(String),
    /// Says this many bytes over QMP without a line ending.
    QmpFlood(u64),
    /// Writes to the serial console, so many bytes at a time; 0 for all at once.
    Serial(String, usize),
    /// Writes a file to the serial console, so many times, and then another. QMP is answered meanwhile.
    SerialFlood(PathBuf, usize, PathBuf),
    /// What `query-status` answers from now on.
    Status(String),
    /// Answers these commands no more; `*` is every command.
    Deaf(String),
    CloseQmp,
    CloseSerial,
    Exit(i32),
    /// Sends itself a signal.
    Die(String),
    /// Sends its parent, which is bootgate, a signal.
    Parent(String),
    /// Writes to what bootgate keeps as QEMU's standard error.
    Complain(String),
    /// Leaves a process behind that keeps both sockets open until bootgate closes its ends.
    LeaveKeeper,
    /// Writes a boot sector to the target disk, as an installer does.
    WriteBootSector,
    /// From now on each look at the disks finds one operation more.
    DiskWorks,
    /// Says a greeting now, whatever happens before it.
    Greet,
}

impl Default for Story {
    fn default() -> Self {
        Self {
            version: "7.2.22".to_owned(),
            greeting: None,
            ssh_port: 9,
            uuid_file: None,
            beats: Vec::new(),
        }
    }
}

/// What is said when QEMU says nothing at its start: the fake then waits for [`Act::Greet`].
pub(crate) const NO_GREETING: &str = "";

impl Story {
    pub(crate) fn new(beats: impl IntoIterator<Item = Beat>) -> Self {
        Self {
            beats: beats.into_iter().collect(),
            ..Self::default()
        }
    }

    pub(crate) fn of_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    pub(crate) fn greeting(mut self, line: &str) -> Self {
        self.greeting = Some(line.to_owned());
        self
    }

    pub(crate) fn and(mut self, beats: impl IntoIterator<Item = Beat>) -> Self {
        self.beats.extend(beats);
        self
    }
}

/// The first time that `on` happens, after a while.
pub(crate) fn on(on: &str, after_ms: u64, act: Act) -> Beat {
    Beat {
        on: on.to_owned(),
        nth: 1,
        after_ms,
        act,
    }
}

/// From the guest's first instruction on, after a while.
pub(crate) fn after_cont(after_ms: u64, act: Act) -> Beat {
    on("cont", after_ms, act)
}

pub(crate) fn at_start(act: Act) -> Beat {
    on("start", 0, act)
}

/// A line on the serial console.
pub(crate) fn says(after_ms: u64, line: &str) -> Beat {
    after_cont(after_ms, Act::Serial(format!("{line}\r\n"), 0))
}

/// A QMP event with a wall clock that is not to be trusted.
pub(crate) fn event(name: &str, data: Value) -> Act {
    let mut members = BTreeMap::from([
        ("event", json!(name)),
        ("timestamp", json!({"seconds": -1, "microseconds": -1})),
    ]);
    if !data.is_null() {
        members.insert("data", data);
    }
    Act::Qmp(json!(members).to_string())
}
