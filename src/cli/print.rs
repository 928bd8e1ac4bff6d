//! What a run prints while it goes on.
//!
//! Its reader may be slow, or a terminal whose output is held back (Ctrl-S), and then a write waits. The run must not: its
//! deadlines and a person's Ctrl-C would wait as well. So a thread writes, and lines that it can't take are left out; they
//! are in the trace.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::driver::{Observer, Outcome};
use crate::machine::Record;
use crate::plan::Plan;
use crate::report::{Groups, record_line};

use super::{background, say};

/// How many lines may wait to be written.
const LINES_MAX: usize = 4096;

/// A piece of text and where it goes.
enum Text {
    /// A line for the person who watches, on standard error.
    Aside(String),
    /// Text for standard output, its ends of lines included.
    Output(String),
    /// Everything before it is printed: the parent gets the exit code, and the terminal is let go.
    LetGo(u8),
}

/// The way to standard output and standard error.
pub(super) struct Printer {
    texts: mpsc::Sender<Text>,
    written: oneshot::Receiver<()>,
}

impl Printer {
    /// Starts the thread that writes. Without threads nothing is printed.
    pub(super) fn start() -> Self {
        let (texts, mut queue) = mpsc::channel(LINES_MAX);
        let (done, written) = oneshot::channel();
        let write = move || {
            while let Some(text) = queue.blocking_recv() {
                match text {
                    Text::Aside(line) => say::tell(line),
                    // Told or not, the verdict stands: it is in the run directory.
                    Text::Output(text) => drop(say::answer(text)),
                    Text::LetGo(code) => {
                        if let Err(error) = background::let_go(code) {
                            say::tell(format_args!("warning: the terminal can't be let go: {error}"));
                        }
                    }
                }
            }
            let _ = done.send(());
        };
        let _ = std::thread::Builder::new().name("printer".to_owned()).spawn(write);
        Self { texts, written }
    }

    /// Prints a line for the person who watches.
    pub(super) fn tell(&self, line: impl Display) {
        let _ = self.texts.try_send(Text::Aside(line.to_string()));
    }

    /// Prints a line on standard output.
    pub(super) fn line(&self, line: impl Display) {
        let _ = self.texts.try_send(Text::Output(format!("{line}\n")));
    }

    /// Prints text on standard output as it is.
    pub(super) fn text(&self, text: String) {
        let _ = self.texts.try_send(Text::Output(text));
    }

    /// Lets go of the terminal when everything is printed.
    pub(super) fn let_go(&self, code: u8) {
        let _ = self.texts.try_send(Text::LetGo(code));
    }

    /// Prints the last text and waits until all is written, or until nobody wants to wait any more.
    pub(super) async fn finish(self, answer: String, enough: impl Future<Output = ()>) {
        let Self { texts, written } = self;
        let all = async move {
            let _ = texts.send(Text::Output(answer)).await;
            drop(texts);
            let _ = written.await;
        };
        tokio::select! {
            () = all => {}
            () = enough => {}
        }
    }
}

/// Prints the records of a run as lines: on standard error if standard output is for programs.
pub(super) struct Watcher<'a> {
    pub(super) plan: Arc<Plan>,
    /// What is to be done when the failed machine is held.
    pub(super) on_held: &'a mut dyn FnMut(&Outcome, Timestamp),
    pub(super) printer: &'a Printer,
    pub(super) groups: Groups,
    pub(super) json: bool,
    pub(super) quiet: bool,
}

impl Watcher<'_> {
    pub(super) fn line(&self, line: impl Display) {
        match (self.quiet, self.json) {
            (true, _) => {}
            (false, true) => self.printer.tell(line),
            (false, false) => self.printer.line(line),
        }
    }
}

impl Observer for Watcher<'_> {
    fn record(&mut self, at: Duration, record: &Record) {
        let unix_s = Timestamp::now().as_second();
        let before = self.groups.before(&self.plan, record, unix_s);
        let line = record_line(&self.plan, at, record);
        let after = self.groups.after(record, unix_s);
        for line in before.into_iter().chain(line).chain(after) {
            self.line(line);
        }
    }

    fn held(&mut self, outcome: &Outcome, expires: Timestamp) {
        (self.on_held)(outcome, expires);
    }
}
