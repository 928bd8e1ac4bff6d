//! Who owns the two streams while a run goes on: prints its lines, and keeps the view below them.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::view::{BEAT_EVERY, Beat, Look, Painter, draw, glyphs};

use super::place::{Place, Stream, Window};
use super::print::Watched;
use super::{background, say};

/// The shortest time between two changes of what a terminal shows.
const PAINT_EVERY: Duration = Duration::from_millis(100);
/// How often the view is looked at. A guest may print a thousand lines a second, so no line of it is an event here: a
/// person reads no more than this, and a flood costs no more than silence.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long the view may take to go: a terminal whose output is held back takes nothing.
pub(super) const GONE_WITHIN: Duration = Duration::from_millis(500);

/// What is asked of the presenter.
pub(super) enum Text {
    /// Whole lines.
    Lines(Stream, String),
    /// Everything before it is printed: the parent gets the exit code, and the terminal is let go.
    LetGo(u8),
    /// The view goes, since the terminal is another's for a while. Called when it is gone.
    Pause(Box<dyn FnOnce() + Send>),
    /// The terminal is ours again.
    Resume,
    /// The end: the view goes, and this is printed.
    Last(String),
}

/// Where the presenter writes.
pub(super) trait Sink {
    /// Writes text as it is.
    fn write(&mut self, to: Stream, text: &str);
    /// The terminal as it is now. `None`: nothing may be drawn on it.
    fn look(&self) -> Option<Look>;
}

/// The streams of this process.
pub(super) struct Streams(pub(super) Option<Window>);

impl Sink for Streams {
    fn write(&mut self, to: Stream, text: &str) {
        match to {
            // Told or not, the verdict stands: it is in the run directory.
            Stream::Output => drop(say::answer(text)),
            Stream::Aside => say::aside(text),
        }
    }

    fn look(&self) -> Option<Look> {
        let window = self.0.filter(|window| window.live && window.is_ours())?;
        Some(window.look())
    }
}

/// Prints, and draws where there is a window.
pub(super) struct Presenter<S> {
    sink: S,
    place: Place,
    watched: Watched,
    painter: Painter,
    /// Lines that are printed with the next change of what the terminal shows.
    waiting: Vec<(Stream, String)>,
    painted: Instant,
    beat: Beat,
    is_paused: bool,
}

impl<S: Sink> Presenter<S> {
    pub(super) fn new(sink: S, place: Place, watched: Watched) -> Self {
        Self {
            sink,
            place,
            watched,
            painter: Painter::default(),
            waiting: Vec::new(),
            painted: Instant::now(),
            beat: Beat::new(Instant::now().into_std()),
            is_paused: false,
        }
    }

    /// Prints what comes through the queue until its end.
    pub(super) async fn present(mut self, mut queue: mpsc::Receiver<Text>) {
        loop {
            let wake = self.next_wake();
            tokio::select! {
                biased;
                text = queue.recv() => match text {
                    Some(Text::Last(text)) => {
                        self.waiting.push((Stream::Output, text));
                        break;
                    }
                    Some(text) => self.take(text),
                    None => break,
                },
                () = sleep_until(wake) => self.wake(),
            }
        }
        self.print(false);
    }

    fn next_wake(&self) -> Instant {
        match (self.place.is_live(), self.waiting.is_empty()) {
            (true, true) => self.painted + LOOK_EVERY,
            (true, false) => self.painted + PAINT_EVERY,
            (false, _) if self.place.quiet => self.painted + BEAT_EVERY,
            (false, _) => self.beat.due().into(),
        }
    }

    fn take(&mut self, text: Text) {
        match text {
            Text::Lines(to, text) => {
                self.waiting.push((to, text));
                if !self.place.is_live() {
                    self.print(false);
                }
            }
            Text::LetGo(code) => {
                self.print(false);
                self.place.window = None;
                self.place.quiet = true;
                if let Err(error) = background::let_go(code) {
                    say::tell(format_args!("warning: the terminal can't be let go: {error}"));
                }
            }
            Text::Pause(gone) => {
                self.print(false);
                self.is_paused = true;
                gone();
            }
            Text::Resume => {
                self.is_paused = false;
                self.painter.forget();
                self.print(true);
            }
            Text::Last(_) => {}
        }
    }

    fn wake(&mut self) {
        if self.place.is_live() {
            self.print(!self.is_paused);
        } else if !self.place.quiet {
            let now = Instant::now().into_std();
            let line = self.watched.now().beat(now) + "\n";
            self.waiting.push((self.place.stream, line));
            self.print(false);
        }
        self.painted = Instant::now();
    }

    /// Prints the lines that wait, and below them the view if it is wanted.
    fn print(&mut self, with_view: bool) {
        let now = Instant::now();
        self.painted = now;
        if !self.waiting.is_empty() {
            self.beat.printed(now.into_std());
        }
        let waiting = std::mem::take(&mut self.waiting);
        if !self.place.is_live() {
            for (to, text) in waiting {
                let text = self.plain(&text);
                self.sink.write(to, &text);
            }
            return;
        }
        // Without a window of ours, what was drawn stays as it is.
        let look = self.sink.look();
        let mut above = String::new();
        for (to, text) in waiting {
            if to == self.place.stream {
                above.push_str(&self.plain(&text));
                continue;
            }
            // The other stream may be the same terminal.
            self.paint(&above, look, false);
            above.clear();
            let text = self.plain(&text);
            self.sink.write(to, &text);
        }
        self.paint(&above, look, with_view);
    }

    fn paint(&mut self, above: &str, look: Option<Look>, with_view: bool) {
        let Some(look) = look else {
            self.painter.forget();
            return self.sink.write(self.place.stream, above);
        };
        let block = if with_view {
            draw(&self.watched.now(), Instant::now().into_std(), &look)
        } else {
            Vec::new()
        };
        let text = self.painter.paint(above, block, &look);
        if !text.is_empty() {
            self.sink.write(self.place.stream, &text);
        }
    }

    /// The text in what the terminal can show. A log takes all.
    fn plain(&self, text: &str) -> String {
        let is_unicode = self.place.screen().is_none_or(|look| look.unicode);
        if is_unicode {
            return text.to_owned();
        }
        let ours = |c: char| matches!(c, '\n' | '\x1b');
        let mut shown = String::with_capacity(text.len());
        for piece in text.split_inclusive(ours) {
            let end = piece.strip_suffix(ours).unwrap_or(piece);
            shown.push_str(&glyphs(end, false));
            shown.push_str(&piece[end.len()..]);
        }
        shown
    }
}

#[cfg(test)]
mod tests;
