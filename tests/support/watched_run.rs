//! A bootgate that is watched from outside, like any other program: by its standard output, by `/proc`, by what it leaves.
#![allow(dead_code, reason = "not every test binary needs all of it")]

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use bootgate::evidence::RunRecord;
use bootgate::procfs::{self, ProcessGrip, ProcessIdentity};
use rustix::process::Signal;

/// How long a line may be awaited: eight guests at once on two cores take this long.
const PATIENCE: Duration = Duration::from_secs(240);
/// The promise: nothing of a run is left this long after the death of its bootgate.
pub(crate) const ORPHAN_MAX: Duration = Duration::from_secs(2);

/// The program under test.
pub(crate) const BOOTGATE: &str = env!("CARGO_BIN_EXE_bootgate");

/// The directory with the tiny guest's `tiny.iso`, `vmlinuz` and `initrd`. Built at the first use.
pub(crate) fn tiny() -> &'static Path {
    static TINY: OnceLock<PathBuf> = OnceLock::new();
    TINY.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/guests/tiny/build.sh");
        let built = Command::new(&script).arg("--print-path").output().unwrap();
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(
            built.status.success(),
            "the tiny guest can't be built; install what is missing: make deps\n{said}"
        );
        let iso = PathBuf::from(String::from_utf8(built.stdout).unwrap().trim_end());
        iso.parent().unwrap().to_owned()
    })
}

/// A directory of its own in which runs are made: it holds their gates, and below `runs` what they leave. Every process
/// of these runs works in it, so that none can hide from the test.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::Builder::new().prefix("bootgate-own-").tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn runs(&self) -> PathBuf {
        self.path().join("runs")
    }

    /// Writes a file and gives its path.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// `bootgate ARGUMENTS --runs RUNS`, working here, with no terminal and no signals of its neighbours.
    pub(crate) fn bootgate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BOOTGATE);
        command.args(arguments).arg("--runs").arg(self.runs());
        command.current_dir(self.path()).process_group(0).stdin(Stdio::null());
        command
    }

    /// The same to its end.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        self.bootgate(arguments).output().unwrap()
    }

    /// Every process that works in this directory.
    pub(crate) fn processes(&self) -> Vec<ProcessIdentity> {
        let here = self.path().canonicalize().unwrap();
        let works_here = |pid: &u32| {
            // A process that has ended and was not reaped works nowhere.
            std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|directory| directory.starts_with(&here))
        };
        let pids = procfs::all_pids().unwrap().into_iter().filter(works_here);
        pids.filter_map(|pid| ProcessIdentity::of(pid).ok()).collect()
    }

    /// The virtual machines among them.
    pub(crate) fn machines(&self) -> Vec<ProcessIdentity> {
        let mut machines = self.processes();
        machines.retain(|process| uuid_of(process.pid).is_some());
        machines
    }

    /// Passes if what works here ends within the promise.
    #[track_caller]
    pub(crate) fn assert_deserted_since(&self, death: Instant) {
        for process in self.processes() {
            let Some(grip) = ProcessGrip::take(process).unwrap() else {
                continue;
            };
            let left = (death + ORPHAN_MAX).saturating_duration_since(Instant::now());
            let arguments = procfs::arguments(process.pid).unwrap_or_default();
            let words: Vec<_> = arguments.iter().map(|word| String::from_utf8_lossy(word)).collect();
            assert!(
                grip.wait_until_gone(left).unwrap(),
                "still there after {ORPHAN_MAX:?}: {process} {words:?}"
            );
        }
        assert_eq!(self.processes(), [], "something was started after the death");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A failed test leaves nothing running either.
        for process in self.processes() {
            if let Ok(Some(grip)) = ProcessGrip::take(process) {
                let _ = grip.signal(Signal::KILL);
            }
        }
    }
}

/// The word after `-uuid` on a process's command line.
pub(crate) fn uuid_of(pid: u32) -> Option<String> {
    let arguments = procfs::arguments(pid).ok()?;
    let at = arguments.iter().position(|word| word == b"-uuid")?;
    String::from_utf8(arguments.get(at + 1)?.clone()).ok()
}

/// A `bootgate run` that goes on.
pub(crate) struct Watched {
    process: Child,
    grip: ProcessGrip,
    lines: mpsc::Receiver<String>,
    /// What it has printed so far.
    pub(crate) seen: Vec<String>,
    /// What it printed on standard error, complete when it has ended.
    pub(crate) stderr: PathBuf,
    runs: PathBuf,
    status: Option<ExitStatus>,
}

impl Watched {
    /// Runs a gate, given as its text.
    pub(crate) fn start(place: &Place, gate: &str) -> Self {
        Self::start_as(place, gate, |_| {})
    }

    /// The same with changes to the command, such as its environment.
    pub(crate) fn start_as(place: &Place, gate: &str, dress: impl FnOnce(&mut Command)) -> Self {
        let number = std::fs::read_dir(place.path()).unwrap().count();
        let gate = place.write(&format!("gate-{number}.toml"), gate);
        let mut command = place.bootgate(&["run", gate.to_str().unwrap()]);
        dress(&mut command);
        Self::spawn(place, command, number)
    }

    /// Watches a command that is, or ends as, a `bootgate run` with its output on standard output.
    pub(crate) fn spawn(place: &Place, mut command: Command, number: usize) -> Self {
        let stderr = place.path().join(format!("stderr-{number}.txt"));
        command.stdout(Stdio::piped());
        command.stderr(std::fs::File::create(&stderr).unwrap());
        let mut process = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self::of(place, process, lines, stderr)
    }

    /// Watches a command whose output goes somewhere else, so that none of its lines is seen.
    pub(crate) fn spawn_unheard(place: &Place, mut command: Command) -> Self {
        let process = command.spawn().unwrap();
        Self::of(place, process, mpsc::channel().1, PathBuf::new())
    }

    fn of(place: &Place, process: Child, lines: mpsc::Receiver<String>, stderr: PathBuf) -> Self {
        let grip = ProcessGrip::take(ProcessIdentity::of(process.id()).unwrap());
        Self {
            process,
            grip: grip.unwrap().expect("bootgate ended at once"),
            lines,
            seen: Vec::new(),
            stderr,
            runs: place.runs(),
            status: None,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it prints a line with these words.
    #[track_caller]
    pub(crate) fn until(&mut self, words: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.seen.push(line);
                    let line = self.seen.last().unwrap();
                    if line.contains(words) {
                        return line.clone();
                    }
                }
                Err(why) => panic!("`{words}` was not printed ({why}):\n{}", self.told()),
            }
        }
    }

    /// All that it has said.
    pub(crate) fn told(&self) -> String {
        let errors = std::fs::read_to_string(&self.stderr).unwrap_or_default();
        format!("{}\n{errors}", self.seen.join("\n"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.grip.signal(signal).unwrap();
    }

    /// True if it ends within this time.
    pub(crate) fn ends_within(&self, limit: Duration) -> bool {
        self.grip.wait_until_gone(limit).unwrap()
    }

    /// Waits for its end: the exit code, or 128 and the number of the signal that killed it.
    #[track_caller]
    pub(crate) fn ends(&mut self, within: Duration) -> i32 {
        let asked = Instant::now();
        assert!(
            self.ends_within(within),
            "bootgate did not end within {within:?}:\n{}",
            self.told()
        );
        let status = self.process.wait().unwrap();
        self.status = Some(status);
        self.seen.extend(self.lines.iter());
        eprintln!("bootgate {} ended after {:?}", self.pid(), asked.elapsed());
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }

    /// Waits for its end however long that takes, and asks for the exit code 0.
    #[track_caller]
    pub(crate) fn passes(&mut self) {
        let code = self.ends(PATIENCE);
        assert_eq!(code, 0, "{}", self.told());
    }

    /// The name of its run, from its first line.
    #[track_caller]
    pub(crate) fn id(&mut self) -> String {
        let words = "  run ";
        if !self.seen.iter().any(|line| line.contains(words)) {
            self.until(words);
        }
        let line = self.seen.iter().find(|line| line.contains(words)).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    }

    /// Its run on the disk.
    #[track_caller]
    pub(crate) fn record(&mut self) -> RunRecord {
        let id = self.id();
        RunRecord::read(&self.runs.join(id)).unwrap()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}
