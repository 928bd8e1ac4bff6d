use std::ops::Range;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::view::Model;

/// What was written, and when.
type Written = Arc<Mutex<Vec<(Instant, Stream, String)>>>;

/// Streams that are looked at.
struct Paper(Written, Option<Look>);

impl Sink for Paper {
    fn write(&mut self, to: Stream, text: &str) {
        self.0.lock().unwrap().push((Instant::now(), to, text.to_owned()));
    }

    fn look(&self) -> Option<Look> {
        self.1
    }
}

/// A run whose printer is looked at, in a time that passes when nothing else happens.
struct Bench {
    texts: mpsc::Sender<Text>,
    written: Written,
    presenter: JoinHandle<()>,
    began: Instant,
}

impl Bench {
    fn start(live: bool, quiet: bool, unicode: bool) -> Self {
        let plan = crate::machine::representative_plan(false);
        let began = Instant::now();
        let stages: Range<usize> = 0..plan.stages.len();
        let model = Model::new(&plan, stages, "bootgate inspect last".to_owned(), began.into_std());
        let window = live.then_some(Window {
            stream: Stream::Output,
            colour: false,
            unicode,
            live: true,
        });
        let place = Place {
            stream: Stream::Output,
            window,
            quiet,
        };
        let look = Look {
            columns: 80,
            rows: 24,
            colour: false,
            unicode,
        };
        let (texts, queue) = mpsc::channel(4096);
        let written = Written::default();
        let presenter = Presenter::new(Paper(written.clone(), live.then_some(look)), place, Watched::new(model));
        Self {
            texts,
            written,
            presenter: tokio::spawn(presenter.present(queue)),
            began,
        }
    }

    fn line(&self, line: &str) {
        let _ = self.texts.try_send(Text::Lines(Stream::Output, format!("{line}\n")));
    }

    async fn until(&self, millisecond: u64) {
        let at = self.began + Duration::from_millis(millisecond);
        let _ = tokio::time::timeout_at(at, std::future::pending::<()>()).await;
    }

    /// What was written since the last call: milliseconds since the start, and the text.
    fn taken(&self) -> Vec<(u128, String)> {
        let written = std::mem::take(&mut *self.written.lock().unwrap());
        let since = written
            .into_iter()
            .map(|(at, _, text)| ((at - self.began).as_millis(), text));
        since.collect()
    }

    async fn end(self) -> Vec<(u128, String)> {
        self.texts.send(Text::Last("last words\n".to_owned())).await.unwrap();
        while !self.presenter.is_finished() {
            tokio::task::yield_now().await;
        }
        self.taken()
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_silent_for_a_minute_gets_a_sign_of_life() {
    let bench = Bench::start(false, false, true);
    bench.line("begun");
    bench.until(59_000).await;
    assert_eq!(bench.taken(), [(0, "begun\n".to_owned())]);
    bench.until(61_000).await;
    assert_eq!(bench.taken(), [(60_000, "   60.00s  … Preparing\n".to_owned())]);
    bench.until(90_000).await;
    bench.line("said");
    bench.until(149_000).await;
    assert_eq!(bench.taken(), [(90_000, "said\n".to_owned())]);
    bench.until(271_000).await;
    let beats: Vec<_> = bench.taken().into_iter().map(|(at, _)| at).collect();
    assert_eq!(beats, [150_000, 210_000, 270_000]);
    assert_eq!(bench.end().await, [(271_000, "last words\n".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn who_wants_only_the_verdict_gets_no_sign_of_life() {
    let bench = Bench::start(false, true, true);
    bench.until(600_000).await;
    assert_eq!(bench.end().await, [(600_000, "last words\n".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_terminal_changes_ten_times_a_second_at_most_and_only_when_something_has() {
    let bench = Bench::start(true, false, true);
    for millisecond in 0..1000 {
        bench.line("flood");
        bench.until(millisecond + 1).await;
    }
    bench.until(1200).await;
    let changes = bench.taken();
    assert!((5..=12).contains(&changes.len()), "{}", changes.len());
    let lines: usize = changes.iter().map(|(_, text)| text.matches("flood\n").count()).sum();
    assert_eq!(lines, 1000);
    // From here on only the clock changes, once a second.
    bench.until(11_200).await;
    assert_eq!(bench.taken().len(), 10);
    let last = bench.end().await;
    assert_eq!(last.len(), 1);
    assert!(last[0].1.ends_with("\x1b[J\x1b[Alast words\n\x1b[?2026l"), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_drawn_while_the_terminal_is_the_shells() {
    let bench = Bench::start(true, false, true);
    bench.until(1_000).await;
    let (gone, is_gone) = oneshot::channel();
    bench
        .texts
        .send(Text::Pause(Box::new(|| gone.send(()).unwrap())))
        .await
        .unwrap();
    is_gone.await.unwrap();
    let drawn = bench.taken();
    assert!(
        drawn.last().unwrap().1.ends_with("A\x1b[K\n\x1b[J\x1b[A\x1b[?2026l"),
        "{drawn:?}"
    );
    bench.until(9_000).await;
    assert_eq!(bench.taken(), []);
    bench.texts.send(Text::Resume).await.unwrap();
    bench.until(9_050).await;
    let drawn = bench.taken();
    assert_eq!(drawn.len(), 1);
    assert!(
        !drawn[0].1.contains("A\x1b"),
        "what the shell has printed stays: {drawn:?}"
    );
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_terminal_without_unicode_gets_none() {
    let bench = Bench::start(true, false, false);
    bench.line("Booting → MarkerSeen ✓ “läuft”");
    bench.until(2_000).await;
    let all: String = bench.end().await.into_iter().map(|(_, text)| text).collect();
    assert!(
        all.is_ascii() && all.contains("Booting -> MarkerSeen + \"l?uft\"\n"),
        "{all}"
    );
}
