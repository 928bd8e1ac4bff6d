//! One machine while it exists: its process, its QMP link, its console, and what was learned about its SSH.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::qemu::argv::MachineSpec;
use crate::qemu::process::Running;
use crate::qmp::{Qmp, QmpNotice};
use crate::serial::console::Console;
use crate::serial::tap::SerialNotice;
use crate::ssh::{HostKeyPin, LoginWatch};

use super::command::CommandHandle;
use super::hold::{Expiry, Holder};
use super::input::{Input, VmInput};
use super::screen::{self, Screen};
use super::{heartbeat, idle};

/// A machine that was brought up.
pub(super) struct Vm {
    /// Counts the machines of a run, from 1.
    pub(super) number: u64,
    pub(super) running: Arc<Running>,
    pub(super) qmp: Qmp,
    pub(super) notices: Option<mpsc::Receiver<QmpNotice>>,
    pub(super) console: Console,
    pub(super) sightings: Option<mpsc::Receiver<SerialNotice>>,
    /// The console's file in the run directory.
    pub(super) serial_file: String,
    /// The firmware's debug port, where there is one: its file, and what was seen on it.
    pub(super) firmware: Option<(String, mpsc::Receiver<SerialNotice>)>,
    /// The screen, where a passphrase may be asked for on it.
    pub(super) screen: Option<Screen>,
    /// The host's end of the forward to the guest's port 22.
    pub(super) ssh_address: Option<SocketAddr>,
    /// What must be free after this machine has exited.
    pub(super) images: Vec<std::path::PathBuf>,
    /// What the machine is, and the command line that it was started with.
    pub(super) machine: MachineSpec,
    pub(super) argv: Vec<String>,
    pub(super) ssh: SshSide,
    pub(super) tasks: Tasks,
    /// The door for a person, while the machine is held.
    pub(super) hold: Option<(Holder, Expiry)>,
}

/// What was learned about SSH in this boot.
#[derive(Default)]
pub(super) struct SshSide {
    pub(super) watch: Option<LoginWatch>,
    pub(super) pin: HostKeyPin,
}

/// Tasks that end with the machine.
#[derive(Default)]
pub(super) struct Tasks {
    pub(super) heartbeat: Option<AbortHandle>,
    pub(super) access: Option<AbortHandle>,
    pub(super) command: Option<CommandHandle>,
    /// The looks at the screen, which end when this is dropped.
    pub(super) screen: Option<oneshot::Sender<()>>,
    pub(super) checkpoint: Option<AbortHandle>,
    pub(super) others: Vec<AbortHandle>,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        let tasks = [self.heartbeat.take(), self.access.take(), self.checkpoint.take()];
        let tasks = tasks.into_iter().flatten();
        for task in tasks.chain(self.others.drain(..)) {
            task.abort();
        }
    }
}

impl Vm {
    /// Begins to tell the driver what happens to this machine.
    pub(super) fn listen(&mut self, inputs: &mpsc::Sender<Input>) {
        let number = self.number;
        if let Some(notices) = self.notices.take() {
            // Not aborted with the machine: its last words are still wanted, and it ends with the link.
            tokio::spawn(forward(number, notices, VmInput::Qmp, inputs.clone()));
        }
        if let Some(sightings) = self.sightings.take() {
            tokio::spawn(forward(number, sightings, VmInput::Serial, inputs.clone()));
        }
        if let Some((file, sightings)) = self.firmware.take() {
            tokio::spawn(forward_found(number, file, sightings, inputs.clone()));
        }
        if let Some(screen) = self.screen.take() {
            self.watch_idle(screen.console, Some(screen.file.clone()), inputs);
            tokio::spawn(forward_found(number, screen.file, screen.sightings, inputs.clone()));
            let (stop, stopped) = oneshot::channel();
            let look = screen::Look {
                number,
                qmp: self.qmp.clone(),
                picture: screen.picture,
                text: screen.text,
                inputs: inputs.clone(),
            };
            tokio::spawn(look.watch(stopped));
            self.tasks.screen = Some(stop);
        }
        tokio::spawn(tell_exit(number, self.running.clone(), inputs.clone()));
        self.watch_idle(self.console.clone(), None, inputs);
        let heartbeat = heartbeat::watch(number, self.qmp.clone(), self.running.clone(), inputs.clone());
        self.tasks.heartbeat = Some(tokio::spawn(heartbeat).abort_handle());
    }

    fn watch_idle(&mut self, console: Console, file: Option<String>, inputs: &mpsc::Sender<Input>) {
        let (qmp, running) = (self.qmp.clone(), self.running.clone());
        let idle = idle::watch(self.number, (console, file), qmp, running, inputs.clone());
        self.tasks.others.push(tokio::spawn(idle).abort_handle());
    }
}

async fn forward<T>(number: u64, mut from: mpsc::Receiver<T>, wrap: fn(T) -> VmInput, to: mpsc::Sender<Input>) {
    while let Some(notice) = from.recv().await {
        if to.send(Input::Vm(number, wrap(notice))).await.is_err() {
            return;
        }
    }
}

/// What is said elsewhere counts as said on the console, but for when it began and ended.
async fn forward_found(number: u64, file: String, mut from: mpsc::Receiver<SerialNotice>, to: mpsc::Sender<Input>) {
    while let Some(notice) = from.recv().await {
        let SerialNotice::Match(found) = notice else { continue };
        let file = file.clone();
        if to
            .send(Input::Vm(number, VmInput::Found { file, found }))
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn tell_exit(number: u64, running: Arc<Running>, to: mpsc::Sender<Input>) {
    let report = running.wait().await;
    let _ = to.send(Input::Vm(number, VmInput::Exited(report))).await;
}
