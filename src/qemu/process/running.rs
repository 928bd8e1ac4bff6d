//! A child process that we own.

use super::exit::{Exit, ExitReport, tail_of};
use super::oom::OomWatch;
use crate::procfs::{self, ProcessIdentity, ProcessState, raw_pid};
use crate::text::Untrusted;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, pidfd_open, waitid,
};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// A child process in its own process group. Dropping this before the child has ended kills the whole group.
///
/// A thread of ours waits for its end, so a signal can't hit a stranger: as long as that thread has not reaped the
/// child, its process number and its group number belong to it, and signals are sent under the lock that reaping takes.
#[derive(Debug)]
pub struct Running {
    child: Arc<Child>,
    exited: watch::Receiver<Option<Arc<ExitReport>>>,
}

#[derive(Debug)]
struct Child {
    identity: ProcessIdentity,
    pid: Pid,
    hold: Mutex<Hold>,
}

#[derive(Debug, Default)]
struct Hold {
    reaped: bool,
    our_signal: Option<i32>,
}

/// What the waiting thread needs to report the end.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) started: Instant,
    pub(super) stderr: PathBuf,
    pub(super) stderr_start_bytes: u64,
}

impl Running {
    /// Takes over a child that is the leader of its own process group and that nobody else will reap. If this fails, the
    /// child has been killed and reaped.
    pub(super) fn adopt(number: u32, origin: Origin) -> io::Result<Self> {
        let pid = raw_pid(number).ok_or(Errno::SRCH)?;
        let adopted = Self::watched(pid, number, origin);
        if adopted.is_err() {
            // The child is ours and not reaped, so the number is still its own.
            let _ = kill_process_group(pid, Signal::KILL);
            let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
        }
        adopted
    }

    fn watched(pid: Pid, number: u32, origin: Origin) -> io::Result<Self> {
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        let child = Arc::new(Child {
            identity: ProcessIdentity::of(number)?,
            pid,
            hold: Mutex::default(),
        });
        let oom = OomWatch::start(number);
        let (sender, exited) = watch::channel(None);
        let watched = Arc::clone(&child);
        std::thread::Builder::new()
            .name(format!("wait-{number}"))
            .spawn(move || sender.send_replace(Some(Arc::new(watched.wait(&pidfd, oom, &origin)))))?;
        Ok(Self { child, exited })
    }

    /// Which process it is.
    pub fn identity(&self) -> ProcessIdentity {
        self.child.identity
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.identity.pid
    }

    /// Its end as an event: the value changes once, from `None` to the report.
    pub fn exited(&self) -> watch::Receiver<Option<Arc<ExitReport>>> {
        self.exited.clone()
    }

    /// Waits for its end. May be dropped and called again.
    pub async fn wait(&self) -> Arc<ExitReport> {
        let mut exited = self.exited.clone();
        let report = exited.wait_for(Option::is_some).await;
        let report = report.ok().and_then(|report| report.clone());
        report.unwrap_or_else(|| {
            Arc::new(ExitReport {
                status: Exit::Unknown("the thread that waited for it failed".to_owned()),
                our_signal: None,
                oom_killed: None,
                stderr_tail: Untrusted::default(),
                ran_for: std::time::Duration::ZERO,
            })
        })
    }

    /// What it is doing. [`ProcessState::Stopped`] tells a QEMU that got SIGSTOP from one that hangs.
    pub fn process_state(&self) -> ProcessState {
        match procfs::stat(self.pid()) {
            Ok(stat) if stat.start_ticks == self.child.identity.start_ticks => stat.state,
            _ => ProcessState::Gone,
        }
    }

    /// Sends a signal to it and to all that it has started in its group. A child that has ended is no error.
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        let mut hold = self.child.hold();
        if hold.reaped {
            return Ok(());
        }
        hold.our_signal = Some(signal.as_raw());
        kill_process_group(self.child.pid, signal).or_else(gone_is_fine)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.exited.borrow().is_none() {
            // Nothing to tell it to: the death signal of the spawner thread is the second net.
            let _ = self.signal_group(Signal::KILL);
        }
    }
}

impl Child {
    fn hold(&self) -> MutexGuard<'_, Hold> {
        // The two fields are valid in every combination, so a panic elsewhere can't have broken them.
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, pidfd: &OwnedFd, oom: OomWatch, origin: &Origin) -> ExitReport {
        let status = wait_unreaped(pidfd);
        let ran_for = origin.started.elapsed();
        let status = match status {
            Ok(status) => Exit::from_status(&status),
            Err(errno) => Exit::Unknown(errno.to_string()),
        };
        let our_signal = self.reap(pidfd);
        let killed = matches!(status, Exit::Signal { number, .. } if number == Signal::KILL.as_raw());
        let ours = our_signal == Some(Signal::KILL.as_raw());
        ExitReport {
            oom_killed: if killed && !ours { oom.evidence() } else { None },
            status,
            our_signal,
            stderr_tail: tail_of(&origin.stderr, origin.stderr_start_bytes).unwrap_or_default(),
            ran_for,
        }
    }

    /// Ends what the child left in its group and reaps it. Not before this may its numbers go to somebody else.
    fn reap(&self, pidfd: &OwnedFd) -> Option<i32> {
        let mut hold = self.hold();
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
        hold.reaped = true;
        hold.our_signal
    }
}

/// Blocks until the child has ended, and leaves it to be reaped.
fn wait_unreaped(pidfd: &OwnedFd) -> Result<WaitIdStatus, Errno> {
    loop {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        match waitid(WaitId::PidFd(pidfd.as_fd()), options) {
            Ok(Some(status)) => return Ok(status),
            Ok(None) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn gone_is_fine(errno: Errno) -> io::Result<()> {
    if errno == Errno::SRCH {
        Ok(())
    } else {
        Err(errno.into())
    }
}
