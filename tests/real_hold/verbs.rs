//! The verbs: on the machine of the tiny guest whose installation failed in the middle.

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::gates::{Gate, boot, command};
use crate::watched_run::{BOOTGATE, Place, Watched};

const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// Leaves a file on the disk and more to do, and fails.
const INSTALLER: &str = "echo halfway > /tmp/state; sync; (sleep 2; echo went-on > /tmp/later) & exit 1";

/// A machine that is held, and who asks it.
struct Held {
    place: Place,
    run: Watched,
    id: String,
}

impl Held {
    fn new() -> Self {
        let gate = Gate {
            disk: true,
            stages: boot("login") + &command(INSTALLER),
            ..Gate::default()
        };
        let place = Place::new();
        let mut run = Watched::start_as(&place, &gate.with_login().text(), |command| {
            command.args(["--on-failure", "hold"]).env_remove("CI");
        });
        run.until("Attach:");
        let id = run.id();
        Self { place, run, id }
    }

    fn ask(&self, words: &[&str]) -> Output {
        let mut command = std::process::Command::new(BOOTGATE);
        command.arg("inspect").arg(self.place.runs().join(&self.id)).args(words);
        command.output().unwrap()
    }

    #[track_caller]
    fn says(&self, words: &[&str]) -> String {
        let output = self.ask(words);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {errors}");
        assert!(
            words.contains(&"--json") || errors.contains("next: "),
            "no next step: {errors}"
        );
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn json(&self, words: &[&str]) -> Value {
        let mut words = words.to_vec();
        words.insert(0, "--json");
        serde_json::from_str(&self.says(&words)).unwrap()
    }

    /// A command in the guest, as soon as it answers again.
    fn in_guest(&self, command: &str) -> String {
        let output = self.ask(&["ssh", "--", command]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command}: {output:?} {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn every_verb_on_a_held_machine() {
    let mut held = Held::new();
    let page = held.says(&["show"]);
    for part in [
        "command-failed",
        "exit status 1",
        "held, paused",
        "login:",
        "Installing → Triaged",
    ] {
        assert!(page.contains(part), "no `{part}` in\n{page}");
    }

    let first = held.says(&["registers"]);
    assert!(first.contains("CPU#0") && first.contains("RIP="), "{first}");
    assert_eq!(first, held.says(&["registers"]), "a paused guest stands still");
    let status = |held: &Held| held.json(&["qmp", "query-status"])["status"].clone();
    assert_eq!(status(&held), "paused");

    let picture = held.json(&["screenshot"])["path"].as_str().unwrap().to_owned();
    let picture = std::fs::read(picture).unwrap();
    assert_eq!(&picture[..8], b"\x89PNG\r\n\x1a\n");

    let refused = held.ask(&["type", "--screen", "x"]);
    assert_eq!(refused.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("`resume` it first"));
    let refused = held.ask(&["qmp", "no-such-command"]);
    assert_eq!(refused.status.code(), Some(4));

    held.says(&["resume"]);
    assert_eq!(status(&held), "running");
    let resumed = Instant::now();
    assert_eq!(held.in_guest("cat /tmp/state"), "halfway\n");
    assert!(resumed.elapsed() < Duration::from_secs(20), "{:?}", resumed.elapsed());
    assert_eq!(held.ask(&["ssh", "--", "exit 7"]).status.code(), Some(7));
    held.says(&["type", "--screen", "root<ret>"]);
    held.says(&["type", "-e", "root"]);
    held.says(&["pause"]);
    assert_ne!(first, held.says(&["registers"]), "it went on");

    let memory = held.json(&["memory-dump"]);
    let size_bytes = memory["size_bytes"].as_u64().unwrap();
    assert!(size_bytes >= 256 * 1024 * 1024, "{memory}");
    let file = std::fs::File::open(memory["path"].as_str().unwrap()).unwrap();
    assert_eq!(file.metadata().unwrap().len(), size_bytes);

    held.says(&["quit"]);
    assert_eq!(held.run.ends(ENDS_WITHIN), 1);
    assert_eq!(held.place.processes(), []);
}

#[test]
fn a_debugger_attaches() {
    use std::io::{Read as _, Write as _};
    let held = Held::new();
    let address = held.json(&["gdb"])["address"].as_str().unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let mut debugger = std::net::TcpStream::connect(address).unwrap();
    // The remote serial protocol's question why the target stands still.
    debugger.write_all(b"$?#3f").unwrap();
    let mut answer = [0; 5];
    debugger.read_exact(&mut answer).unwrap();
    assert!(
        answer.starts_with(b"+$T05") || answer.starts_with(b"+$S05"),
        "{answer:?}"
    );
}
