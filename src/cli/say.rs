//! What the commands print. A reader that has gone away (`bootgate trace | head -1`) ends nothing and breaks nothing:
//! the macros of the standard library would panic.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

/// The exit code of an answer that could not be given: the host's fault.
const EXIT_UNSAID: u8 = 4;

/// Prints a command's answer, as it is, on standard output. Success, also if the reader has gone away: it has read what
/// it wanted. Otherwise (the disk behind a redirection is full) the answer is lost, which is told and is no success.
#[must_use]
pub(super) fn answer(text: impl Display) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            tell(format_args!("error: standard output can't be written: {error}"));
            ExitCode::from(EXIT_UNSAID)
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Prints a line for the person, on standard error. Whether anybody reads it is not our business.
pub(super) fn tell(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints text for the person as it is, on standard error.
pub(super) fn aside(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// True if standard error shows colours: it is a terminal that can, and nobody has set `NO_COLOR` (no-color.org).
pub(super) fn is_coloured() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stderr().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}
