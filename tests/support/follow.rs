//! Follows a run from outside by what it writes, woken by inotify and not by a clock.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde_json::Value;

/// What a guest prints, after its name, right before a chosen fault acts.
const FAULT_LINE: &[u8] = b"-fault: ";

/// Something that a run wrote.
#[derive(Debug, Clone)]
pub(crate) enum Seen {
    /// A record of its trace.
    Trace(Value),
    /// The guest said on its console that a fault strikes now.
    Fault(Fault),
    /// The process has ended.
    Ended,
}

/// A fault that struck.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// Its name.
    pub(crate) name: String,
    /// When its line was in the console's log. The log is written before the line is searched, so a verdict that is
    /// measured from here is measured a little too late, by one wake-up of this process, and never too early by more.
    pub(crate) at: SystemTime,
}

/// Follows the one run in a folder.
pub(crate) struct Follow {
    inotify: Inotify,
    runs: PathBuf,
    /// The file that is made when the process has ended.
    ended: PathBuf,
    /// The run's folder, once it is there.
    run: Option<PathBuf>,
    /// How much of each file was read, and its last line so far.
    files: BTreeMap<PathBuf, Tail>,
    seen: VecDeque<Seen>,
}

#[derive(Default)]
struct Tail {
    file: Option<File>,
    line: Vec<u8>,
}

impl Follow {
    /// Watches the folder `runs` for a run, and the folder around it for the file `ended`.
    pub(crate) fn new(runs: &Path, ended: &Path) -> Self {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC).unwrap();
        for folder in [runs, ended.parent().unwrap()] {
            let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
            inotify.add_watch(folder, flags).unwrap();
        }
        Self {
            inotify,
            runs: runs.to_owned(),
            ended: ended.to_owned(),
            run: None,
            files: BTreeMap::new(),
            seen: VecDeque::new(),
        }
    }

    /// The run's folder. The trace's first record comes after it.
    pub(crate) fn run(&self) -> Option<&Path> {
        self.run.as_deref()
    }

    /// Waits for the next thing. [`Seen::Ended`] is the last one.
    pub(crate) fn next(&mut self) -> Seen {
        loop {
            if let Some(seen) = self.seen.pop_front() {
                return seen;
            }
            // Asked first: what was written before the end is read after it.
            let ended = self.ended.exists();
            self.read();
            if self.seen.is_empty() && ended {
                return Seen::Ended;
            }
            if self.seen.is_empty() {
                self.inotify.read_events().unwrap();
            }
        }
    }

    fn read(&mut self) {
        if self.run.is_none() {
            // The link to the newest run is made when the run's folder is whole.
            self.run = self.runs.join("last").canonicalize().ok();
            let Some(run) = &self.run else { return };
            let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MODIFY;
            self.inotify.add_watch(run, flags).unwrap();
        }
        let run = self.run.as_ref().unwrap();
        for entry in std::fs::read_dir(run).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if name == "trace.jsonl" || name.starts_with("serial") {
                let tail = self.files.entry(path.clone()).or_default();
                tail.read(&path, &mut self.seen);
            }
        }
    }
}

impl Tail {
    fn read(&mut self, path: &Path, seen: &mut VecDeque<Seen>) {
        let file = match &mut self.file {
            Some(file) => file,
            none => match File::open(path) {
                Ok(file) => none.insert(file),
                Err(error) if error.kind() == ErrorKind::NotFound => return,
                Err(error) => panic!("{}: {error}", path.display()),
            },
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        let at = SystemTime::now();
        let console = path.extension().is_some_and(|extension| extension == "log");
        for byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if console {
                seen.extend(fault(&line, at).map(Seen::Fault));
            } else {
                seen.push_back(Seen::Trace(serde_json::from_slice(&line).unwrap()));
            }
        }
    }
}

fn fault(line: &[u8], at: SystemTime) -> Option<Fault> {
    let start = line.windows(FAULT_LINE.len()).position(|part| part == FAULT_LINE)?;
    let name = String::from_utf8_lossy(&line[start + FAULT_LINE.len()..]);
    let name = name.trim().to_owned();
    Some(Fault { name, at })
}
