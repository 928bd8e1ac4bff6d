//! From the words of QMP, SSH and the process table to the machine's events.

use serde_json::Value;

use crate::machine::{CommandExit, Event, GuestStatus, IdentityFault, ProbeClass, ProcessEnd};
use crate::qemu::process::{Exit, ExitReport};
use crate::qmp::RunState;
use crate::ssh;

/// A QMP event as the machine's event. `None`: it says nothing about a gate.
pub(super) fn qmp_event(name: &str, data: &Value) -> Option<Event> {
    let flag = |key: &str| data.get(key).and_then(Value::as_bool).unwrap_or(false);
    let word = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default();
    // Read from the raw JSON: a field that a newer QEMU adds, or a value that these types do not know, loses nothing.
    Some(match name {
        "SHUTDOWN" => Event::GuestShutDown {
            by_guest: flag("guest"),
            reason: word("reason").to_owned(),
        },
        "RESET" => Event::GuestReset {
            by_guest: flag("guest"),
        },
        "GUEST_PANICKED" => Event::GuestPanicked,
        "STOP" => Event::GuestStopped,
        "BLOCK_IO_ERROR" if word("action") == "stop" => Event::BlockIoFailed {
            node: if word("node-name").is_empty() {
                word("device")
            } else {
                word("node-name")
            }
            .to_owned(),
            no_space: flag("nospace"),
        },
        _ => return None,
    })
}

/// QEMU's run state.
pub(super) fn guest_status(status: RunState) -> GuestStatus {
    match status {
        RunState::running => GuestStatus::Running,
        RunState::prelaunch => GuestStatus::Prelaunch,
        RunState::paused => GuestStatus::Paused,
        RunState::shutdown => GuestStatus::Shutdown,
        RunState::guest_panicked => GuestStatus::Panicked,
        RunState::io_error => GuestStatus::IoError,
        RunState::internal_error => GuestStatus::InternalError,
        _ => GuestStatus::Other,
    }
}

/// How the process ended.
pub(super) fn process_end(report: &ExitReport) -> ProcessEnd {
    match &report.status {
        Exit::Code(code) => ProcessEnd::Exited { code: *code },
        Exit::Signal { number, name, .. } => ProcessEnd::Signalled {
            signal: *number,
            name: name.to_string(),
            out_of_memory: report.oom_killed.as_ref().map(ToString::to_string),
        },
        Exit::Unknown(why) => ProcessEnd::Signalled {
            signal: 0,
            name: why.clone(),
            out_of_memory: None,
        },
    }
}

/// What an attempt to log in says, and whether it shows that something is not what it was.
pub(super) fn probe(class: ssh::ProbeClass) -> (ProbeClass, Option<IdentityFault>) {
    let meaning = || class.meaning().to_owned();
    let fault = match class {
        ssh::ProbeClass::HostKeyChanged => Some(IdentityFault::HostKeyChanged(meaning())),
        ssh::ProbeClass::WrongMachine => Some(IdentityFault::WrongMachine(meaning())),
        _ => None,
    };
    let class = match class {
        ssh::ProbeClass::NotSsh => ProbeClass::NotSsh,
        ssh::ProbeClass::AuthRejected => ProbeClass::AuthRejected,
        ssh::ProbeClass::LoggedIn => ProbeClass::LoggedIn,
        class if class.answered() => ProbeClass::Broken,
        _ => ProbeClass::NoAnswer,
    };
    (class, fault)
}

/// How a command ended.
pub(super) fn command_exit(exit: ssh::Exit) -> CommandExit {
    match exit {
        ssh::Exit::Status(status) => CommandExit::Status(i32::from(status)),
        ssh::Exit::Signal { name, .. } => CommandExit::Signal(name.to_owned()),
    }
}
