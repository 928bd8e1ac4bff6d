//! What a person sees while a machine is opened again, and while it is held.

use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::checkpoint::{Phase, Progress};
use crate::driver::StopSignals;
use crate::report::Ci;
use crate::units::ByteSize;
use crate::view::{self, Model};

use super::place::Place;
use super::print::{Printer, Watched};

/// The view, if there is a terminal, and the way to both streams.
pub(super) struct Reopening {
    printer: Printer,
    watched: Watched,
    /// Where it is told how far the machine is.
    pub(super) progress: watch::Sender<Progress>,
    follows: AbortHandle,
}

impl Reopening {
    /// Begins to show it. Must be called in a tokio runtime.
    pub(super) fn start(bundle: &Path, run: &Path, json: bool) -> Self {
        let name = bundle.file_name().unwrap_or(bundle.as_os_str()).to_string_lossy();
        let inspect = format!("bootgate inspect {}", run.display());
        let watched = Watched::new(Model::of_machine(&name, inspect, Instant::now()));
        let mut place = Place::look(json, false, Ci::Plain);
        // A log is told the end only: nothing here takes minutes but the hold, of which nobody expects a word.
        place.quiet = !place.is_live();
        let printer = Printer::start(place, watched.clone());
        let (progress, mut told) = watch::channel(Progress::default());
        let shown = watched.clone();
        let follows = tokio::spawn(async move {
            while told.changed().await.is_ok() {
                let now = *told.borrow_and_update();
                shown.change(|model| model.opens(step(now.phase), bar(&now)));
            }
        });
        Self {
            printer,
            watched,
            progress,
            follows: follows.abort_handle(),
        }
    }

    /// True if a view is drawn.
    pub(super) fn is_drawn(&self) -> bool {
        self.printer.place.is_live()
    }

    /// Prints the answer.
    pub(super) fn answer(&self, text: String) {
        self.printer.text(text);
    }

    /// Prints a line for the person.
    pub(super) fn tell(&self, line: impl Display) {
        self.printer.tell(line);
    }

    /// Lets go of the terminal when everything is printed.
    pub(super) fn let_go(&self) {
        self.printer.let_go(0);
    }

    /// Shows how long the machine is held, also when somebody has asked for more. Never ends.
    pub(super) async fn holds(&self, mut expires: watch::Receiver<Timestamp>) {
        self.follows.abort();
        loop {
            let left = expires.borrow_and_update().duration_since(Timestamp::now());
            let left = Duration::try_from(left).unwrap_or_default();
            self.watched.change(|model| model.holds(Instant::now(), left));
            if expires.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// The view goes, and what is to be printed is.
    pub(super) async fn end(self, signals: &mut StopSignals) {
        self.follows.abort();
        let enough = async {
            signals.next().await;
        };
        self.printer.finish(String::new(), enough).await;
    }
}

/// What is done, for a person.
fn step(phase: Phase) -> &'static str {
    match phase {
        Phase::Unpacking => "unpacking the bundle",
        Phase::Checking | Phase::Digests => "comparing the files with their digests",
        Phase::Memory => "reading the machine's memory",
        Phase::Waiting | Phase::Packing | Phase::Freezing | Phase::Done => "opening the machine",
    }
}

fn bar(progress: &Progress) -> Option<view::Progress> {
    (progress.total_bytes > 0).then(|| view::Progress {
        percent: progress.percent(),
        what: format!(
            "{} of {}",
            ByteSize(progress.done_bytes),
            ByteSize(progress.total_bytes)
        ),
    })
}
