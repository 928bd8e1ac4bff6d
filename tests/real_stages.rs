//! A gate in four steps: each stage in a process of its own, its runs moved in between, or its bundle on another machine.

#[path = "support/qemu10.rs"]
mod qemu10;
#[path = "support/tiny.rs"]
mod tiny;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use qemu10::qemu10;
use serde_json::Value;
use tempfile::TempDir;
use tiny::tiny;

/// What every gate here begins with, behind its image.
const SETTINGS: &str = r#"
gate = "steps"
timeout-scale = 4.0
on-failure = "discard"

[[disk]]
name = "target"
size = "1GiB"

[console]
markers = ["BOOTGATE-LIVE-READY"]

[ssh]
user = "root"
password = { env = "GUEST_PASSWORD" }
"#;
const BOOT: &str = r#"
[[stage]]
name = "boot-live"
kind = "boot"
timeout = "3m"
"#;
/// Ends in the middle of an installation; tests nothing here.
const EXPORT: &str = r#"
[[stage]]
name = "export"
kind = "command"
command = "tiny-install; echo never reached"
until = ["Formatting file systems"]
fail = ["No space left on device", "never reached"]
only-tests-if = { command = "test -e /run/small", because = "with more memory the bug hides" }
timeout = "3m"
"#;
const INSTALL: &str = r#"
[[stage]]
name = "install"
kind = "command"
command = "tiny-install --hostname tiny-test"
pass = ["bootc installation complete", "Installation finished"]
timeout = "5m"
"#;
/// Looks at the disk and at the firmware that the machine was started with.
const LOOK: &str = r#"
[[stage]]
name = "look"
kind = "command"
command = "grep -w vda /proc/partitions && test -d /sys/firmware/efi && echo all there"
pass = ["all there"]
timeout = "1m"
no-progress = "30s"
"#;
/// Of a stage that gets a machine of its own.
const FRESH: &str = "vm = \"fresh\"\ndisks = \"fresh\"\nmemory = \"640MiB\"\n";
const INSTALLED: &str = r#"
[[stage]]
name = "installed"
kind = "installed-boot"
target = "Reached target graphical.target"
timeout = "3m"
"#;
const REQUIRE: &str = "[publish]\nrequire = [\"boot-live\", \"install\", \"installed\"]\n";

/// The image as a kernel that QEMU loads itself: seconds faster.
fn kernel() -> String {
    let tiny = tiny();
    format!(
        "[image]\nkernel = '{}'\ninitrd = '{}'\nappend = '{}'\n[machine]\nfirmware = \"bios\"\ncpus = 1\nmemory = \"512MiB\"\naccelerator = \"tcg\"\n",
        tiny.kernel.display(),
        tiny.initrd.display(),
        tiny.append
    )
}

/// A machine with a gate file and nothing else.
struct Host {
    folder: TempDir,
}

/// What a command came to.
struct Ended {
    code: i32,
    /// What it printed, if that is JSON.
    json: Value,
    stderr: String,
}

impl Ended {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().expect("the program exits by itself"),
            json: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    fn passed(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{:#}", self.stderr, self.json);
        self
    }

    /// Name, outcome and level of each stage of the run.
    fn stages(&self) -> Vec<(String, String, String)> {
        let word = |value: &Value| value.as_str().unwrap_or("nothing").to_owned();
        let stages = self.json["stages"].as_array().expect("a result");
        let told = stages
            .iter()
            .map(|stage| (word(&stage["name"]), word(&stage["outcome"]), word(&stage["reached"])));
        told.collect()
    }

    /// Where the run is, if it still is there.
    fn run(&self, host: &Host) -> PathBuf {
        host.path(&format!("runs/{}", self.json["run"].as_str().expect("a result")))
    }
}

impl Host {
    fn new(gate: &[&str]) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::write(folder.path().join("gate.toml"), gate.concat()).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bootgate(&self, words: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootgate"));
        command.args(words).current_dir(self.folder.path());
        command.env_remove("CI").env("GUEST_PASSWORD", "tiny-live");
        Ended::of(&command.output().unwrap())
    }

    /// Runs the gate, or one stage of it.
    fn run(&self, more: &[&str]) -> Ended {
        let words: Vec<_> = ["run", "gate.toml", "--json"].iter().chain(more).copied().collect();
        self.bootgate(&words)
    }

    fn step(&self, stage: &str, more: &[&str]) -> Ended {
        let words: Vec<_> = ["--stage", stage].iter().chain(more).copied().collect();
        self.run(&words)
    }
}

fn transitions(run: &Path) -> Vec<(String, String)> {
    let trace = std::fs::read_to_string(run.join("trace.jsonl")).unwrap();
    let records = trace.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let transitions = records.filter(|record| record["kind"] == "transition");
    transitions
        .map(|record| {
            let word = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
            (word("to"), word("confirmed_by"))
        })
        .collect()
}

fn assert_replays(host: &Host, run: &Path) {
    let replayed = host.bootgate(&["replay", run.to_str().unwrap()]);
    assert_eq!(replayed.code, 0, "{}", replayed.stderr);
}

#[test]
fn four_steps_come_to_what_one_run_comes_to() {
    let fresh_install = format!("{INSTALL}{FRESH}");
    let host = Host::new(&[SETTINGS, REQUIRE, &kernel(), BOOT, EXPORT, &fresh_install, INSTALLED]);
    let whole = host.run(&[]).passed();
    assert_eq!(whole.json["verdict"]["cause"], "not-everything-tested");
    assert_eq!(whole.json["verdict"]["publishable"], Value::Null);
    let mut told = Vec::new();
    let mut runs = Vec::new();
    // What the last step goes on with is one file far from the runs.
    let elsewhere = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let disks = elsewhere.path().join("installed.tar.zst");
    let disks = disks.to_str().unwrap();
    for (stage, more) in [
        ("boot-live", &["--no-bundle"][..]),
        ("export", &[]),
        ("install", &["--output", disks]),
        ("installed", &["--from", disks]),
    ] {
        let ended = host.step(stage, more).passed();
        let run = ended.run(&host);
        assert_replays(&host, &run);
        assert_eq!(ended.json["part"], stage);
        match stage {
            "export" => assert_resumed(&run, &ended),
            "install" => std::fs::remove_dir_all(&run).unwrap(),
            _ => {}
        }
        told.extend(ended.stages());
        runs.push(if stage == "install" {
            disks.to_owned()
        } else {
            ended.json["run"].as_str().unwrap().to_owned()
        });
    }
    assert_eq!(told, whole.stages());
    let decide = ["decide", "--json"].into_iter();
    let words: Vec<_> = decide.chain(runs.iter().map(String::as_str)).collect();
    let decision = host.bootgate(&words).passed();
    assert_eq!(decision.json["decision"], "publish", "{:#}", decision.json);
    assert_eq!(decision.json["tested"]["sha256"], whole.json["image"]["sha256"]);
    let all_but_one = host.bootgate(&words[..words.len() - 1]);
    let decided = &all_but_one.json["decision"];
    assert_eq!((all_but_one.code, decided), (4, &"do-not-publish".into()));
}

/// It went on in the machine of the step before, and says that it tested nothing.
fn assert_resumed(run: &Path, ended: &Ended) {
    let states = transitions(run);
    assert_eq!(states[0].0, "Resuming");
    let by = "query-status: running; a login by the host key and in the boot of the checkpoint";
    assert_eq!(states[1], ("SshStable".to_owned(), by.to_owned()));
    let junit = std::fs::read_to_string(run.join("junit.xml")).unwrap();
    assert!(junit.contains("not tested: with more memory the bug hides"), "{junit}");
    assert!(Path::new(ended.json["bundle"]["path"].as_str().unwrap()).exists());
}

/// A script that stands for a QEMU: the gate file of all machines names it.
fn stand_in(host: &Host, binary: &str) {
    let path = host.path("qemu");
    std::fs::write(&path, format!("#!/bin/sh\nexec {binary} \"$@\"\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_gate_goes_from_machine_to_machine_as_bundles() {
    let newest = qemu10();
    let data = newest
        .as_ref()
        .map(|qemu| format!("qemu-data = {:?}\n", qemu.data))
        .unwrap_or_default();
    let machine = format!(
        "[image]\niso = \"tiny.iso\"\n[machine]\nfirmware = \"uefi\"\ncpus = 2\nmemory = \"512MiB\"\naccelerator = \"tcg\"\nqemu = \"./qemu\"\n{data}"
    );
    let gate = [SETTINGS, &machine, BOOT, LOOK];
    let packaged = "qemu-system-x86_64";
    let binary = newest.as_ref().map_or(packaged, |qemu| qemu.binary.as_str());
    let bundles = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let booted = bundles.path().join("booted.tar.zst").to_str().unwrap().to_owned();
    let iso = tiny().iso.to_str().unwrap();

    let first = Host::new(&gate);
    stand_in(&first, binary);
    std::os::unix::fs::symlink(iso, first.path("tiny.iso")).unwrap();
    let ended = first.step("boot-live", &["--output", &booted]).passed();
    let digest = ended.json["image"]["sha256"].clone();
    drop(first);

    if newest.is_some() {
        let other = Host::new(&gate);
        stand_in(&other, packaged);
        let ended = other.step("look", &["--image", iso, "--from", &booted]);
        let cause = &ended.json["verdict"]["cause"];
        assert_eq!((ended.code, cause), (4, &"not-restored".into()), "{}", ended.stderr);
        let detail = ended.json["verdict"]["detail"].as_str().unwrap();
        assert!(detail.contains("was saved by QEMU 10"), "{detail}");
    }

    let second = Host::new(&gate);
    stand_in(&second, binary);
    // Of the same size, but its digest is another.
    let forged = second.path("forged.iso");
    let size_bytes = std::fs::metadata(iso).unwrap().len();
    std::fs::File::create(&forged).unwrap().set_len(size_bytes).unwrap();
    let refused = second.step("look", &["--image", forged.to_str().unwrap(), "--from", &booted]);
    let told = refused.json["errors"][0].to_string();
    assert!(
        refused.code == 2 && told.contains("give it by `--image FILE`"),
        "{told}"
    );
    let ended = second.step("look", &["--image", iso, "--from", &booted]).passed();
    assert_eq!(ended.stages(), [("look".into(), "passed".into(), "installed".into())]);
    assert_eq!(ended.json["image"]["sha256"], digest);
    let run = ended.run(&second);
    assert!(!run.join("from").exists(), "what was left for it is of no use any more");
    let run = run.to_str().unwrap();
    let decision = second.bootgate(&["decide", "--json", &booted, run]).passed();
    assert_eq!(decision.json["publish"]["sha256"], digest);
}

#[test]
fn a_step_is_skipped_and_red_when_the_one_before_did_not_pass() {
    // Fails at its first line.
    let fails = SETTINGS.replace("[console]\n", "[console]\nfail = [\"Linux version\"]\n");
    let host = Host::new(&[&fails, &kernel(), BOOT, INSTALL, INSTALLED]);

    let missing = host.step("install", &[]);
    assert_eq!(
        (missing.code, &missing.json["verdict"]["cause"]),
        (4, &"predecessor-missing".into())
    );
    let bundle = host.path("failed.tar.zst");
    let failed = host.step("boot-live", &["--output", bundle.to_str().unwrap()]);
    assert_eq!(
        (failed.code, &failed.json["verdict"]["cause"]),
        (1, &"forbidden-line".into()),
        "{}",
        failed.stderr
    );

    let by_run = host.step("install", &[]);
    let by_bundle = host.step("install", &["--from", bundle.to_str().unwrap()]);
    let after_skipped = host.step("installed", &[]);
    for skipped in [&by_run, &by_bundle, &after_skipped] {
        assert_eq!(
            (skipped.code, &skipped.json["verdict"]["cause"]),
            (1, &"predecessor-failed".into())
        );
        let detail = skipped.json["verdict"]["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("skipped: stage `boot-live` failed: forbidden-line: "),
            "{detail}"
        );
        assert_eq!(skipped.stages()[0].1, "skipped");
        assert_eq!(skipped.json["skipped"]["stage"], "boot-live");
        let run = skipped.run(&host);
        let junit = std::fs::read_to_string(run.join("junit.xml")).unwrap();
        assert!(
            junit.contains("<skipped") && junit.contains("forbidden-line"),
            "{junit}"
        );
        assert!(!run.join("argv.txt").exists(), "nothing was started");
        let manifest: Value = serde_json::from_slice(&std::fs::read(run.join("manifest.json")).unwrap()).unwrap();
        assert_eq!(manifest["missing"], Value::Array(Vec::new()), "{manifest:#}");
    }
    let decision = host.bootgate(&[
        "decide",
        "--json",
        failed.run(&host).to_str().unwrap(),
        by_run.run(&host).to_str().unwrap(),
    ]);
    assert_eq!(
        (decision.code, &decision.json["decision"]),
        (1, &"do-not-publish".into())
    );

    assert_refused(&host, &failed.run(&host), &bundle);
}

/// Another gate file, another stage, and what is no run of a stage: nothing is started, and no run is left.
fn assert_refused(host: &Host, boot: &Path, bundle: &Path) {
    let text = std::fs::read_to_string(host.path("gate.toml")).unwrap();
    std::fs::write(host.path("gate.toml"), text + "\n# changed\n").unwrap();
    for (words, problem) in [
        (vec!["--stage", "install"], "another gate file"),
        (
            vec!["--stage", "installed", "--from", boot.to_str().unwrap()],
            "is a run of the stage `boot-live`",
        ),
        (vec!["--stage", "install", "--from", "nothing"], "nothing"),
        (
            vec!["--stage", "instal"],
            "its stages are `boot-live`, `install`, `installed`",
        ),
        (
            vec!["--stage", "boot-live", "--from", "last"],
            "it goes on with nothing",
        ),
        (
            vec!["--stage", "install", "--output", bundle.to_str().unwrap()],
            "is there already",
        ),
    ] {
        let before = std::fs::read_dir(host.path("runs")).unwrap().count();
        let refused = host.run(&words);
        let told = refused.json["errors"][0].to_string();
        assert_eq!(refused.code, 2, "{words:?}: {told}");
        assert!(told.contains(problem), "{words:?}: {told}");
        assert_eq!(
            std::fs::read_dir(host.path("runs")).unwrap().count(),
            before,
            "{words:?} leaves a run"
        );
    }
}
