//! The inline viewport of ratatui, on a backend that moves by steps from where it believes that the cursor is.

use crate::Paint;
use bootgate::view::{Look, Row};
use ratatui_core::backend::{Backend, ClearType, WindowSize};
use ratatui_core::buffer::Cell;
use ratatui_core::layout::{Position, Size};
use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::terminal::{Terminal, TerminalOptions, Viewport};
use std::convert::Infallible;
use std::fmt::Write as _;

/// Moves by steps from where it believes that the cursor is: at the window's last row in the beginning. Never reads.
pub(crate) struct Steps {
    text: String,
    at: Position,
    size: Size,
}
impl Steps {
    fn go(&mut self, to: Position) {
        let (from, text) = (self.at, &mut self.text);
        if to.y < from.y {
            let _ = write!(text, "\x1b[{}A", from.y - to.y);
        }
        for _ in from.y..to.y {
            text.push('\n');
        }
        let column = if to.y > from.y { 0 } else { from.x };
        if to.x != column {
            text.push('\r');
            if to.x > 0 {
                let _ = write!(text, "\x1b[{}C", to.x);
            }
        }
        self.at = to;
    }
}
pub(crate) fn sgr(cell: &Cell) -> &'static str {
    if cell.modifier.contains(Modifier::DIM) {
        return "2";
    }
    match (cell.fg, cell.modifier.contains(Modifier::BOLD)) {
        (Color::Red, _) => "1;31",
        (Color::Green, _) => "32",
        (Color::Yellow, _) => "33",
        (Color::Cyan, _) => "36",
        (_, true) => "1",
        _ => "",
    }
}
impl Backend for Steps {
    type Error = Infallible;
    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, content: I) -> Result<(), Infallible> {
        let mut style = "";
        for (x, y, cell) in content {
            // The last column is never written to: what follows there is different from terminal to terminal.
            if x + 1 >= self.size.width {
                continue;
            }
            self.go(Position { x, y });
            let wanted = sgr(cell);
            if wanted != style {
                self.text.push_str("\x1b[m");
                if !wanted.is_empty() {
                    let _ = write!(self.text, "\x1b[{wanted}m");
                }
                style = wanted;
            }
            self.text.push_str(cell.symbol());
            self.at.x += unicode_width::UnicodeWidthStr::width(cell.symbol()) as u16;
        }
        if !style.is_empty() {
            self.text.push_str("\x1b[m");
        }
        Ok(())
    }
    fn append_lines(&mut self, n: u16) -> Result<(), Infallible> {
        for _ in 0..n {
            self.text.push('\n');
        }
        self.at = Position {
            x: 0,
            y: (self.at.y + n).min(self.size.height - 1),
        };
        Ok(())
    }
    fn hide_cursor(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
    fn show_cursor(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
    fn get_cursor_position(&mut self) -> Result<Position, Infallible> {
        Ok(self.at)
    }
    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> Result<(), Infallible> {
        self.go(position.into());
        Ok(())
    }
    fn clear(&mut self) -> Result<(), Infallible> {
        self.text.push_str("\x1b[2J");
        Ok(())
    }
    fn clear_region(&mut self, kind: ClearType) -> Result<(), Infallible> {
        self.text.push_str(match kind {
            ClearType::AfterCursor => "\x1b[J",
            ClearType::UntilNewLine => "\x1b[K",
            _ => "",
        });
        Ok(())
    }
    fn size(&self) -> Result<Size, Infallible> {
        Ok(self.size)
    }
    fn window_size(&mut self) -> Result<WindowSize, Infallible> {
        Ok(WindowSize {
            columns_rows: self.size,
            pixels: Size::ZERO,
        })
    }
    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

const HEIGHT: u16 = 10;
#[derive(Default)]
pub(crate) struct Inline {
    terminal: Option<Terminal<Steps>>,
}

/// Our colours as cells: rows are kept as painted text.
pub(crate) fn put(buffer: &mut ratatui_core::buffer::Buffer, y: u16, painted: &str) {
    let (mut x, mut style) = (buffer.area.x, Style::default());
    for piece in crate::screen::pieces(painted) {
        if let Some(parameters) = piece.strip_prefix("\x1b[") {
            style = match parameters.trim_end_matches('m') {
                "2" => Style::default().add_modifier(Modifier::DIM),
                "1" => Style::default().add_modifier(Modifier::BOLD),
                "32" => Style::default().fg(Color::Green),
                "1;31" => Style::default().fg(Color::Red),
                "33" => Style::default().fg(Color::Yellow),
                "36" => Style::default().fg(Color::Cyan),
                _ => Style::default(),
            };
        } else {
            x = buffer.set_string_(x, y, piece, style);
        }
    }
}
trait SetString {
    fn set_string_(&mut self, x: u16, y: u16, s: &str, style: Style) -> u16;
}
impl SetString for ratatui_core::buffer::Buffer {
    fn set_string_(&mut self, x: u16, y: u16, s: &str, style: Style) -> u16 {
        self.set_stringn(x, y, s, usize::MAX, style).0
    }
}

impl Paint for Inline {
    fn paint(&mut self, above: &str, block: Vec<Row>, look: &Look) -> String {
        let size = Size {
            width: look.columns as u16,
            height: look.rows as u16,
        };
        let terminal = self.terminal.get_or_insert_with(|| {
            let steps = Steps {
                text: String::new(),
                at: Position {
                    x: 0,
                    y: size.height - 1,
                },
                size,
            };
            Terminal::with_options(
                steps,
                TerminalOptions {
                    viewport: Viewport::Inline(HEIGHT),
                },
            )
            .unwrap()
        });
        terminal.backend_mut().size = size;
        if !above.is_empty() {
            let lines: Vec<String> = above
                .lines()
                .flat_map(|line| bootgate::view::wrap(line, look.columns - 1))
                .collect();
            terminal
                .insert_before(lines.len() as u16, |buffer| {
                    for (y, line) in lines.iter().enumerate() {
                        put(buffer, y as u16, line);
                    }
                })
                .unwrap();
        }
        terminal
            .draw(|frame| {
                let area = frame.area();
                for (y, row) in (area.y..area.bottom()).zip(&block) {
                    put(frame.buffer_mut(), y, &row.painted());
                }
            })
            .unwrap();
        let end = Position {
            x: 0,
            y: size.height - 1,
        };
        if block.is_empty() {
            terminal.clear().unwrap();
        } else {
            terminal.set_cursor_position(end).unwrap();
        }
        let text = std::mem::take(&mut terminal.backend_mut().text);
        if text.is_empty() {
            text
        } else {
            format!("\x1b[?2026h{text}\x1b[?2026l")
        }
    }
}
