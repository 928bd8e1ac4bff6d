//! Runs bootgate as a user does.

#![allow(dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The top of the repository.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What a user saw.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// bootgate with these arguments, in the repository, without the settings of whoever runs the tests. Help is wrapped at
/// 100 columns because no stream is a terminal.
pub(crate) fn bootgate<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bootgate"));
    command.args(arguments).current_dir(ROOT).stdin(Stdio::null());
    let settings = ["BOOTGATE_RUNS", "BOOTGATE_LOG", "COLUMNS", "NO_COLOR", "CLICOLOR_FORCE"];
    // Of a CI job that runs the tests.
    let job = [
        "GITHUB_ACTIONS",
        "GITHUB_STEP_SUMMARY",
        "GITHUB_OUTPUT",
        "GITHUB_WORKSPACE",
        "GITLAB_CI",
    ];
    for name in settings.into_iter().chain(job) {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end.
pub(crate) fn see(command: &mut Command) -> Seen {
    let Output { status, stdout, stderr } = command.output().expect("the binary is built before its tests");
    let text = |bytes| String::from_utf8(bytes).expect("bootgate prints UTF-8");
    Seen {
        code: status.code(),
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

/// Runs bootgate with these arguments to its end.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Seen {
    see(&mut bootgate(arguments))
}

impl Seen {
    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// All of it as one text, with the names of this machine replaced.
    pub(crate) fn page(&self, names: &[(&Path, &str)]) -> String {
        let code = self.code.map_or("killed".to_owned(), |code| code.to_string());
        let page = format!("{}--- stderr\n{}--- exit {code}\n", self.stdout, self.stderr);
        names.iter().fold(page, |page, (path, name)| {
            page.replace(path.to_str().expect("a path of a test is UTF-8"), name)
        })
    }
}

/// A file of a gate in a directory of its own.
pub(crate) struct Gate {
    pub(crate) directory: tempfile::TempDir,
}

impl Gate {
    /// `gate.toml` with this text.
    pub(crate) fn new(text: &str) -> Self {
        let gate = Self {
            directory: tempfile::tempdir().expect("a directory can be made"),
        };
        gate.file("gate.toml", text.as_bytes());
        gate
    }

    /// Makes another file beside it.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a directory")).expect("a directory can be made");
        std::fs::write(&path, bytes).expect("a file can be written");
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// bootgate in that directory, where it also keeps its runs.
    pub(crate) fn bootgate(&self, arguments: &[&str]) -> Command {
        let mut command = bootgate(arguments);
        command.current_dir(self.path());
        command
    }

    /// The names of everything in the directory.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).expect("a directory can be listed");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}
