//! What a held machine is made of, for those who serve it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use crate::procfs::ProcessIdentity;
use crate::qmp::Qmp;
use crate::serial::console::Console;
use crate::ssh::{HostKeyPin, Login};

/// The ends of everything that a person may touch. None of them owns the machine.
#[derive(Clone)]
pub(in crate::driver) struct HeldMachine {
    pub(in crate::driver) qmp: Qmp,
    pub(in crate::driver) console: Console,
    pub(in crate::driver) qemu: ProcessIdentity,
    /// Where files for the person go: the run's directory.
    pub(in crate::driver) directory: PathBuf,
    pub(in crate::driver) ssh_address: Option<SocketAddr>,
    /// How the gate logs in, if it knows how.
    pub(in crate::driver) login: Option<Login>,
    /// The user that the gate names.
    pub(in crate::driver) user: Option<String>,
    /// The file of the private key that the gate names.
    pub(in crate::driver) key_file: Option<PathBuf>,
    pub(in crate::driver) pin: HostKeyPin,
    pub(in crate::driver) uuid: Uuid,
    pub(in crate::driver) expires: Expiry,
    pub(in crate::driver) files: FileNumbers,
}

/// When a hold ends, as far as it is known now.
#[derive(Clone)]
pub(in crate::driver) struct Expiry(watch::Sender<Timestamp>);

impl Expiry {
    pub(in crate::driver) fn at(moment: Timestamp) -> Self {
        Self(watch::Sender::new(moment))
    }

    pub(in crate::driver) fn get(&self) -> Timestamp {
        *self.0.borrow()
    }

    pub(in crate::driver) fn set(&self, moment: Timestamp) {
        self.0.send_replace(moment);
    }

    /// For who wants to hear of each change.
    pub(in crate::driver) fn watch(&self) -> watch::Receiver<Timestamp> {
        self.0.subscribe()
    }
}

/// Numbers the files that a person asks for.
#[derive(Clone, Default)]
pub(in crate::driver) struct FileNumbers(Arc<AtomicU64>);

impl FileNumbers {
    pub(super) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}
