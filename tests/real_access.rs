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

use gate::{Boots, GateFile};
use qemu10::qemu10;
use run::{Run, run};

/// One stage that boots the guest to a stable login; its server waits for `start-sshd`.
fn untouched(password: &str, start: Option<&str>) -> GateFile {
    let mut gate = GateFile::new(Boots::Kernel);
    gate.truncate(1);
    gate.set("ssh", "{ user = 'root' }");
    gate.put("ssh.open-by.serial-login.password", password.into());
    if let Some(start) = start {
        gate.put("ssh.open-by.serial-login.start", start.into());
    }
    gate.faults("fault:manual-sshd");
    gate
}

fn assert_opened(run: &Run, row: &str) {
    run.report(row, None);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.story(), run.stderr);
    run.audit();
    let opened: Vec<_> = run.notes("access-opened").collect();
    assert_eq!(opened.len(), 1, "{}", run.story());
    assert_eq!(opened[0]["detail"], "serial login as `root`; started: start-sshd");
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
    assert_opened(&run(&untouched("tiny-live", Some("start-sshd"))), "serial-login");
}

#[test]
fn a_login_prompt_is_marker_enough_on_qemu10() {
    let mut gate = untouched("tiny-live", Some("start-sshd"));
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
    let wrong = run(&untouched("another", Some("start-sshd")));
    assert_refused(&wrong, "access-login-refused", "Login incorrect");
    let none = run(&untouched("tiny-live", None));
    assert_refused(&none, "access-no-sshd", "");
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
