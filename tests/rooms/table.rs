//! The floor plan of `src/`: which room stands on which floor, and what may be used where.

/// A module of the crate, with the floor it stands on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Its path below the crate, such as `qmp::codec`; it stands for everything below it that has no row of its own.
    pub(crate) path: &'static str,
    /// Imports go from a higher floor to a lower one only.
    pub(crate) floor: u8,
}

impl Room {
    /// The part of the crate it belongs to: `qmp` for `qmp::codec`.
    pub(crate) fn part(&self) -> &'static str {
        self.path.split("::").next().unwrap_or(self.path)
    }
}

const fn room(path: &'static str, floor: u8) -> Room {
    Room { path, floor }
}

/// The highest floor that holds pure logic: no clock, no I/O, no runtime.
pub(crate) const PURE_FLOOR_MAX: u8 = 1;

/// Every module. `qmp`, `serial`, `ssh` and `qemu` stand on two floors, so each of their files or folders has its row.
pub(crate) const ROOMS: &[Room] = &[
    // 0: vocabulary
    room("error", 0),
    room("plan", 0),
    room("text", 0),
    room("units", 0),
    // 1: pure logic
    room("control", 1),
    room("decide", 1),
    room("machine", 1),
    room("screen", 1),
    room("triage", 1),
    room("view", 1),
    room("qemu::argv", 1),
    room("qemu::feature", 1),
    room("qemu::keymap", 1),
    room("qemu::probe_sector", 1),
    room("qmp::codec", 1),
    room("qmp::error", 1),
    room("qmp::event", 1),
    room("qmp::notice", 1),
    room("qmp::request", 1),
    room("qmp::session", 1),
    room("qmp::transcript", 1),
    room("serial::login", 1),
    room("serial::marker", 1),
    room("serial::prompt", 1),
    room("serial::screen", 1),
    room("serial::splitter", 1),
    room("ssh::hostkey", 1),
    room("ssh::outcome", 1),
    room("ssh::shell", 1),
    room("ssh::stability", 1),
    // 2: actors
    room("bundle", 2),
    room("checkpoint", 2),
    room("diskfs", 2),
    room("evidence", 2),
    room("image", 2),
    room("procfs", 2),
    room("qemu::accelerator", 2),
    room("qemu::binary", 2),
    room("qemu::child", 2),
    room("qemu::disk", 2),
    room("qemu::firmware", 2),
    room("qemu::process", 2),
    room("qmp::command", 2),
    room("qmp::handle", 2),
    room("qmp::link", 2),
    room("serial::cast", 2),
    room("serial::console", 2),
    room("serial::log_end", 2),
    room("serial::raw_log", 2),
    room("serial::tap", 2),
    room("ssh::client", 2),
    room("ssh::command", 2),
    room("ssh::detached", 2),
    room("ssh::exec", 2),
    room("ssh::exit", 2),
    room("ssh::follow", 2),
    room("ssh::greeting", 2),
    room("ssh::login", 2),
    room("ssh::made_key", 2),
    room("ssh::probe", 2),
    room("ssh::upload", 2),
    room("ssh::watch", 2),
    // 3: composition
    room("driver", 3),
    room("init", 3),
    room("report", 3),
    // 4: shell
    room("cli", 4),
    room("main", 4),
];

/// Imports between two rooms of one floor that are meant; everything else on a floor is a stranger.
pub(crate) const SIDEWAYS: &[(&str, &str)] = &[
    // What is shown of a run is what its machine tells.
    ("view", "machine"),
    // A rule looks for its lines with the console's own matcher.
    ("triage", "serial"),
    // The plan is written in the other words of its floor.
    ("plan", "units"),
    ("plan", "error"),
    // What is kept out of a text is known by its type.
    ("text", "plan"),
    // Another program that reads disks is run as QEMU's helpers are.
    ("diskfs", "qemu"),
    // A process is found again by what the system says of it.
    ("evidence", "procfs"),
    ("qemu", "procfs"),
    // A checkpoint is taken of a QEMU over its monitor, on its disks, and written whole or not at all.
    ("checkpoint", "qmp"),
    ("checkpoint", "qemu"),
    ("checkpoint", "evidence"),
    // Programs that read images are run as QEMU's helpers are; what is written is whole or not there.
    ("image", "qemu"),
    ("image", "evidence"),
    // A bundle is a checkpoint with the evidence around it.
    ("bundle", "checkpoint"),
    ("bundle", "qemu"),
    // A report is of what the driver found; the driver knows nothing of reports.
    ("report", "driver"),
    // The program is one call of its command line.
    ("main", "cli"),
];

/// Paths that reach outside a function's arguments, by how they begin.
pub(crate) const IMPURE_PREFIXES: &[&[&str]] = &[
    &["tokio"],
    &["tokio_util"],
    &["nix"],
    &["std", "env"],
    &["std", "fs"],
    &["std", "io", "stderr"],
    &["std", "io", "stdin"],
    &["std", "io", "stdout"],
    &["std", "net"],
    &["std", "os", "unix"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "time", "SystemTime"],
];

/// Functions that read a clock or a source of chance, by their last segment, as in `Instant::now`.
pub(crate) const IMPURE_FUNCTIONS: &[&str] = &["now", "new_v4"];

/// Methods that read a clock, as in `start.elapsed()`.
pub(crate) const IMPURE_METHODS: &[&str] = &["elapsed"];

/// Macros that write to a stream of the process.
pub(crate) const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln"];

/// Crates that belong to one part only, so that a change of theirs reaches no other.
pub(crate) const HOMES: &[(&str, &[&str])] = &[
    ("ext4_view", &["diskfs"]),
    ("fatfs", &["diskfs"]),
    ("opentelemetry_proto", &["report"]),
    ("qapi", &["qmp"]),
    ("qapi_qmp", &["qmp"]),
    ("russh", &["ssh"]),
    ("statig", &["machine"]),
    ("rustls", &["cli"]),
    ("ureq", &["cli"]),
];

/// The files that may say `unsafe`, which the crate denies elsewhere.
pub(crate) const UNSAFE_FILES: &[&str] = &[
    "src/qemu/child.rs",
    "src/qemu/probe_sector.rs",
    "src/qemu/process/spawner.rs",
];
