//! Everything that reaches the driver's task, from any source.

use std::sync::Arc;

use crate::checkpoint::Progress;
use crate::machine::{Event, GuestStatus, StopSignal};
use crate::qemu::process::ExitReport;
use crate::qmp::QmpNotice;
use crate::serial::marker::Match;
use crate::serial::tap::SerialNotice;
use crate::ssh::Probe;

use super::command::CommandInput;
use super::hold::HoldAsk;
use super::host::HostFacts;
use super::idle::Look;
use super::prepare::PrepareError;
use super::vm::Vm;

/// How many inputs may wait for the driver. Sources wait when it is full; the ones that must not wait have queues of
/// their own behind them.
pub(super) const INPUTS_MAX: usize = 1024;

/// Something that reached the driver.
pub(super) enum Input {
    /// The machine of a stage is ready, or can't be brought up.
    Prepared(Result<(Box<Vm>, HostFacts), PrepareError>),
    /// Something about the machine with this number. A machine that is gone is not listened to any more.
    Vm(u64, VmInput),
    /// The preparation was given up before it had a machine, and nothing of it is left.
    GivenUp,
    /// bootgate was asked to stop.
    Stop(StopSignal),
}

/// Something about a machine.
pub(super) enum VmInput {
    Qmp(QmpNotice),
    Serial(SerialNotice),
    /// A target was found elsewhere than on the console: on the firmware's debug port, on the screen.
    Found {
        file: String,
        found: Match,
    },
    Exited(Arc<ExitReport>),
    Status(GuestStatus),
    Silent {
        stopped_by_signal: bool,
    },
    Probe(Box<Probe>),
    Command(CommandInput),
    /// Whether there is text on the screen.
    ScreenShows {
        text: bool,
    },
    /// The answer to a prompt on the screen is typed, or why it is not.
    Typed(Result<(), String>),
    /// A question stands on the console: what the guest does meanwhile.
    Looked(Look),
    /// The guest was asked for something, and this is what it told.
    Told(Event),
    Captured {
        missing: Vec<String>,
    },
    /// The host has little left of something.
    Host(Event),
    /// The guest's journal is saved, or why it is not.
    Journal {
        missing: Option<String>,
    },
    /// How far the checkpoint has come.
    Saving(Progress),
    /// The checkpoint is saved, or it can't be.
    Saved(Event),
    /// A person who inspects the held machine asks for something.
    Hold(HoldAsk),
    Released(Result<(), String>),
    /// An effect could not be performed; worth a note in the trace.
    Note {
        what: &'static str,
        detail: String,
    },
}
