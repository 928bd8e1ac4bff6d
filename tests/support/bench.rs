//! A folder with a gate file, in which bootgate runs the gate or one stage of it.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::gate::GateFile;

/// The folder.
pub(crate) struct Bench {
    folder: TempDir,
}

/// What a run came to.
pub(crate) struct Outcome {
    /// The program's exit code.
    pub(crate) exit_code: i32,
    /// `result.json`.
    pub(crate) result: Value,
    /// The records of `trace.jsonl`.
    pub(crate) trace: Vec<Value>,
    /// Its evidence.
    pub(crate) path: PathBuf,
}

impl Bench {
    /// A folder with this gate in it.
    pub(crate) fn new(gate: &GateFile) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        gate.write(folder.path());
        Self { folder }
    }

    /// Lays a file beside the gate file.
    pub(crate) fn file(&self, name: &str, content: &str) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }

    /// A file or folder beside the gate file.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the whole gate.
    pub(crate) fn whole(&self) -> Outcome {
        self.run(&[])
    }

    /// Runs one stage, from where the run `from` has left off.
    pub(crate) fn step(&self, stage: &str, from: Option<&Path>) -> Outcome {
        let mut words = vec!["--stage", stage, "--no-bundle"];
        if let Some(from) = from {
            words.extend(["--from", from.to_str().unwrap()]);
        }
        self.run(&words)
    }

    fn run(&self, words: &[&str]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootgate"));
        command
            .args(["run", "gate.toml", "--json"])
            .args(words)
            .current_dir(self.folder.path())
            .env_remove("CI");
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let result: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("no result: {error}\n{told}"));
        let run = result["run"]
            .as_str()
            .unwrap_or_else(|| panic!("no run: {result:#}\n{told}"));
        let path = self.folder.path().join("runs").join(run);
        let trace = std::fs::read_to_string(path.join("trace.jsonl")).unwrap();
        Outcome {
            exit_code: output.status.code().expect("the program exits by itself"),
            trace: trace.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
            result,
            path,
        }
    }
}

impl Outcome {
    /// The whole run as text, for the message of an assertion.
    pub(crate) fn story(&self) -> String {
        let records: Vec<_> = self.trace.iter().map(Value::to_string).collect();
        format!("{:#}\n{}", self.result["verdict"], records.join("\n"))
    }

    /// A file of the evidence, as text.
    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path.join(name)).unwrap()).into_owned()
    }

    /// Whether the trace notes that a rule was matched.
    pub(crate) fn notes_rule(&self, id: &str) -> bool {
        let told = format!("(rule `{id}`)");
        let mut notes = self.trace.iter().filter(|record| record["what"] == "rule-matched");
        notes.any(|note| note["detail"].as_str().is_some_and(|detail| detail.contains(&told)))
    }

    /// When the machine first came to a state, in seconds after its first `cont`, which is power-on.
    pub(crate) fn seconds_to(&self, state: &str) -> Option<f64> {
        self.seconds_to_record(|record| record["kind"] == "transition" && record["to"] == state)
    }

    /// When somebody was let in for the first time, in seconds after power-on.
    pub(crate) fn seconds_to_login(&self) -> Option<f64> {
        self.seconds_to_record(|record| record["what"] == "ssh-probe" && record["detail"] == "logged-in")
    }

    fn seconds_to_record(&self, is_it: impl Fn(&Value) -> bool) -> Option<f64> {
        let at = |found: Option<&Value>| found?["t_us"].as_u64();
        let power_on = self.trace.iter().find(|record| record["to"] == "Booting");
        let microseconds = at(self.trace.iter().find(|record| is_it(record)))? - at(power_on)?;
        Some(std::time::Duration::from_micros(microseconds).as_secs_f64())
    }
}
