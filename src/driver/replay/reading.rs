//! Reads what a run has recorded. The files may come from another machine, so that nothing in them is believed.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};

use crate::evidence::{RECORDING, RECORDING_BYTES_MAX};
use crate::serial::raw_log::{LogLayout, SERIAL_LOG_HEAD_BYTES, SERIAL_LOG_TAIL_BYTES};

use super::super::fact::{Entry, FORM, Line};

/// The largest piece of a console or of an output that is read at once, in bytes.
const PIECE_BYTES_MAX: u64 = 64 * crate::units::MIB;

/// Why a run can't be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is nothing to replay.
    #[error(
        "the run in {} has no {RECORDING}: it was made by a bootgate that did not record its inputs, or ended before it began",
        .run.display()
    )]
    NoRecording {
        /// The run's directory.
        run: PathBuf,
    },
    /// The recording can't be read.
    #[error("{} can't be read: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not a recording, or not of a form that this build knows.
    #[error("line {line} of {} is not understood: {problem}", .file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// The patterns of the gate or of the rules can't be looked for.
    #[error("the console can't be searched: {0}")]
    Patterns(#[from] crate::serial::marker::WatchError),
}

/// Reads the recording in a run's directory. A line that was torn by the death of its writer is left out.
pub(super) fn lines(run: &Path) -> Result<Vec<Line>, ReplayError> {
    let path = run.join(RECORDING);
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(ReplayError::NoRecording { run: run.to_owned() });
        }
        opened => opened.map_err(|source| unreadable(&path, source))?,
    };
    let mut reader = BufReader::new(file.take(RECORDING_BYTES_MAX));
    let (mut lines, mut text) = (Vec::new(), Vec::new());
    loop {
        text.clear();
        reader
            .read_until(b'\n', &mut text)
            .map_err(|source| unreadable(&path, source))?;
        if text.last() != Some(&b'\n') {
            break;
        }
        let line =
            serde_json::from_slice(&text).map_err(|error| malformed(&path, lines.len() + 1, error.to_string()))?;
        lines.push(line);
    }
    match lines.first() {
        Some(Line {
            entry: Entry::Began { form, .. },
            ..
        }) if *form == FORM => Ok(lines),
        Some(Line {
            entry: Entry::Began { form, .. },
            ..
        }) => {
            let problem = format!("it has form {form}, and this bootgate reads form {FORM}");
            Err(malformed(&path, 1, problem))
        }
        _ => Err(malformed(&path, 1, "a recording begins with `began`".to_owned())),
    }
}

fn unreadable(file: &Path, source: io::Error) -> ReplayError {
    ReplayError::Unreadable {
        file: file.to_owned(),
        source,
    }
}

fn malformed(file: &Path, line: usize, problem: String) -> ReplayError {
    ReplayError::Malformed {
        file: file.to_owned(),
        line,
        problem,
    }
}

/// Reads pieces of the streams that a run has logged.
pub(super) struct Streams {
    run: PathBuf,
    open: Option<(PathBuf, File)>,
}

impl Streams {
    pub(super) fn new(run: &Path) -> Self {
        Self {
            run: run.to_owned(),
            open: None,
        }
    }

    /// The piece of a console's stream, of which `total` bytes came in all. Fails if not all of it was kept.
    pub(super) fn console(&mut self, name: &str, piece: (u64, u64), total: u64) -> io::Result<Vec<u8>> {
        let layout = LogLayout::new(self.path(name)?, SERIAL_LOG_HEAD_BYTES, SERIAL_LOG_TAIL_BYTES);
        let (mut offset, length) = piece;
        let end = offset + checked(length)?;
        let mut bytes = Vec::new();
        while offset < end {
            let (path, at) = layout.locate(offset, total).ok_or(ErrorKind::UnexpectedEof)?;
            let mut buffer = vec![0; usize::try_from(end - offset).map_err(io::Error::other)?];
            let count = self.file(path)?.read_at(&mut buffer, at)?;
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            bytes.extend_from_slice(&buffer[..count]);
            offset += count as u64;
        }
        Ok(bytes)
    }

    /// The piece of a plain file.
    pub(super) fn plain(&mut self, name: &str, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(checked(length)?).map_err(io::Error::other)?];
        let path = self.path(name)?;
        self.file(path)?.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let inside = Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if inside && !name.is_empty() {
            Ok(self.run.join(name))
        } else {
            Err(io::Error::other("it names a file outside of the run"))
        }
    }

    fn file(&mut self, path: PathBuf) -> io::Result<&File> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != path) {
            let file = File::open(&path)?;
            self.open = Some((path, file));
        }
        self.open
            .as_ref()
            .map(|(_, file)| file)
            .ok_or(ErrorKind::NotFound.into())
    }
}

fn checked(length: u64) -> io::Result<u64> {
    if length <= PIECE_BYTES_MAX {
        Ok(length)
    } else {
        Err(io::Error::other("the piece is too large"))
    }
}
