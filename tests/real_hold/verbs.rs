//! The verbs: on the machine of the tiny guest whose installation failed in the middle.

use std::io::{BufReader, Read as _, Write as _};
use std::process::{Command, Output, Stdio};
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

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(BOOTGATE);
        command.arg("inspect").arg(self.place.runs().join(&self.id)).args(words);
        command
    }

    fn ask(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
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

    /// Waits for words on the console and types what belongs to them, in turn.
    #[track_caller]
    fn talks_on_the_console(&self, turns: &[(&str, &str)]) {
        let mut command = self.command(&["console"]);
        let mut talk = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut input, output) = (talk.stdin.take().unwrap(), talk.stdout.take().unwrap());
        let mut output = BufReader::new(output).bytes().map(Result::unwrap);
        for (awaited, typed) in turns {
            let mut seen = Vec::new();
            while !seen.ends_with(awaited.as_bytes()) {
                let seen_text = || String::from_utf8_lossy(&seen).into_owned();
                let byte = output.next();
                seen.push(byte.unwrap_or_else(|| panic!("no `{awaited}` in {}", seen_text())));
            }
            input.write_all(typed.as_bytes()).unwrap();
        }
        // Whoever has read enough goes away.
        drop(output);
        assert_eq!(talk.wait().unwrap().code(), Some(0));
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
    held.talks_on_the_console(&[
        ("login: ", "root\n"),
        ("Password: ", "tiny-live\n"),
        ("# ", "echo six times seven is $((6*7))\n"),
        ("six times seven is 42", ""),
    ]);
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
