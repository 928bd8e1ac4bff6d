//! One run of the real program with the fake as its QEMU.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use crate::player::{PLACE, UUID, fixture};
use crate::story::Story;

/// No run of these tests may last longer: a longer one hangs.
const RUN_WITHIN: Duration = Duration::from_secs(60);
/// Memory that bootgate may have at its highest, in MiB.
const PEAK_MIB_MAX: u64 = 96;

/// The stages of a gate, as they are written.
pub(crate) const MARKER: &str =
    "[[stage]]\nname = \"boot-live\"\nkind = \"boot\"\ntimeout = \"20s\"\nclaims = \"marker\"\n";
pub(crate) const LOGIN: &str = "[[stage]]\nname = \"boot-live\"\nkind = \"boot\"\ntimeout = \"20s\"\n";
pub(crate) const INSTALL: &str = "[[stage]]\nname = \"install\"\nkind = \"command\"\ntimeout = \"20s\"\nno-progress = \"10s\"\n\
     command = \"echo installed; exit $STATUS\"\npass = [\"installed\"]\nfail = [\"No space left\"]\n";
pub(crate) const INSTALLED: &str = "[[stage]]\nname = \"installed\"\nkind = \"installed-boot\"\ntimeout = \"20s\"\n\
     target = \"Reached target graphical\"\nlogin-settle = \"1s\"\n";

/// A folder with a gate, an image, and a QEMU that plays stories.
pub(crate) struct Bench {
    place: TempDir,
    name: String,
}

/// What a run came to.
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) result: Value,
    pub(crate) trace: Vec<Value>,
    pub(crate) printed: String,
    pub(crate) run: PathBuf,
    _place: TempDir,
}

impl Bench {
    /// A gate with these stages; `ssh` is its `[ssh]` table, or empty. One story a machine.
    pub(crate) fn new(name: &str, ssh: &str, stages: &[&str], stories: &[Story]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        fs::write(path.join("live.iso"), [0; 4096]).unwrap();
        let wrapper = path.join("qemu-system-x86_64");
        fs::write(&wrapper, script(path, &stories[0].version)).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        for (story, number) in stories.iter().zip(1..) {
            let text = serde_json::to_vec(story).unwrap();
            fs::write(path.join(format!("story-{number}.json")), text).unwrap();
        }
        let gate = format!(
            "gate = \"fake\"\non-failure = \"discard\"\ntimeout-scale = 1.0\n[image]\niso = \"live.iso\"\n\
             [machine]\nfirmware = \"bios\"\ncpus = 1\nmemory = \"128MiB\"\naccelerator = \"tcg\"\nqemu = \"{}\"\n\
             [[disk]]\nname = \"target\"\nsize = \"16MiB\"\n\
             [console]\nmarkers = [\"LIVE-READY\"]\nfail = [\"BUG: \"]\n{ssh}\n{}",
            wrapper.display(),
            stages.join("")
        );
        fs::write(path.join("gate.toml"), gate).unwrap();
        Self {
            place,
            name: name.to_owned(),
        }
    }

    /// The program as a person at a terminal starts it, whose keys send signals.
    pub(crate) fn at_a_terminal(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new("setsid");
        command.args([
            "--ctty",
            env!("CARGO_BIN_EXE_bootgate"),
            "run",
            "gate.toml",
            "--runs",
            "runs",
        ]);
        command.args(arguments).current_dir(self.place.path());
        for job in ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "NO_COLOR", "LC_ALL", "LC_CTYPE"] {
            command.env_remove(job);
        }
        command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
        command
    }

    /// Where its files are.
    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    /// From now on the QEMU answers questions, but refuses to start a machine with these words.
    pub(crate) fn refuse(&self, words: &str) {
        let wrapper = self.place.path().join("qemu-system-x86_64");
        let script = fs::read_to_string(&wrapper).unwrap();
        let (questions, _) = script.split_once("\nwhile ").unwrap();
        fs::write(&wrapper, format!("{questions}\necho '{words}' >&2\nexit 1\n")).unwrap();
    }

    /// Runs the gate to its end.
    pub(crate) async fn run(self) -> Finished {
        self.watched(None).await
    }

    /// Runs the gate and sends bootgate a signal as soon as it has printed a line with this text.
    pub(crate) async fn interrupted_when(self, text: &str, signal: Signal) -> Finished {
        self.watched(Some((text, signal))).await
    }

    async fn watched(self, interruption: Option<(&str, Signal)>) -> Finished {
        let path = self.place.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootgate"));
        command
            .args(["run", "gate.toml", "--json", "--runs", "runs"])
            .current_dir(path);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
        let (mut stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (mut printed, mut result, mut peak_kib) = (String::new(), Vec::new(), 0);
        let read = async {
            let mut lines = BufReader::new(stderr).lines();
            let mut interruption = interruption;
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, signal)) = interruption.take_if(|(text, _)| line.contains(*text)) {
                    kill(pid, signal).unwrap();
                }
                // The highest so far; the last line is that of the last state.
                peak_kib = peak_rss_kib(pid).unwrap_or(peak_kib);
                printed.push_str(&line);
                printed.push('\n');
            }
        };
        let run = async { tokio::join!(read, stdout.read_to_end(&mut result), child.wait()).2 };
        let status = tokio::time::timeout(RUN_WITHIN, run).await;
        let status = status.unwrap_or_else(|_| panic!("{} hangs", self.name)).unwrap();
        let result = serde_json::from_slice(&result)
            .unwrap_or_else(|error| panic!("{}: no result: {error}\n{printed}", self.name));
        assert!(!printed.contains("panicked at"), "{}\n{printed}", self.name);
        let run = fs::read_dir(path.join("runs")).unwrap().next().unwrap().unwrap().path();
        let trace = fs::read_to_string(run.join("trace.jsonl")).unwrap();
        let trace: Vec<Value> = trace.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        crate::replay_support::assert_replays(&run, &trace);
        assert!(peak_kib / 1024 <= PEAK_MIB_MAX, "{}: {peak_kib} KiB", self.name);
        let code = status.code().unwrap_or_else(|| panic!("{}: {}", self.name, status));
        Finished {
            code,
            result,
            trace,
            printed,
            run,
            _place: self.place,
        }
    }
}

impl Finished {
    /// `class cause state` and the exit code.
    pub(crate) fn verdict(&self) -> String {
        let verdict = &self.result["verdict"];
        let word = |key: &str| verdict[key].as_str().unwrap_or("nothing").to_owned();
        format!("{} {} {} {}", word("class"), word("cause"), word("state"), self.code)
    }

    #[track_caller]
    pub(crate) fn comes_to(self, wanted: &str) -> Self {
        assert_eq!(self.verdict(), wanted, "{}\n{:#}", self.printed, self.result["verdict"]);
        self
    }

    /// The states, in the order of the trace.
    pub(crate) fn states(&self) -> Vec<&str> {
        let entered = self.trace.iter().filter(|record| record["kind"] == "transition");
        entered.filter_map(|record| record["to"].as_str()).collect()
    }

    /// The records of one name: an event of a transition, or what a note says.
    pub(crate) fn records(&self, name: &str) -> Vec<&Value> {
        let named = self
            .trace
            .iter()
            .filter(|record| record["event"] == name || record["what"] == name);
        named.collect()
    }

    /// A file of the run.
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.run.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// True if the run is whole, whatever its verdict.
    pub(crate) fn has_manifest(&self) -> bool {
        self.run.join("manifest.json").is_file()
    }
}

fn peak_rss_kib(pid: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Questions are answered from recordings; a machine is this test binary again, which gets the QMP socket as its standard
/// input and the serial console as its standard error.
fn script(place: &Path, version: &str) -> String {
    let (answers, own) = (fixture(&format!("qemu/{version}")), std::env::current_exe().unwrap());
    let (answers, own, place) = (answers.display(), own.display(), place.display());
    format!(
        r#"#!/usr/bin/env bash
set -euo pipefail
case "$*" in
  --version) exec cat '{answers}/version.txt' ;;
  -help) exec cat '{answers}/help.txt' ;;
  *'-device help') exec cat '{answers}/device.txt' ;;
  '-accel help') exec cat '{answers}/accel.txt' ;;
  *'-machine help') exec cat '{answers}/machine.txt' ;;
esac
while (($#)); do
  case $1 in
    socket,id=qmp,fd=*) qmp=${{1##*=}} ;;
    socket,id=serial,fd=*) serial=${{1##*=}} ;;
    -uuid) {UUID}=$2 ;;
  esac
  shift
done
export {UUID} {PLACE}='{place}'
exec '{own}' --exact player::role_plays_qemu --nocapture <&"$qmp" >/dev/null 2>&"$serial"
"#
    )
}
