//! A production image is driven as it is: the tiny guest whose SSH server nobody has started is logged in to on its serial
//! console.

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

use std::path::{Path, PathBuf};

use gate::{Boots, GateFile};
use qemu10::qemu10;
use run::{Run, run};
use tiny::tiny;

/// One stage that boots the guest to a stable login; its server waits for `start-sshd`.
fn untouched(password: &str, start: Option<&str>) -> GateFile {
    let mut gate = GateFile::new(Boots::Kernel);
    gate.truncate(1);
    gate.set("ssh", "{ user = 'root' }");
    gate.put("ssh.open-by.serial-login.password", password.into());
    if let Some(start) = start {
        gate.put("ssh.open-by.serial-login.start", start.into());
    }
    // What systemd would read as a credential, in a file: no secret stands on a command line.
    let credential = concat!(env!("CARGO_TARGET_TMPDIR"), "/credential");
    std::fs::write(credential, "io.systemd.credential.binary:bootgate=QUJD").unwrap();
    let string = format!("type=11,path={credential}");
    let arguments = ["-smbios", "type=1,serial=fault:manual-sshd", "-smbios", &string].map(toml::Value::from);
    gate.put("machine.extra-args", arguments.to_vec().into());
    gate
}

/// Starts the server of a guest that finds the credential in its firmware's tables.
const START: &str = "grep -q credential.binary:bootgate=QUJD /sys/firmware/dmi/tables/DMI && start-sshd";

fn assert_opened(run: &Run, row: &str) {
    run.report(row, None);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.story(), run.stderr);
    run.audit();
    let opened: Vec<_> = run.notes("access-opened").collect();
    assert_eq!(opened.len(), 1, "{}", run.story());
    assert_eq!(opened[0]["detail"], format!("serial login as `root`; started: {START}"));
    assert!(
        opened[0]["evidence"]["offset_bytes"].as_u64() > Some(0),
        "{}",
        opened[0]
    );
    assert_eq!(run.result["stages"][0]["reached"], "login");
    assert_eq!(run.result["image"]["access"]["by"], "serial-login");
    for file in [
        "serial.log",
        "trace.jsonl",
        "inputs.jsonl",
        "gate.toml",
        "argv.txt",
        "result.json",
    ] {
        let text = String::from_utf8_lossy(&run.read_file(file)).into_owned();
        assert!(!text.contains("PRIVATE KEY") && !text.contains("tiny-live"), "{file}");
    }
}

#[test]
fn a_login_on_the_console_opens_the_image() {
    assert_opened(&run(&untouched("tiny-live", Some(START))), "serial-login");
}

#[test]
fn a_login_prompt_is_marker_enough_on_qemu10() {
    let mut gate = untouched("tiny-live", Some(START));
    gate.set("console", "{}");
    if let Some(qemu) = qemu10() {
        gate.put("machine.qemu", qemu.binary.into());
        gate.put("machine.qemu-data", qemu.data.into());
    }
    let run = run(&gate);
    assert_opened(&run, "serial-login-qemu10");
    let prompts = run
        .records("transition")
        .filter(|step| step["event"] == "login-prompt-seen");
    assert_eq!(prompts.count(), 1, "{}", run.story());
}

#[test]
fn what_is_in_the_way_is_told_at_once_with_its_line() {
    let wrong = run(&untouched("another", Some(START)));
    assert_refused(&wrong, "access-login-refused", "Login incorrect");
    let none = run(&untouched("tiny-live", None));
    assert_refused(&none, "access-no-sshd", "");
}

/// The tiny guest's ISO as a debug image, with a record that says what it is made from.
fn debug_image(folder: &Path, production: &Path) -> PathBuf {
    let image = folder.join("debug.iso");
    std::fs::copy(&tiny().iso, &image).unwrap();
    let facts = |path: &Path| serde_json::json!({ "file": "", "size_bytes": 1, "sha256": sha256(path) });
    let record = serde_json::json!({
        "version": 1, "made_by": "a test", "made": "", "production": facts(production), "debug": facts(&image),
        "squashfs": "/live", "server": "ssh.service", "login": { "user": "root", "by": "password", "file": null },
        "changes": [{ "path": "/etc/a", "what": "file added", "why": "" }], "entries_kept": 1, "notes": [], "tools": [],
    });
    std::fs::write(folder.join("debug.iso.json"), record.to_string()).unwrap();
    image
}

fn sha256(path: &Path) -> String {
    let output = std::process::Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

#[test]
fn a_debug_image_is_tested_for_its_production_image_and_for_no_other() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let production = folder.path().join("production.iso");
    std::fs::write(&production, "what will be published").unwrap();
    let image = debug_image(folder.path(), &production);
    let mut gate = GateFile::new(Boots::Bios);
    gate.truncate(1);
    gate.put("image.iso", image.to_str().unwrap().into());
    gate.put("image.production", production.to_str().unwrap().into());
    let passed = run(&gate);
    assert_eq!(passed.exit_code, 0, "{}", passed.story());
    let told = &passed.result["image"];
    assert_eq!(told["sha256"], sha256(&image));
    assert_eq!(told["production"]["sha256"], sha256(&production));
    assert_eq!(
        (&told["made_from_production"], &told["changes"][0]),
        (&true.into(), &"/etc/a: file added".into())
    );

    std::fs::write(&production, "another one").unwrap();
    let other = run(&gate);
    let verdict = &other.result["verdict"];
    assert_eq!(
        (other.exit_code, &verdict["cause"]),
        (4, &"debug-record-mismatch".into()),
        "{}",
        other.story()
    );
    assert!(
        verdict["detail"]
            .as_str()
            .unwrap()
            .contains("the production image has sha256"),
        "{verdict}"
    );
    assert!(!other.path.join("serial.log").exists(), "no guest was started");
}

fn assert_refused(run: &Run, cause: &str, line: &str) {
    let verdict = &run.result["verdict"];
    assert_eq!(
        (run.exit_code, &verdict["cause"]),
        (5, &cause.into()),
        "{}",
        run.story()
    );
    let quote = verdict["evidence"]["quote"].as_str().unwrap_or_default();
    assert!(quote.contains(line), "{verdict}");
    assert_eq!(run.records("deadline-near").count(), 0, "{}", run.story());
    run.audit();
}
