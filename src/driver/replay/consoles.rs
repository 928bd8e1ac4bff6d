//! The consoles of a recorded run, searched again.
//!
//! A match that the recorded run has found, too, is held back until its driver took it, so that nothing changes places with what
//! came from elsewhere at the same moment. A new match is handed in at once.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::path::Path;
use std::time::Instant;

use crate::serial::console::SERIAL_TAIL_BYTES;
use crate::serial::marker::{Match, Watch};
use crate::serial::prompt::OpenLine;
use crate::serial::tap::Told;

use super::super::fact::{Entry, Fact, Line};
use super::reading::Streams;

/// A match as the recording knows it: file, target, offset.
type Key = (String, String, u64);

/// All consoles of a run.
pub(super) struct Consoles {
    streams: Streams,
    /// How many bytes each has written in all.
    totals: BTreeMap<String, u64>,
    open: BTreeMap<String, Console>,
    recorded: HashSet<Key>,
    held: HashMap<Key, Match>,
}

struct Console {
    watch: Watch,
    told: Told,
    /// The stream's end, for questions that stand there, and the offset behind it.
    recent: VecDeque<u8>,
    end: u64,
}

impl Consoles {
    pub(super) fn new(run: &Path, lines: &[Line]) -> Self {
        let (mut totals, mut recorded) = (BTreeMap::new(), HashSet::new());
        for line in lines {
            match &line.entry {
                Entry::Bytes { file, offset, length } => {
                    totals.insert(file.clone(), offset.saturating_add(*length));
                }
                Entry::Fact(Fact::Match { file, id, offset, .. }) => {
                    recorded.insert((file.clone(), id.clone(), *offset));
                }
                _ => {}
            }
        }
        Self {
            streams: Streams::new(run),
            totals,
            open: BTreeMap::new(),
            recorded,
            held: HashMap::new(),
        }
    }

    /// True if the console has shown something already.
    pub(super) fn is_open(&self, file: &str) -> bool {
        self.open.contains_key(file)
    }

    /// From now on the console is searched.
    pub(super) fn open(&mut self, file: &str, watch: Watch) {
        let console = Console {
            watch,
            told: Told::default(),
            recent: VecDeque::new(),
            end: 0,
        };
        self.open.insert(file.to_owned(), console);
    }

    /// Reads bytes that came at `now`; gives the matches that are new.
    pub(super) fn feed(&mut self, now: Instant, file: &str, piece: (u64, u64)) -> io::Result<Vec<Fact>> {
        let total = self.totals.get(file).copied().unwrap_or_default();
        let bytes = self.streams.console(file, piece, total)?;
        let Some(console) = self.open.get_mut(file) else {
            return Ok(Vec::new());
        };
        console.recent.extend(&bytes);
        let excess = console.recent.len().saturating_sub(SERIAL_TAIL_BYTES);
        console.recent.drain(..excess);
        console.end = piece.0 + bytes.len() as u64;
        let mut all = Vec::new();
        console.watch.feed(&bytes, now, |found| all.push(found));
        Ok(self.sort(file, all))
    }

    /// When a line that has not ended must be looked at.
    pub(super) fn next_quiet_at(&self) -> Option<Instant> {
        self.open
            .values()
            .filter_map(|console| console.watch.next_quiet_at())
            .min()
    }

    /// Looks at lines that have not ended; gives the matches that are new.
    pub(super) fn quiet(&mut self, now: Instant) -> Vec<Fact> {
        let files: Vec<_> = self.open.keys().cloned().collect();
        let mut facts = Vec::new();
        for file in files {
            let mut all = Vec::new();
            if let Some(console) = self.open.get_mut(&file) {
                console.watch.quiet(now, |found| all.push(found));
            }
            facts.extend(self.sort(&file, all));
        }
        facts
    }

    /// The console has ended; gives the matches that are new.
    pub(super) fn close(&mut self, file: &str) -> Vec<Fact> {
        let mut all = Vec::new();
        if let Some(console) = self.open.get_mut(file) {
            console.watch.finish(|found| all.push(found));
        }
        self.sort(file, all)
    }

    /// The match that the recorded run took, if it was found again.
    pub(super) fn take_held(&mut self, file: &str, id: &str, offset: u64) -> Option<Match> {
        self.held.remove(&(file.to_owned(), id.to_owned(), offset))
    }

    /// The line that stood at the end of the console when so many bytes had come.
    pub(super) fn open_line(&self, file: &str, console_bytes: u64) -> Option<OpenLine> {
        let console = self.open.get(file).filter(|console| console.end == console_bytes)?;
        let bytes: Vec<u8> = console.recent.iter().copied().collect();
        OpenLine::of(&bytes, console.end - bytes.len() as u64)
    }

    fn sort(&mut self, file: &str, all: Vec<Match>) -> Vec<Fact> {
        let mut new = Vec::new();
        for found in all {
            if !self
                .open
                .get_mut(file)
                .is_some_and(|console| console.told.admits(&found.id))
            {
                continue;
            }
            let key = (file.to_owned(), found.id.clone(), found.match_offset);
            if self.recorded.contains(&key) {
                self.held.insert(key, found);
            } else {
                new.push(Fact::Match {
                    file: key.0,
                    id: key.1,
                    offset: key.2,
                    found: Some(found),
                });
            }
        }
        new
    }

    /// The piece of a command's output.
    pub(super) fn output(&mut self, file: &str, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        self.streams.plain(file, offset, length)
    }
}
