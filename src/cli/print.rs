//! What a run prints while it goes on.
//!
//! Its reader may be slow, or a terminal whose output is held back (Ctrl-S), and then a write waits. The run must not: its
//! deadlines and a person's Ctrl-C would wait as well. So a thread writes, and lines that it can't take are left out; they
//! are in the trace.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tracing_subscriber::fmt::MakeWriter;

use crate::driver::Sight;
use crate::view::Model;

use super::place::{Place, Stream};
use super::present::{Presenter, Streams, Text};
use super::{job_control, panics, say};

/// How many lines may wait to be written.
const LINES_MAX: usize = 4096;

/// The name of the thread that writes.
pub(super) const THREAD: &str = "printer";

/// Where warnings go while a view is drawn, so that none is written into it.
static WARNINGS: Mutex<Option<mpsc::Sender<Text>>> = Mutex::new(None);

/// The way to who draws a view now, if one is drawn.
pub(super) fn who_draws() -> Option<mpsc::Sender<Text>> {
    WARNINGS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// What is shown of the run: folded by who drives it, drawn by who prints.
#[derive(Clone)]
pub(super) struct Watched(Arc<Mutex<(Model, Option<Sight>)>>);

impl Watched {
    pub(super) fn new(model: Model) -> Self {
        Self(Arc::new(Mutex::new((model, None))))
    }

    /// Changes what is shown.
    pub(super) fn change(&self, change: impl FnOnce(&mut Model)) {
        change(&mut self.lock().0);
    }

    /// The guest's last words are to be had here.
    pub(super) fn sees(&self, sight: Sight) {
        self.lock().1 = Some(sight);
    }

    /// What is shown now, with the guest's last words.
    pub(super) fn now(&self) -> Model {
        let (mut model, sight) = self.lock().clone();
        if let Some(sight) = sight {
            model.look(&sight.look());
        }
        model
    }

    fn lock(&self) -> MutexGuard<'_, (Model, Option<Sight>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to standard output and standard error.
pub(super) struct Printer {
    texts: mpsc::Sender<Text>,
    written: oneshot::Receiver<()>,
    pub(super) place: Place,
    job_control: Option<AbortHandle>,
}

impl Printer {
    /// Starts the thread that writes. Without threads nothing is printed. Must be called in a tokio runtime.
    pub(super) fn start(place: Place, watched: Watched) -> Self {
        let (texts, queue) = mpsc::channel(LINES_MAX);
        let (done, written) = oneshot::channel();
        let present = move || {
            // It needs a clock only, and must outlive the run's own runtime.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            if let Ok(runtime) = runtime {
                let presenter = Presenter::new(Streams(place.window), place, watched);
                runtime.block_on(presenter.present(queue));
            }
            let _ = done.send(());
        };
        let _ = std::thread::Builder::new().name(THREAD.to_owned()).spawn(present);
        let mut job_control = None;
        if place.is_live() {
            *WARNINGS.lock().unwrap_or_else(PoisonError::into_inner) = Some(texts.clone());
            job_control = job_control::follow(texts.clone());
            panics::give_way();
        }
        Self {
            texts,
            written,
            place,
            job_control,
        }
    }

    /// Prints a line for the person who watches.
    pub(super) fn tell(&self, line: impl Display) {
        let _ = self.texts.try_send(Text::Lines(Stream::Aside, format!("{line}\n")));
    }

    /// Prints a line of the run, where those go.
    pub(super) fn line(&self, line: impl Display) {
        let _ = self.texts.try_send(Text::Lines(self.place.stream, format!("{line}\n")));
    }

    /// Prints text on standard output as it is.
    pub(super) fn text(&self, text: String) {
        let _ = self.texts.try_send(Text::Lines(Stream::Output, text));
    }

    /// Lets go of the terminal when everything is printed.
    pub(super) fn let_go(&self, code: u8) {
        let _ = self.texts.try_send(Text::LetGo(code));
    }

    /// Prints the last text and waits until all is written, or until nobody wants to wait any more.
    pub(super) async fn finish(self, answer: String, enough: impl Future<Output = ()>) {
        *WARNINGS.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(task) = &self.job_control {
            task.abort();
        }
        let Self { texts, written, .. } = self;
        let all = async move {
            let _ = texts.send(Text::Last(answer)).await;
            let _ = written.await;
        };
        tokio::select! {
            () = all => {}
            () = enough => {}
        }
    }
}

/// Standard error for warnings: by way of the printer while one draws a view.
pub(super) struct Warnings;

/// One warning.
pub(super) struct Warning(Vec<u8>);

impl<'a> MakeWriter<'a> for Warnings {
    type Writer = Warning;

    fn make_writer(&'a self) -> Warning {
        Warning(Vec::new())
    }
}

impl Write for Warning {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Warning {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.0).into_owned();
        match who_draws() {
            Some(texts) => drop(texts.try_send(Text::Lines(Stream::Aside, text))),
            None => say::aside(&text),
        }
    }
}
