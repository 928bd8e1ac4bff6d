//! The signals that ask bootgate to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::machine::StopSignal;

use super::input::Input;

/// Forwards SIGINT, SIGTERM and SIGHUP to the driver, for as long as it listens.
pub(super) fn forward(inputs: &mpsc::Sender<Input>) -> std::io::Result<()> {
    let kinds = [
        (SignalKind::interrupt(), StopSignal::Interrupt),
        (SignalKind::terminate(), StopSignal::Terminate),
        (SignalKind::hangup(), StopSignal::HangUp),
    ];
    for (kind, meaning) in kinds {
        tokio::spawn(forward_one(signal(kind)?, meaning, inputs.clone()));
    }
    Ok(())
}

async fn forward_one(mut stream: Signal, meaning: StopSignal, inputs: mpsc::Sender<Input>) {
    while stream.recv().await.is_some() {
        if inputs.send(Input::Stop(meaning)).await.is_err() {
            return;
        }
    }
}
