//! A run whose view is drawn, and the shell that stops it (Ctrl-Z) and lets it go on.

use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::procfs;

use super::present::{GONE_WITHIN, Text};

/// Takes the view away before the shell has the terminal, and draws it anew afterwards. `None`: nobody stops this process, or
/// its signals can't be caught; then the shell's lines may stand in the view.
pub(super) fn follow(texts: mpsc::Sender<Text>) -> Option<AbortHandle> {
    if procfs::is_ignored(Signal::TSTP).unwrap_or(true) {
        return None;
    }
    let mut stops = signal(SignalKind::from_raw(Signal::TSTP.as_raw())).ok()?;
    let mut goes_on = signal(SignalKind::from_raw(Signal::CONT.as_raw())).ok()?;
    let task = tokio::spawn(async move {
        loop {
            tokio::select! {
                stop = stops.recv() => {
                    if stop.is_none() {
                        return;
                    }
                    let (gone, is_gone) = oneshot::channel();
                    let _ = texts.try_send(Text::Pause(Box::new(|| {
                        let _ = gone.send(());
                    })));
                    let _ = tokio::time::timeout(GONE_WITHIN, is_gone).await;
                    // What the signal would have done by itself.
                    let _ = kill_process(getpid(), Signal::STOP);
                }
                _ = goes_on.recv() => {
                    let _ = texts.send(Text::Resume).await;
                }
            }
        }
    });
    Some(task.abort_handle())
}
