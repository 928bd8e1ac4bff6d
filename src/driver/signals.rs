//! The signals that ask bootgate to stop.

use std::io;

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::machine::StopSignal;
use crate::procfs;

/// How many signals may wait. The second one ends a run at once, so more change nothing.
const SIGNALS_MAX: usize = 4;

/// SIGINT, SIGTERM and SIGHUP, from the moment this is made to the end of the process: they never end it by themselves
/// any more. SIGHUP stays ignored where it was, as `nohup` asks for.
pub struct StopSignals(mpsc::Receiver<StopSignal>);

impl StopSignals {
    /// Catches them. Must be called in a tokio runtime.
    pub fn catch() -> io::Result<Self> {
        let (sender, received) = mpsc::channel(SIGNALS_MAX);
        let mut kinds = vec![
            (SignalKind::interrupt(), StopSignal::Interrupt),
            (SignalKind::terminate(), StopSignal::Terminate),
        ];
        if !procfs::is_ignored(Number::HUP)? {
            kinds.push((SignalKind::hangup(), StopSignal::HangUp));
        }
        for (kind, meaning) in kinds {
            tokio::spawn(forward(signal(kind)?, meaning, sender.clone()));
        }
        Ok(Self(received))
    }

    /// The next one. May be dropped and called again.
    pub async fn next(&mut self) -> StopSignal {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

async fn forward(mut stream: Signal, meaning: StopSignal, to: mpsc::Sender<StopSignal>) {
    while stream.recv().await.is_some() {
        // A full queue asks for the same already.
        let _ = to.try_send(meaning);
    }
}
