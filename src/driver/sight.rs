//! The last that the guest has said, for whoever watches the run: kept up to date by those who hear it, asked at any time.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::serial::console::Console;
use crate::serial::splitter::Splitter;
use crate::text::{Redactor, Untrusted};
use crate::view::{ProgressReader, Seen};

/// How much of a line is kept, in bytes.
const LINE_BYTES_MAX: usize = 1024;

/// A handle to what the guest has said last. Clones share it; none waits for long.
#[derive(Clone)]
pub struct Sight {
    redactor: Redactor,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    console: Option<Console>,
    /// The output of the command that runs, or of the one that ran last in this stage.
    splitter: Splitter,
    reader: ProgressReader,
    line: Option<Untrusted>,
}

impl Sight {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            shared: Arc::default(),
        }
    }

    /// The console of the machine that runs now.
    pub(super) fn console(&self, console: Console) {
        self.lock().console = Some(console);
    }

    /// A stage has begun, whose command has printed nothing.
    pub(super) fn begin_stage(&self) {
        let mut shared = self.lock();
        *shared = Shared {
            console: shared.console.take(),
            ..Shared::default()
        };
    }

    /// The command of the stage has printed something.
    pub(super) fn output(&self, bytes: &[u8]) {
        let mut shared = self.lock();
        let Shared {
            splitter, reader, line, ..
        } = &mut *shared;
        splitter.feed(bytes, |found| {
            if !reader.take(found.text) && !found.text.trim().is_empty() {
                let text = found.text.as_bytes();
                *line = Some(Untrusted::new(&text[..text.len().min(LINE_BYTES_MAX)]));
            }
        });
    }

    /// What was said last, without secrets.
    pub fn look(&self) -> Seen {
        let (console, line, progress) = {
            let mut shared = self.lock();
            let Shared { splitter, reader, .. } = &mut *shared;
            if let Some(tail) = splitter.tail() {
                reader.peek(tail.text);
            }
            (
                shared.console.clone(),
                shared.line.clone(),
                shared.reader.progress().cloned(),
            )
        };
        let clean = |text: &[u8]| Untrusted::new(self.redactor.redact(text));
        let progress = progress.map(|mut progress| {
            let what = self.redactor.redact(progress.what.as_bytes());
            progress.what = String::from_utf8_lossy(&what).into_owned();
            progress
        });
        Seen {
            console: console
                .and_then(|console| console.last_line())
                .map(|line| clean(line.as_bytes())),
            output: line.map(|line| clean(line.as_bytes())),
            progress,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sight").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Secret;

    #[test]
    fn what_a_command_says_last_is_seen_without_secrets_and_bounded() {
        let secret = Secret::new("tr0ub4dor".to_owned());
        let sight = Sight::new(Redactor::new([&secret]));
        sight.output(b"{\"message\":\"hash tr0ub4dor\",\"percent\":7}\npassword is tr0ub4dor\n\n half");
        let seen = sight.look();
        assert_eq!(seen.output.unwrap().as_bytes(), b"password is ***");
        assert_eq!(
            seen.progress.map(|progress| (progress.percent, progress.what)),
            Some((7, "hash ***".to_owned()))
        );
        sight.output(&[b'x'; 5000]);
        sight.output(b"\n");
        assert_eq!(sight.look().output.unwrap().as_bytes().len(), LINE_BYTES_MAX);
        sight.begin_stage();
        assert_eq!(sight.look(), Seen::default());
        for piece in ["Formatting ... 10%", "... 20%"] {
            sight.output(piece.as_bytes());
            sight.look();
        }
        assert_eq!(sight.look().progress.map(|progress| progress.percent), Some(20));
    }
}
