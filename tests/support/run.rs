//! Runs the program on a gate file, follows it, and reads what it left.
#![allow(dead_code, reason = "each test binary uses its part")]

#[path = "json_schema.rs"]
mod json_schema;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::follow::{Fault, Follow, Seen};
use crate::gate::GateFile;
use crate::keep::keep;
use crate::replay::assert_replays;
use json_schema::misfits;

/// A run that goes on.
pub(crate) struct Running {
    follow: Follow,
    controller: Pid,
    ended: Option<JoinHandle<Output>>,
    trace: Vec<Value>,
    faults: Vec<Fault>,
    folder: TempDir,
}

/// A run that has ended.
pub(crate) struct Run {
    /// Its evidence.
    pub(crate) path: PathBuf,
    /// The program's exit code.
    pub(crate) exit_code: i32,
    /// `result.json`.
    pub(crate) result: Value,
    /// The records of `trace.jsonl`.
    pub(crate) trace: Vec<Value>,
    /// The faults that the guest announced.
    pub(crate) faults: Vec<Fault>,
    /// What the program said.
    pub(crate) stderr: String,
    folder: TempDir,
}

/// Runs a gate from its start to its end.
pub(crate) fn run(gate: &GateFile) -> Run {
    start(gate).end()
}

/// Starts the program on a gate.
pub(crate) fn start(gate: &GateFile) -> Running {
    start_with(gate, &[], &[])
}

/// The same with more arguments and other variables of the environment.
pub(crate) fn start_with(gate: &GateFile, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut command = program(gate, folder.path(), &folder.path().join("runs"));
    command
        .args(arguments)
        .env_remove("CI")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let runs = folder.path().join("runs");
    std::fs::create_dir(&runs).unwrap();
    let ended = folder.path().join("ended");
    let follow = Follow::new(&runs, &ended);
    let child = command.spawn().unwrap();
    let controller = Pid::from_raw(child.id().try_into().unwrap());
    let wait = move || {
        let output = child.wait_with_output().unwrap();
        std::fs::write(ended, "").unwrap();
        output
    };
    Running {
        follow,
        controller,
        ended: Some(std::thread::spawn(wait)),
        trace: Vec::new(),
        faults: Vec::new(),
        folder,
    }
}

/// The command line of a run whose gate file lies in `folder` and whose evidence goes to `runs`.
pub(crate) fn program(gate: &GateFile, folder: &Path, runs: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bootgate"));
    // The job that runs the tests is not told of the runs that they make.
    command.env_remove("GITHUB_ACTIONS").env_remove("GITLAB_CI");
    command
        .arg("run")
        .arg(gate.write(folder))
        .arg("--runs")
        .arg(runs)
        .arg("--json");
    command
}

impl Running {
    /// Waits until the trace has a record that `wanted` is true for.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Value) -> bool) {
        loop {
            match self.next() {
                Seen::Trace(record) if wanted(&record) => return,
                Seen::Ended => panic!("the run ended before that: {}", story(&self.trace)),
                _ => {}
            }
        }
    }

    /// Waits until the machine is held; gives the run's directory.
    pub(crate) fn until_held(&mut self) -> PathBuf {
        self.until(|record| record["to"] == "Held");
        self.follow.run().unwrap().to_owned()
    }

    /// The run's directory.
    pub(crate) fn path(&self) -> PathBuf {
        self.follow.run().expect("there is a run directory").to_owned()
    }

    /// Waits for the end of a run that was killed: its folder, and what it said.
    pub(crate) fn end_without_result(mut self) -> (TempDir, Output) {
        while !matches!(self.next(), Seen::Ended) {}
        let output = self.ended.take().unwrap().join().unwrap();
        (
            std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap()),
            output,
        )
    }

    /// The program's process.
    pub(crate) fn controller(&self) -> Pid {
        self.controller
    }

    /// Sends a signal to the run's QEMU; tells when.
    pub(crate) fn signal_qemu(&self, signal: Signal) -> SystemTime {
        let path = self.follow.run().unwrap().join("qemu.json");
        let qemu: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let pid = i32::try_from(qemu["qemu"]["pid"].as_i64().unwrap()).unwrap();
        let now = SystemTime::now();
        kill(Pid::from_raw(pid), signal).unwrap();
        now
    }

    /// Waits for the run's end.
    pub(crate) fn end(mut self) -> Run {
        while !matches!(self.next(), Seen::Ended) {}
        let output = self.ended.take().unwrap().join().unwrap();
        let path = self.follow.run().expect("there is a run directory").to_owned();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        Run::read(&path, &output, std::mem::take(&mut self.faults), folder)
    }

    fn next(&mut self) -> Seen {
        let seen = self.follow.next();
        match &seen {
            Seen::Trace(record) => self.trace.push(record.clone()),
            Seen::Fault(fault) => self.faults.push(fault.clone()),
            Seen::Ended => {}
        }
        seen
    }
}

impl Drop for Running {
    /// A test that failed leaves no run behind.
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            let _ = kill(self.controller, Signal::SIGTERM);
            let _ = ended.join();
        }
    }
}

impl Run {
    /// Reads the run in `path`, which lies in `folder`.
    pub(crate) fn read(path: &Path, output: &Output, faults: Vec<Fault>, folder: TempDir) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let path = path.canonicalize().unwrap_or_else(|error| panic!("{error}: {stderr}"));
        let result = std::fs::read(path.join("result.json")).unwrap_or_else(|error| panic!("{error}: {stderr}"));
        let result: Value = serde_json::from_slice(&result).unwrap();
        let trace = std::fs::read_to_string(path.join("trace.jsonl")).unwrap();
        let trace = trace.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed, result, "what is printed is what is kept");
        Self {
            path,
            exit_code: output.status.code().expect("the program exits by itself"),
            result,
            trace,
            faults,
            stderr,
            folder,
        }
    }

    /// The whole run as text, for the message of an assertion.
    pub(crate) fn story(&self) -> String {
        format!(
            "{}\n{:#}\n{}",
            self.path.display(),
            self.result["verdict"],
            story(&self.trace)
        )
    }

    /// The records of one kind.
    pub(crate) fn records<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.trace.iter().filter(move |record| record["kind"] == kind)
    }

    /// The notes with this name.
    pub(crate) fn notes<'a>(&'a self, what: &'a str) -> impl Iterator<Item = &'a Value> {
        self.records("note").filter(move |record| record["what"] == what)
    }

    /// The transitions, as pairs of states.
    pub(crate) fn path_of_states(&self) -> Vec<(&str, &str)> {
        let transitions = self.records("transition");
        transitions
            .map(|record| (record["from"].as_str().unwrap(), record["to"].as_str().unwrap()))
            .collect()
    }

    /// The remarks of all stages.
    pub(crate) fn remarks(&self) -> Vec<&str> {
        let stages = self.result["stages"].as_array().unwrap();
        let remarks = stages.iter().flat_map(|stage| stage["remarks"].as_array().unwrap());
        remarks.map(|remark| remark.as_str().unwrap()).collect()
    }

    /// When the verdict was decided.
    pub(crate) fn verdict_at(&self) -> SystemTime {
        let verdict = self
            .records("verdict")
            .next()
            .unwrap_or_else(|| panic!("{}", self.story()));
        at(verdict)
    }

    /// How long after a moment the verdict was decided.
    pub(crate) fn verdict_after(&self, since: SystemTime) -> Duration {
        self.verdict_at().duration_since(since).unwrap_or_default()
    }

    /// When the verdict was decided, on the run's clock.
    pub(crate) fn verdict_at_us(&self) -> u64 {
        self.records("verdict").next().unwrap()["t_us"].as_u64().unwrap()
    }

    /// When QEMU told of an event first, on the run's clock.
    pub(crate) fn qmp_event_at_us(&self, name: &str) -> u64 {
        let transcript = String::from_utf8(self.read_file("qmp.jsonl")).unwrap();
        let told = format!(r#"\"event\": \"{name}\""#);
        let line = transcript.lines().find(|line| line.contains(&told));
        let line: Value = serde_json::from_str(line.unwrap_or_else(|| panic!("no {name}: {transcript}"))).unwrap();
        line["t_us"].as_u64().unwrap()
    }

    /// One line a row, to be collected as the table of figures.
    pub(crate) fn report(&self, row: &str, took: Option<Duration>) {
        let verdict = &self.result["verdict"];
        let figures = serde_json::json!({
            "row": row,
            "class": verdict["class"],
            "cause": verdict["cause"],
            "fault_to_verdict_ms": took.map(|took| u64::try_from(took.as_millis()).unwrap()),
            "run_ms": self.result["took_ms"],
        });
        println!("{figures}");
        keep(self, row);
    }

    /// A file of the evidence.
    pub(crate) fn read_file(&self, name: &str) -> Vec<u8> {
        let path = self.path.join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// What holds for the evidence of every run: it is whole, it is private, its parts agree, and each quotation stands
    /// where it is said to stand.
    pub(crate) fn audit(&self) {
        let (manifest, differences) = bootgate::evidence::verify_manifest(&self.path).unwrap();
        assert_eq!(
            (differences.len(), manifest.missing.len()),
            (0, 0),
            "{differences:?} {:?}",
            manifest.missing
        );
        assert_eq!(self.result["trace_records_lost"], 0);
        assert_eq!(self.result["verdict"]["exit_code"], self.exit_code);
        private(&self.path);
        let verdicts: Vec<_> = self.records("verdict").collect();
        assert_eq!(verdicts.len(), 1, "{}", self.story());
        for key in ["class", "cause", "stage", "state", "title"] {
            assert_eq!(verdicts[0][key], self.result["verdict"][key], "{}", self.story());
        }
        for evidence in self.trace.iter().map(|record| &record["evidence"]) {
            self.audit_evidence(evidence);
        }
        self.audit_forms();
        assert_replays(&self.path, &self.trace);
    }

    /// What is written for programs is what the schemas say.
    fn audit_forms(&self) {
        let schema = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
            serde_json::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap()
        };
        let (result, trace) = (schema("result.schema.json"), schema("trace.schema.json"));
        assert_eq!(misfits(&result, &self.result), [""; 0], "result.json");
        for record in &self.trace {
            assert_eq!(misfits(&trace, record), [""; 0], "trace.jsonl: {record}");
        }
    }

    fn audit_evidence(&self, evidence: &Value) {
        let Some(file) = evidence["file"].as_str() else { return };
        let bytes = self.read_file(file);
        let (Some(offset), Some(quote)) = (evidence["offset_bytes"].as_u64(), evidence["quote"].as_str()) else {
            return;
        };
        let there = &bytes[usize::try_from(offset).unwrap()..];
        let there = printable(&there[..there.len().min(4 * quote.len() + 256)]);
        assert!(
            there.starts_with(quote),
            "{file}@{offset} is not {quote:?} but {there:?}"
        );
    }
}

/// When a record of the trace was made.
pub(crate) fn at(record: &Value) -> SystemTime {
    let wall: jiff::Timestamp = record["wall"].as_str().unwrap().parse().unwrap();
    wall.into()
}

/// The text of raw console bytes without colours, up to the line's end.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let colours = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
    colours.replace_all(&text, "").into_owned()
}

fn private(path: &Path) {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    if metadata.is_symlink() {
        // A link has no mode; where it leads is looked at by who made it.
        return;
    }
    let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
    assert_eq!(metadata.permissions().mode() & 0o777, wanted, "{}", path.display());
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            private(&entry.unwrap().path());
        }
    }
}

fn story(trace: &[Value]) -> String {
    let records: Vec<_> = trace.iter().map(Value::to_string).collect();
    records.join("\n")
}

impl Drop for Run {
    /// The evidence of a test that failed is kept.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
            eprintln!("the run is kept in {}\n{}", folder.keep().display(), self.stderr);
        }
    }
}
