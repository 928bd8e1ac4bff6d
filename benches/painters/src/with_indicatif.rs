//! Indicatif, as its documentation shows it and as calm as it gets: it writes to a target that keeps what would be written.

use crate::Paint;
use bootgate::view::{Look, Row};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use std::fmt::Write as _;
use std::io;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU16, Ordering::Relaxed},
};

/// Keeps what would be written.
#[derive(Debug, Clone, Default)]
struct Screen {
    text: Arc<Mutex<String>>,
    columns: Arc<AtomicU16>,
    rows: Arc<AtomicU16>,
}
impl Screen {
    fn push(&self, f: impl FnOnce(&mut String)) -> io::Result<()> {
        f(&mut self.text.lock().unwrap());
        Ok(())
    }
    fn moved(&self, n: usize, to: char) -> io::Result<()> {
        self.push(|text| {
            if n > 0 {
                let _ = write!(text, "\x1b[{n}{to}");
            }
        })
    }
    fn frame(&self) -> String {
        let text = std::mem::take(&mut *self.text.lock().unwrap());
        if text.is_empty() {
            text
        } else {
            format!("\x1b[?2026h{text}\x1b[?2026l")
        }
    }
    fn size(&self, look: &Look) {
        self.columns.store(look.columns as u16, Relaxed);
        self.rows.store(look.rows as u16, Relaxed);
    }
}
impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.columns.load(Relaxed)
    }
    fn height(&self) -> u16 {
        self.rows.load(Relaxed)
    }
    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'A')
    }
    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'B')
    }
    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'C')
    }
    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'D')
    }
    fn write_line(&self, s: &str) -> io::Result<()> {
        self.push(|text| {
            text.push_str(s);
            text.push('\n');
        })
    }
    fn write_str(&self, s: &str) -> io::Result<()> {
        self.push(|text| text.push_str(s))
    }
    fn clear_line(&self) -> io::Result<()> {
        self.push(|text| text.push_str("\r\x1b[2K"))
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// As its documentation shows it: a bar per row, lines by println.
pub(crate) struct Rows {
    screen: Screen,
    multi: MultiProgress,
    bars: Vec<ProgressBar>,
}
impl Rows {
    pub(crate) fn new() -> Self {
        let screen = Screen::default();
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        Self {
            screen,
            multi,
            bars: Vec::new(),
        }
    }
}
impl Paint for Rows {
    fn paint(&mut self, above: &str, block: Vec<Row>, look: &Look) -> String {
        self.screen.size(look);
        if !above.is_empty() {
            self.multi.println(above.trim_end_matches('\n')).unwrap();
        }
        while self.bars.len() > block.len() {
            self.multi.remove(&self.bars.pop().unwrap());
        }
        while self.bars.len() < block.len() {
            let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template("{msg}").unwrap());
            self.bars.push(self.multi.add(bar));
        }
        for (bar, row) in self.bars.iter().zip(&block) {
            let text = row.painted();
            if bar.message() != text {
                bar.set_message(text);
            }
        }
        if block.is_empty() {
            self.multi.clear().unwrap();
        }
        self.screen.frame()
    }
}

/// As calm as it gets: one bar of many lines that overwrites itself, and lines written while it is gone.
pub(crate) struct One {
    screen: Screen,
    multi: MultiProgress,
    bar: ProgressBar,
    rows: usize,
    columns: usize,
}
impl One {
    pub(crate) fn new() -> Self {
        let screen = Screen::default();
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template("{msg}").unwrap());
        Self {
            screen,
            bar: multi.add(bar),
            multi,
            rows: 0,
            columns: 0,
        }
    }
}
impl Paint for One {
    fn paint(&mut self, above: &str, block: Vec<Row>, look: &Look) -> String {
        self.screen.size(look);
        let rows: Vec<_> = block.iter().map(Row::painted).collect();
        let text = rows.join("\n");
        if above.is_empty() && self.bar.message() == text && self.columns == look.columns {
            return String::new();
        }
        let fits = above.is_empty() && block.len() >= self.rows && self.columns == look.columns;
        self.multi.set_move_cursor(fits);
        let bar = self.bar.clone().with_message(text);
        if above.is_empty() {
            bar.force_draw();
        } else {
            self.multi.suspend(|| self.screen.write_str(above).unwrap());
            bar.force_draw();
        }
        self.rows = block.len();
        self.columns = look.columns;
        self.screen.frame()
    }
}
