//! An encrypted disk of the real tiny guest that asks for its passphrase on the screen: seen there, typed there, and proved.

#[path = "support/follow.rs"]
mod follow;
#[path = "support/gate.rs"]
mod gate;
#[path = "support/keep.rs"]
mod keep;
#[path = "support/replay.rs"]
mod replay;
#[path = "support/run.rs"]
mod run;
#[path = "support/tiny.rs"]
mod tiny;

use std::path::Path;

use gate::{Boots, GateFile};
use run::{Run, start_with};
use serde_json::Value;

const PASSPHRASE: &str = "IMAGE_PASSPHRASE";

/// A gate whose installed disk was encrypted with `passphrase` and asks for it as the installer was told.
fn encrypted(firmware: &str, passphrase: &str, installer: &str) -> GateFile {
    let mut gate = GateFile::new(Boots::Kernel);
    gate.set("machine.firmware", firmware);
    gate.set("timeout-scale", "4.0");
    gate.file("installer-passphrase", &format!("{passphrase}\n"));
    gate.set(
        "stage.1.upload",
        "[{ from = 'installer-passphrase', to = '/root/passphrase', mode = '0600' }]",
    );
    gate.put(
        "stage.1.command",
        format!("tiny-install --luks /root/passphrase {installer}").into(),
    );
    // Over the end of the screen's row, where there are eighty columns.
    let prompt = r"{ regex = 'passphrase for disk tiny-root \(luks-[0-9a-f-]{36}\):' }";
    gate.set(
        "stage.2.unlock",
        &format!("{{ prompt = {prompt}, answer = {{ env = '{PASSPHRASE}' }} }}"),
    );
    gate
}

fn run(gate: &GateFile, answer: &str, row: &str) -> Run {
    let run = start_with(gate, &[], &[(PASSPHRASE, answer)]).end();
    run.report(row, None);
    run.audit();
    assert_silent_about(answer, &run.path);
    let keys = String::from_utf8_lossy(&run.read_file("qmp.jsonl"))
        .matches("send-key")
        .count();
    assert!(keys > answer.len(), "{keys} of them in qmp.jsonl");
    assert!(!run.stderr.contains(answer), "{}", run.stderr);
    run
}

/// Nothing that is kept holds the passphrase, nor the keys that type it.
fn assert_silent_about(passphrase: &str, folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_silent_about(passphrase, &path);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for secret in [passphrase, "qcode"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds {secret:?}", path.display());
        }
    }
}

fn transition<'a>(run: &'a Run, from: &str, to: &str) -> &'a Value {
    let found = run
        .records("transition")
        .find(|record| record["from"] == from && record["to"] == to);
    found.unwrap_or_else(|| panic!("no {from} → {to}: {}", run.story()))
}

/// It was asked for on the screen, which the trace says with how often that is looked at.
fn assert_asked_on_screen(run: &Run) {
    let asked = transition(run, "BootingDisk", "Unlocking");
    assert_eq!(asked["event"], "passphrase-asked", "{}", run.story());
    assert_eq!(asked["evidence"]["file"], "screen-text-2.log", "{}", run.story());
    assert_eq!(
        asked["confirmed_by"],
        "it stands unchanged on two looks at the screen, 500 ms apart"
    );
    assert_eq!(run.notes("answer-typed").count(), 1, "{}", run.story());
}

fn assert_accepted(run: &Run, told_in: &str) {
    assert_eq!(run.exit_code, 0, "{}\n{}", run.story(), run.stderr);
    assert_asked_on_screen(run);
    let accepted = transition(run, "Unlocking", "Verifying");
    assert_eq!(accepted["evidence"]["file"], told_in, "{}", run.story());
    assert_eq!(run.result["stages"][2]["reached"], "target", "{}", run.story());
}

#[test]
fn every_printable_character_is_typed_on_a_framebuffer_console() {
    let passphrase: String = (' '..='~').collect();
    let gate = encrypted("'uefi'", &passphrase, "--no-serial");
    let run = run(&gate, &passphrase, "asked-on-the-screen-uefi");
    // The serial console is silent: what follows the passphrase, too, is read from the screen.
    assert_accepted(&run, "screen-text-2.log");
    let reached = transition(&run, "Verifying", "Exiting");
    assert_eq!(reached["evidence"]["file"], "screen-text-2.log", "{}", run.story());
}

#[test]
fn a_text_mode_screen_asks_while_the_serial_console_tells_the_rest() {
    let gate = encrypted("'bios'", "correct horse battery", "--ask-on tty1");
    let run = run(&gate, "correct horse battery", "asked-on-the-screen-bios");
    assert_accepted(&run, "serial-2.log");
}

#[test]
fn another_question_on_the_screen_is_told_with_its_line() {
    let mut gate = encrypted("'bios'", "correct horse battery", "--no-serial");
    gate.set("stage.2.unlock.prompt", "'Enter the secret of the disk:'");
    let run = start_with(&gate, &[], &[(PASSPHRASE, "correct horse battery")]).end();
    run.report("another-question-on-the-screen", None);
    run.audit();
    let verdict = &run.result["verdict"];
    assert_eq!(verdict["cause"], "waiting-for-input", "{}", run.story());
    assert_eq!(verdict["evidence"]["file"], "screen-text-2.log", "{}", run.story());
    let quote = verdict["evidence"]["quote"].as_str().unwrap();
    assert!(quote.starts_with("Please enter passphrase for disk"), "{quote}");
}

#[test]
fn a_wrong_passphrase_on_the_screen_is_told() {
    let gate = encrypted("'bios'", "correct horse battery", "--ask-on tty1");
    let run = run(&gate, "wrong horse battery", "wrong-passphrase-on-the-screen");
    assert_asked_on_screen(&run);
    let verdict = &run.result["verdict"];
    assert_eq!(verdict["cause"], "passphrase-rejected", "{}", run.story());
    assert_eq!((&verdict["state"], run.exit_code), (&"Unlocking".into(), 1));
    assert_eq!(verdict["evidence"]["file"], "screen-text-2.log", "{}", run.story());
}
