//! What was found on a disk, for people and for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::disk::{Listing, Volume};
use super::tree::{Entry, EntryKind};
use crate::text::{Piece, Scanner, json_text, terminal_line, terminal_name};
use crate::units::ByteSize;

/// Characters of a name in a list. Linux's longest name has 255 bytes, each of which may stand as `\u{…}`.
const NAME_CHARS_MAX: usize = 1024;
/// Characters of a label in a list.
const LABEL_CHARS_MAX: usize = 72;

impl Entry {
    /// One line for a terminal: `-rw-r--r--       1234  2026-11-23 12:00:00  fstab`, times in UTC, a link with its target.
    pub fn line(&self) -> String {
        let name = terminal_name(&self.name, NAME_CHARS_MAX);
        let target = self.target.as_ref().map_or_else(String::new, |target| {
            format!(" -> {}", terminal_name(target, NAME_CHARS_MAX))
        });
        format!(
            "{}{} {:>12}  {:<19}  {name}{target}",
            letter(self.kind),
            permissions(self.mode),
            self.size_bytes,
            self.modified_s.and_then(moment).unwrap_or_else(|| "-".to_owned()),
        )
    }

    /// For a program. The name is as near as UTF-8 comes to it.
    pub fn json(&self) -> Value {
        json!({
            "name": json_text(&self.name),
            "kind": self.kind.described().trim_start_matches("a "),
            "size_bytes": self.size_bytes,
            "mode": self.mode.map(|mode| format!("{mode:04o}")),
            "modified": self.modified_s.and_then(moment).map(|moment| moment.replace(' ', "T") + "Z"),
            "target": self.target.as_ref().map(json_text),
        })
    }
}

impl Listing {
    /// The entries, one in a line, each line ended.
    pub fn text(&self) -> String {
        self.entries.iter().map(|entry| entry.line() + "\n").collect()
    }

    /// For a program.
    pub fn json(&self) -> Value {
        json!({
            "volume": self.volume,
            "path": json_text(&self.path),
            "entries": self.entries.iter().map(Entry::json).collect::<Vec<_>>(),
        })
    }
}

impl Volume {
    /// One line for a terminal: `2      ext4      1.5 GiB  root`.
    pub fn line(&self) -> String {
        let named = [self.name.as_bytes(), &self.label]
            .into_iter()
            .filter(|name| !name.is_empty())
            .map(|name| terminal_name(name, LABEL_CHARS_MAX))
            .collect::<Vec<_>>();
        let line = format!(
            "{:>3}  {:<8} {:>10}  {}",
            self.number,
            self.kind.name(),
            ByteSize(self.size_bytes).to_string(),
            named.join(", ")
        );
        line.trim_end().to_owned()
    }

    /// For a program.
    pub fn json(&self) -> Value {
        json!({
            "number": self.number,
            "kind": self.kind.name(),
            "start_bytes": self.start_bytes,
            "size_bytes": self.size_bytes,
            "name": self.name,
            "label": json_text(&self.label),
            "is_read_here": self.kind.is_read_here(),
        })
    }
}

fn letter(kind: EntryKind) -> char {
    match kind {
        EntryKind::File => '-',
        EntryKind::Directory => 'd',
        EntryKind::Symlink => 'l',
        EntryKind::Fifo => 'p',
        EntryKind::Socket => 's',
        EntryKind::BlockDevice => 'b',
        EntryKind::CharacterDevice => 'c',
    }
}

/// As `ls` writes them; question marks where the file system has none.
fn permissions(mode: Option<u16>) -> String {
    let Some(mode) = mode else {
        return "?????????".to_owned();
    };
    let mut text = String::new();
    for (shift, special, mark) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (false, false) => '-',
            (true, false) => 'x',
            (true, true) => mark,
            (false, true) => mark.to_ascii_uppercase(),
        });
    }
    text
}

fn moment(seconds: i64) -> Option<String> {
    let moment = jiff::Timestamp::from_second(seconds).ok()?;
    Some(moment.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// Passes a guest's file on to a terminal, as lines of printable characters: what would act on the terminal is left out or
/// written by its number. Where the output is no terminal, a file is passed on as it is.
pub struct PrintableWriter<W: Write> {
    inner: W,
    scanner: Scanner,
    after_carriage_return: bool,
}

impl<W: Write> PrintableWriter<W> {
    /// A writer onto a terminal.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            scanner: Scanner::default(),
            after_carriage_return: false,
        }
    }

    /// Writes what was held back, and gives the terminal back.
    pub fn finish(mut self) -> io::Result<W> {
        let mut text = String::new();
        let mut after = self.after_carriage_return;
        std::mem::take(&mut self.scanner).finish(|_, piece| push(&mut text, &mut after, piece));
        self.inner.write_all(text.as_bytes())?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for PrintableWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = String::new();
        let after = &mut self.after_carriage_return;
        self.scanner.feed(bytes, |_, piece| push(&mut text, after, piece));
        self.inner.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn push(text: &mut String, after_carriage_return: &mut bool, piece: Piece<'_>) {
    let ended = std::mem::replace(after_carriage_return, matches!(piece, Piece::CarriageReturn));
    match piece {
        // A tab does no harm, and a Makefile needs it.
        Piece::Text(part) => {
            let between_tabs: Vec<String> = part.split('\t').map(|part| terminal_line(part, usize::MAX)).collect();
            text.push_str(&between_tabs.join("\t"));
        }
        Piece::LineFeed if ended => {}
        Piece::LineFeed | Piece::CarriageReturn => text.push('\n'),
        Piece::CursorMove => {}
    }
}
