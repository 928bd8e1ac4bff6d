//! The digest of the image under test, read beside the run.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;

use crate::driver::StopSignals;
use crate::plan::{ImageSource, Plan};
use crate::qemu::disk::{self, Digest};

/// The image's digest, read beside the run.
pub(super) struct ImageDigest {
    stop: Arc<AtomicBool>,
    pub(super) known: Arc<OnceLock<Digest>>,
    ended: oneshot::Receiver<()>,
}

impl ImageDigest {
    pub(super) fn start(plan: &Plan) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let path = match &plan.image.source {
            ImageSource::Iso(path) | ImageSource::Disk { path, .. } => path.clone(),
            ImageSource::Kernel { kernel, .. } => kernel.clone(),
        };
        let known = Arc::new(OnceLock::new());
        let (stopped, found) = (stop.clone(), known.clone());
        let (done, ended) = oneshot::channel();
        let read = move || {
            let digest = disk::digest(&path, |_| {
                if stopped.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            if let Ok(digest) = digest {
                let _ = found.set(digest);
            }
            let _ = done.send(());
        };
        // Without a thread there is no digest, which the result says.
        let _ = std::thread::Builder::new().name("digest".to_owned()).spawn(read);
        Self { stop, known, ended }
    }

    /// The digest; of a cancelled run, or after one more signal, only if it is there already.
    pub(super) async fn finish(mut self, cancelled: bool, signals: &mut StopSignals) -> Option<String> {
        if !cancelled {
            tokio::select! {
                _ = &mut self.ended => {}
                _ = signals.next() => {}
            }
        }
        self.stop.store(true, Ordering::Relaxed);
        self.known.get().map(ToString::to_string)
    }
}
