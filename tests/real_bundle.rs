//! A gate that fails in CI leaves one file, and that file alone is the machine again elsewhere: on every QEMU of this host.

#[path = "support/follow.rs"]
mod follow;
#[path = "support/gate.rs"]
mod gate;
#[path = "support/keep.rs"]
mod keep;
#[path = "support/qemu10.rs"]
mod qemu10;
#[path = "support/replay.rs"]
mod replay;
#[path = "support/run.rs"]
mod run;
#[path = "support/tiny.rs"]
mod tiny;
#[path = "support/window.rs"]
mod window;

use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use gate::{Boots, GateFile};
use qemu10::{Unpacked, qemu10};
use run::{Run, start_with};
use serde_json::Value;
use window::Window;

/// What the issue of a bundle promises for a guest of 2 GiB.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);
const SIZE_BYTES_MAX: u64 = 300 * 1024 * 1024;
/// From `resume` to the answer of SSH.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// Writes to the disk, and fails.
const INSTALLER: &str = "set -e; mkfs.ext4 -q /dev/vda; mkdir /tmp/t; mount -t ext4 /dev/vda /tmp/t; echo halfway > /tmp/t/state; sync; echo 1 > /tmp/state; exit 1";

/// A gate that fails under CI; with the packaged QEMU its disks lie in `scratch`.
fn failing(qemu: Option<&Unpacked>, scratch: &Path) -> Run {
    let mut gate = GateFile::new(Boots::Kernel);
    gate.put("gate", "bundled".into());
    gate.truncate(2);
    gate.set("machine.memory", "'2GiB'");
    gate.set("timeout-scale", "4.0");
    gate.put("stage.1.command", INSTALLER.into());
    gate.set("stage.1.pass", "['never printed']");
    gate.set("on-failure", "'hold'");
    if let Some(qemu) = qemu {
        gate.put("machine.qemu", qemu.binary.as_str().into());
        gate.put("machine.qemu-data", qemu.data.clone().into());
    } else {
        gate.put("host.scratch", scratch.to_str().unwrap().into());
    }
    start_with(&gate, &[], &[("CI", "true")]).end()
}

/// The window of a person who opens it.
const COLUMNS: u16 = 100;
const ROWS: u16 = 24;

/// What a terminal shows of it.
fn shown(written: &str) -> String {
    let size = |count| NonZeroU16::new(count).unwrap();
    let mut screen = vt100::Parser::new(size(ROWS), size(COLUMNS), 0);
    screen.process(written.as_bytes());
    screen.screen().contents()
}

/// A bundle in a folder of its own, far from the run.
struct Elsewhere {
    folder: tempfile::TempDir,
    bundle: PathBuf,
    qemu: Vec<String>,
}

impl Elsewhere {
    fn bootgate(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootgate"));
        command.args(words).current_dir(self.folder.path()).env_remove("CI");
        command.env("GUEST_PASSWORD", "tiny-live");
        command.output().unwrap()
    }

    #[track_caller]
    fn says(&self, words: &[&str]) -> String {
        let output = self.bootgate(words);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The processes that work in the folder.
    fn processes(&self) -> Vec<PathBuf> {
        let all = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        let works_here = |process: &PathBuf| {
            let place = std::fs::read_link(process.join("cwd"));
            place.is_ok_and(|place| place.starts_with(self.folder.path()))
        };
        all.filter(works_here).collect()
    }

    fn reopen<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut words = vec!["reopen", self.bundle.to_str().unwrap()];
        words.extend(self.qemu.iter().map(String::as_str));
        words.extend(more);
        words
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect()
}

/// Width, height and pixels of a PNG.
fn pixels(png: &Path) -> (u32, u32, Vec<u8>) {
    let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(png).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

fn assert_reopens_elsewhere(qemu: Option<&Unpacked>) -> Elsewhere {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let run = failing(qemu, scratch.path());
    let disk = run.path.join("disks/target.raw").canonicalize().unwrap();
    assert_eq!(disk.starts_with(scratch.path()), qemu.is_none(), "{}", disk.display());
    let verdict = &run.result["verdict"];
    assert_eq!(
        (verdict["class"].as_str(), run.exit_code),
        (Some("failed"), 1),
        "{verdict}"
    );
    assert!(
        run.stderr.contains("under CI=true a failed machine becomes a bundle"),
        "{}",
        run.stderr
    );
    let bundle = PathBuf::from(run.result["bundle"]["path"].as_str().unwrap());
    let metadata = std::fs::metadata(&bundle).unwrap();
    let written = metadata.modified().unwrap().duration_since(run.verdict_at()).unwrap();
    println!(
        "{{\"bundle_after_failure_ms\": {}, \"bundle_bytes\": {}}}",
        written.as_millis(),
        metadata.len()
    );
    assert!(written <= WRITTEN_WITHIN, "{written:?}");
    assert!(metadata.len() <= SIZE_BYTES_MAX, "{}", metadata.len());

    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let elsewhere = Elsewhere {
        bundle: folder.path().join("failed.tar.zst"),
        folder,
        qemu: qemu.map_or_else(Vec::new, |qemu| {
            let data = qemu.data.iter().flat_map(|dir| ["--qemu-data".to_owned(), dir.clone()]);
            ["--qemu".to_owned(), qemu.binary.clone()]
                .into_iter()
                .chain(data)
                .collect()
        }),
    };
    std::fs::rename(bundle, &elsewhere.bundle).unwrap();
    let registers = String::from_utf8(run.read_file("registers-1.txt")).unwrap();
    let screen = elsewhere.folder.path().join("screen.png");
    std::fs::write(&screen, run.read_file("screen-1.png")).unwrap();
    assert_tells_why_qemu_refuses(&elsewhere, &run);
    drop(run);

    assert_looks_once(&elsewhere, &registers);
    let opened = elsewhere.says(&elsewhere.reopen(&["--hold", "10m", "--password-env", "GUEST_PASSWORD", "--json"]));
    let opened: Value = serde_json::from_str(&opened).unwrap();
    assert_eq!(opened["guest"], "paused");
    let inspect = |words: &[&str]| {
        let mut all = vec!["inspect", "last"];
        all.extend(words);
        elsewhere.says(&all)
    };
    assert!(inspect(&[]).contains("command-failed"), "the evidence came along");
    let picture: Value = serde_json::from_str(&inspect(&["screenshot", "--json"])).unwrap();
    let (width, height, now) = pixels(Path::new(picture["path"].as_str().unwrap()));
    let (width_then, height_then, then) = pixels(&screen);
    assert_eq!((width, height), (width_then, height_then));
    let other = now.iter().zip(&then).filter(|(now, then)| now != then).count();
    // A text cursor that blinks is one cell of the screen.
    assert!(other * 500 < then.len(), "{other} of {} bytes differ", then.len());
    inspect(&["resume"]);
    let resumed = Instant::now();
    assert_eq!(inspect(&["ssh", "--", "cat /tmp/state"]), "1\n");
    assert!(resumed.elapsed() <= ANSWERS_WITHIN, "{:?}", resumed.elapsed());
    inspect(&["quit"]);
    assert_eq!(elsewhere.says(&["ps"]), "nothing runs and nothing is held\n");
    elsewhere
}

fn assert_looks_once(elsewhere: &Elsewhere, registers: &str) {
    let again = elsewhere.says(&elsewhere.reopen(&["registers"]));
    assert_eq!(lines(&again), lines(registers), "the guest is another");
    let files = elsewhere.says(&elsewhere.reopen(&["disk", "cat", "/state"]));
    assert_eq!(files, "halfway\n");
    let runs = std::fs::read_dir(elsewhere.folder.path().join("runs")).unwrap();
    assert_eq!(runs.count(), 0, "one look leaves nothing behind");
}

/// Of a saved run whose memory ends in the middle, with digests that are right all the same.
fn assert_tells_why_qemu_refuses(elsewhere: &Elsewhere, run: &Run) {
    let memory = run.path.join("checkpoint").join(bootgate::checkpoint::MEMORY_FILE);
    let stream = zstd::decode_all(&*std::fs::read(&memory).unwrap()).unwrap();
    let half = zstd::encode_all(&stream[..stream.len() / 2], 1).unwrap();
    std::fs::write(&memory, &half).unwrap();
    let machine = run.path.join("checkpoint/machine.json");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&machine).unwrap()).unwrap();
    let digest = bootgate::qemu::disk::digest(&memory, |_| std::ops::ControlFlow::Continue(()));
    record["memory"]["file"]["sha256"] = digest.unwrap().to_string().into();
    record["memory"]["file"]["size_bytes"] = half.len().into();
    std::fs::write(&machine, record.to_string()).unwrap();
    let mut words = elsewhere.reopen(&["registers"]);
    words[1] = run.path.to_str().unwrap();
    let refused = elsewhere.bootgate(&words);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(4), "{said}");
    let begin = "error: QEMU did not take the saved memory and devices: ";
    let why = said.strip_prefix(begin).unwrap_or_else(|| panic!("{said}"));
    assert!(
        why.starts_with("qemu-system-x86_64: ") && why.contains("load of migration failed"),
        "{said}"
    );
}

#[test]
fn a_failed_machine_is_opened_again_elsewhere() {
    let elsewhere = assert_reopens_elsewhere(None);
    assert_is_shown_at_a_terminal(&elsewhere);
}

/// A person opens the machine, makes the window wider, looks at the view, and ends it.
fn assert_is_shown_at_a_terminal(elsewhere: &Elsewhere) {
    let mut command = Command::new("setsid");
    command.args(["--ctty", env!("CARGO_BIN_EXE_bootgate")]);
    command.args(elsewhere.reopen(&[])).current_dir(elsewhere.folder.path());
    for job in ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "NO_COLOR", "LC_ALL", "LC_CTYPE"] {
        command.env_remove(job);
    }
    command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
    let mut window = Window::open(command, None);
    window.resize(60, ROWS);
    let opening = window.until("\x1b[36m \u{25b6} \x1b[m");
    assert!(shown(&opening).starts_with("── failed.tar.zst ──"), "{opening:?}");
    window.resize(COLUMNS, ROWS);
    let held = window.until(" more; the machine stands paused at the failure");
    window.press(b"\x03");
    let (code, written) = window.ends_with_all();
    assert_eq!(code, 0, "{written:?}");
    let after = &written[held.len()..];
    assert!(
        after.contains("A\x1b[K\r\n\x1b[J") && after.ends_with("\x1b[?2026l"),
        "the view is gone: {after:?}"
    );
    let view = shown(&held);
    assert!(view.contains(&"─".repeat(60)), "it is as wide as the window:\n{view}");
    let words = shown(&written);
    assert!(
        words.starts_with("Reopened: the machine stands where it failed (paused), opened in ")
            && words.ends_with("\nThe hold has ended; the machine is gone, the bundle is as it was."),
        "{words}"
    );
    assert_eq!(elsewhere.says(&["ps"]), "nothing runs and nothing is held\n");
    let left = elsewhere.processes();
    assert!(left.is_empty(), "a QEMU is left: {left:?}");
}

/// A run that is about to save its machine of 2 GiB.
fn saving() -> run::Running {
    let mut gate = GateFile::new(Boots::Kernel);
    gate.put("gate", "interrupted".into());
    gate.truncate(2);
    gate.set("machine.memory", "'2GiB'");
    gate.put("stage.1.command", "exit 1".into());
    gate.set("stage.1.pass", "['never printed']");
    gate.set("on-failure", "'bundle'");
    let mut run = start_with(&gate, &[], &[]);
    run.until(|record| record["to"] == "Saving");
    run
}

/// Nothing that could be taken for a machine is there.
fn assert_not_saved(run: &Path) {
    let checkpoint = run.join("checkpoint");
    let names: Vec<_> = std::fs::read_dir(&checkpoint)
        .map(|entries| {
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        })
        .unwrap_or_default();
    assert!(!names.iter().any(|name| name == "machine.json"), "{names:?}");
    for suffix in [".tar.zst", ".evidence.tar.zst"] {
        let mut bundle = run.as_os_str().to_owned();
        bundle.push(suffix);
        assert!(!Path::new(&bundle).exists(), "there is a bundle");
    }
}

#[test]
fn sigterm_while_the_machine_is_saved() {
    let run = saving();
    let asked = Instant::now();
    nix::sys::signal::kill(run.controller(), nix::sys::signal::Signal::SIGTERM).unwrap();
    let run = run.end();
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(run.exit_code, 1, "the verdict stands: {}", run.story());
    assert_eq!(run.result["verdict"]["cause"], "command-failed");
    assert!(
        run.result["bundle"]["missing"].as_str().unwrap().contains("signal"),
        "{}",
        run.result
    );
    assert_not_saved(&run.path);
    run.audit();
}

#[test]
fn kill_while_the_machine_is_saved() {
    let run = saving();
    let path = run.path();
    nix::sys::signal::kill(run.controller(), nix::sys::signal::Signal::SIGKILL).unwrap();
    let (_folder, output) = run.end_without_result();
    assert_eq!(output.status.code(), None);
    assert_not_saved(&path);
    for file in ["screen-1.png", "registers-1.txt", "machine-1.json", "trace.jsonl"] {
        assert!(path.join(file).metadata().unwrap().len() > 0, "{file}");
    }
    let bootgate = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootgate"));
        command.args(words).output().unwrap()
    };
    let run = path.to_str().unwrap();
    let trace = bootgate(&["trace", run]);
    let trace = String::from_utf8_lossy(&trace.stdout).into_owned();
    assert!(
        trace.contains("Capturing → Saving") && trace.contains("command-failed"),
        "{trace}"
    );
    let reopened = bootgate(&["reopen", run, "registers"]);
    assert_eq!(reopened.status.code(), Some(2));
    let said = String::from_utf8_lossy(&reopened.stderr).into_owned();
    assert!(said.contains("was not saved"), "{said}");
}

#[test]
fn the_same_on_qemu10() {
    let Some(qemu) = qemu10() else {
        return;
    };
    assert_reopens_elsewhere(Some(&qemu));
}
