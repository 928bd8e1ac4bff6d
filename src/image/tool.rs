//! The programs that read and write images, each with the package that has it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::qemu::binary::locate;
use crate::qemu::child::{self, Finished, Limits};
use crate::text::terminal_line;

use super::error::ImageError;

/// How much of a program's complaint is quoted, in characters.
const COMPLAINT_CHARS_MAX: usize = 300;
/// Bytes of an answer that is a line or two.
const SHORT_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tool {
    pub(super) program: &'static str,
    package: &'static str,
}

pub(super) const XORRISO: Tool = tool("xorriso", "xorriso");
pub(super) const UNSQUASHFS: Tool = tool("unsquashfs", "squashfs-tools");
pub(super) const SQFS2TAR: Tool = tool("sqfs2tar", "squashfs-tools-ng");
pub(super) const TAR2SQFS: Tool = tool("tar2sqfs", "squashfs-tools-ng");

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

impl Tool {
    /// A command of the program; an error that names the package if it is not installed.
    pub(super) fn command(self) -> Result<Command, ImageError> {
        let program = locate(Path::new(self.program)).map_err(|_| ImageError::ToolMissing {
            program: self.program,
            package: self.package,
        })?;
        Ok(Command::new(program))
    }

    /// Runs the program; gives its standard output. Whatever it is fed, it ends within `within` and prints at most
    /// `bytes_max`.
    pub(super) fn output(
        self,
        command: Command,
        doing: &str,
        within: Duration,
        bytes_max: usize,
    ) -> Result<Vec<u8>, ImageError> {
        let finished = self.run(command, doing, within, bytes_max)?;
        if finished.succeeded() {
            return Ok(finished.stdout);
        }
        Err(self.failed(doing, finished.how(), &finished.stderr))
    }

    /// The program's version, as it says it itself.
    pub(super) fn version(self) -> Result<String, ImageError> {
        let mut command = self.command()?;
        command.arg(if self == UNSQUASHFS || self == XORRISO {
            "-version"
        } else {
            "--version"
        });
        let finished = self.run(
            command,
            "telling its version",
            Duration::from_secs(10),
            SHORT_ANSWER_BYTES_MAX,
        )?;
        let text = [finished.stdout, finished.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = text.lines().find(|line| line.contains(|c: char| c.is_ascii_digit()));
        Ok(terminal_line(line.unwrap_or_default().trim(), COMPLAINT_CHARS_MAX))
    }

    pub(super) fn failed(self, doing: &str, how: String, stderr: &[u8]) -> ImageError {
        let text = String::from_utf8_lossy(stderr);
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let weighty = ["FATAL", "FAILURE", "SORRY", "rror"];
        let told = lines
            .clone()
            .find(|line| weighty.iter().any(|word| line.contains(word)));
        let line = told.or_else(|| lines.next_back()).unwrap_or_default();
        ImageError::ToolFailed {
            program: self.program,
            how,
            doing: doing.to_owned(),
            complaint: terminal_line(line, COMPLAINT_CHARS_MAX),
        }
    }

    fn run(
        self,
        command: Command,
        doing: &str,
        deadline: Duration,
        stdout_bytes_max: usize,
    ) -> Result<Finished, ImageError> {
        let limits = Limits {
            deadline,
            stdout_bytes_max,
        };
        let failed = |error: std::io::Error| self.failed(doing, format!("could not be run: {error}"), b"");
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
        runtime.block_on(child::run(command, limits)).map_err(failed)
    }
}
