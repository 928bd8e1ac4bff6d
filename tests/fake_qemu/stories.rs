//! Guests that the tests share.

use serde_json::{Value, json};

use crate::story::{Act, Beat, Story, at_start, event, on, says};

/// A live system that comes up: firmware, kernel, user space, marker.
pub(crate) fn live() -> Vec<Beat> {
    vec![
        says(10, "SeaBIOS (version 1.16)"),
        says(20, "[    0.000000] Linux version 6.1.0 (fake)"),
        says(30, "Welcome to Fake"),
        says(60, "LIVE-READY"),
    ]
}

/// A live system that comes as far as its kernel, and no further by itself.
pub(crate) fn halfway() -> Vec<Beat> {
    live().into_iter().take(3).collect()
}

/// An installed system that comes up.
pub(crate) fn installed() -> Vec<Beat> {
    vec![
        says(10, "[    0.000000] Linux version 6.1.0 (fake)"),
        says(40, "fake login: "),
        says(80, "[  OK  ] Reached target graphical.target"),
    ]
}

/// Which endings are looked at.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Which {
    All,
    /// Without those that are one to the machine.
    OneOfAKind,
}

/// What ends a guest or its QEMU in a state that `begins` with a command: a name, what happens, and what it comes to.
pub(crate) fn endings(state: &str, begins: &str, which: Which) -> Vec<(String, Vec<Beat>, String)> {
    let mut rows = guest_endings();
    rows.extend(qemu_endings());
    if which == Which::All {
        rows.extend(variants());
    }
    let told = |(name, acts, verdict): Row| {
        let beats = acts.into_iter().map(|(after_ms, act)| on(begins, 200 + after_ms, act));
        let code = if verdict.starts_with("failed") { 1 } else { 4 };
        (
            format!("{name} in {state}"),
            beats.collect(),
            format!("{verdict} {state} {code}"),
        )
    };
    rows.into_iter().map(told).collect()
}

/// A name, what happens after how many milliseconds, and `class cause`.
type Row = (&'static str, Vec<(u64, Act)>, &'static str);

fn serial(line: &str, chunk_bytes: usize) -> Vec<(u64, Act)> {
    vec![(0, Act::Serial(format!("{line}\r\n"), chunk_bytes))]
}

fn with_status(status: &str, act: Act) -> Vec<(u64, Act)> {
    vec![
        (0, Act::Status(status.to_owned())),
        (1, act),
        (2, event("STOP", Value::Null)),
    ]
}

fn io_error(no_space: bool) -> Act {
    let mut data = json!({"device": "", "node-name": "target", "operation": "write", "action": "stop"});
    data["nospace"] = json!(no_space);
    event("BLOCK_IO_ERROR", data)
}

fn shut_down(guest: bool, reason: &str) -> Act {
    event("SHUTDOWN", json!({"guest": guest, "reason": reason}))
}

fn guest_endings() -> Vec<Row> {
    let panicked = event("GUEST_PANICKED", json!({"action": "pause"}));
    vec![
        ("panic", with_status("guest-panicked", panicked), "failed kernel-panic"),
        (
            "panic on the console",
            serial("[    9.9] Kernel panic - not syncing: VFS", 7),
            "failed kernel-panic",
        ),
        (
            "forbidden line",
            serial("BUG: unable to handle", 1),
            "failed forbidden-line",
        ),
        (
            "power-off",
            with_status("shutdown", shut_down(true, "guest-shutdown")),
            "failed guest-powered-off",
        ),
        (
            "host disk full",
            with_status("io-error", io_error(true)),
            "infrastructure host-disk-full",
        ),
        (
            "paused",
            with_status("paused", event("SUSPEND", Value::Null)),
            "infrastructure guest-paused",
        ),
    ]
}

fn qemu_endings() -> Vec<Row> {
    let kill = |signal: &str| vec![(0, Act::Die(signal.to_owned()))];
    let keeper = vec![(0, Act::LeaveKeeper), (10, Act::Exit(1))];
    vec![
        ("exit", vec![(0, Act::Exit(3))], "infrastructure qemu-exited"),
        ("kill", kill("SIGKILL"), "infrastructure qemu-killed"),
        ("stop", kill("SIGSTOP"), "infrastructure qemu-stopped"),
        (
            "silence",
            vec![(0, Act::Deaf("*".to_owned()))],
            "infrastructure qemu-unresponsive",
        ),
        (
            "QMP end without exit",
            vec![(0, Act::CloseQmp)],
            "infrastructure qmp-lost",
        ),
        ("exit without QMP end", keeper, "infrastructure qemu-exited"),
    ]
}

fn variants() -> Vec<Row> {
    let failed = with_status("internal-error", event("RESUME", Value::Null));
    let late = vec![(0, Act::CloseQmp), (500, Act::Exit(1))];
    vec![
        ("exit 0", vec![(0, Act::Exit(0))], "infrastructure qemu-exited"),
        (
            "abort",
            vec![(0, Act::Die("SIGABRT".to_owned()))],
            "infrastructure qemu-killed",
        ),
        ("QMP end, then exit", late, "infrastructure qemu-exited"),
        (
            "ended from outside",
            vec![(0, shut_down(false, "host-signal"))],
            "infrastructure qemu-killed",
        ),
        (
            "host disk broken",
            with_status("io-error", io_error(false)),
            "infrastructure host-io-error",
        ),
        ("accelerator fails", failed, "infrastructure qemu-internal-error"),
    ]
}

/// A machine that dies of the command that it is asked, once it has been asked so many times before.
pub(crate) fn dies_of(command: &str, times_before: u32) -> Story {
    let mut last = on(command, 0, Act::Die("SIGKILL".to_owned()));
    last.nth = times_before + 1;
    let deaf = Act::Deaf(command.to_owned());
    let mut before = if times_before == 0 {
        at_start(deaf)
    } else {
        on(command, 0, deaf)
    };
    before.nth = times_before.max(1);
    Story::new(live()).and([before, last])
}
