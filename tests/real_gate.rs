//! The whole gate passes on the real tiny guest: with both firmwares, on every QEMU of this machine, from every attachment,
//! and with an encrypted disk; and each step of it has its event, its second signal and its evidence.

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

/// A step of the whole gate: from, to, event, and the file that its evidence lies in.
type Step = (&'static str, &'static str, &'static str, Option<&'static str>);

/// Every step of the demo's gate, in order.
const STEPS: [Step; 15] = [
    ("Preparing", "Booting", "prepared", None),
    ("Booting", "MarkerSeen", "marker-seen", Some("serial.log")),
    ("MarkerSeen", "SshStable", "ssh-stable", None),
    ("SshStable", "SshStable", "stage-completed", None),
    ("SshStable", "Installing", "ready-for-command", None),
    ("Installing", "Triaged", "command-ended", Some("ssh/install.log")),
    ("Triaged", "PoweringDown", "outcome-classified", Some("ssh/install.log")),
    ("PoweringDown", "Exiting", "guest-shut-down", None),
    ("Exiting", "Releasing", "qemu-ended", None),
    ("Releasing", "Preparing", "images-released", None),
    ("Preparing", "BootingDisk", "prepared", None),
    (
        "BootingDisk",
        "Verifying",
        "installed-kernel-seen",
        Some("serial-2.log"),
    ),
    ("Verifying", "Exiting", "target-reached", Some("serial-2.log")),
    ("Exiting", "Releasing", "qemu-ended", None),
    ("Releasing", "Finished", "images-released", None),
];

/// The events that are proofs by themselves: what QEMU's process, the kernel's locks or an exit status say.
const NEED_NO_SECOND_SIGNAL: [&str; 4] = ["command-ended", "guest-shut-down", "qemu-ended", "images-released"];

/// The gate as the demo runs it.
fn whole(boots: Boots) -> GateFile {
    let mut gate = GateFile::new(boots);
    gate.set("machine.cpus", "2");
    gate.set("timeout-scale", "4.0");
    gate
}

fn stages(run: &Run) -> &Vec<serde_json::Value> {
    run.result["stages"].as_array().unwrap()
}

fn assert_passed(run: &Run, row: &str) {
    run.report(row, None);
    assert_eq!(run.exit_code, 0, "{}\n{}", run.story(), run.stderr);
    run.audit();
    assert!(
        stages(run).iter().all(|stage| stage["outcome"] == "passed"),
        "{}",
        run.story()
    );
    assert_eq!(run.remarks(), [""; 0], "{}", run.story());
}

fn assert_every_step(run: &Run) {
    let steps: Vec<_> = run.records("transition").collect();
    let seen: Vec<_> = steps
        .iter()
        .map(|step| {
            let word = |key: &str| step[key].as_str().unwrap();
            (
                word("from"),
                word("to"),
                word("event"),
                step["evidence"]["file"].as_str(),
            )
        })
        .collect();
    assert_eq!(seen, STEPS, "{}", run.story());
    for step in steps {
        let alone = NEED_NO_SECOND_SIGNAL.iter().any(|event| step["event"] == *event);
        assert!(alone || step["confirmed_by"].is_string(), "{step}");
        let placed = step["evidence"]["file"].is_null() || step["evidence"]["offset_bytes"].is_u64();
        assert!(placed, "{step}");
    }
    let times: Vec<_> = run
        .trace
        .iter()
        .map(|record| record["t_us"].as_u64().unwrap())
        .collect();
    assert!(times.is_sorted(), "{}", run.story());
}

fn assert_whole_gate_passes(gate: &GateFile, row: &str) -> Run {
    let run = run(gate);
    assert_passed(&run, row);
    assert_every_step(&run);
    let reached: Vec<_> = stages(&run).iter().map(|stage| &stage["reached"]).collect();
    assert_eq!(reached, ["login", "installed", "target"]);
    assert_screens(&run);
    run
}

/// Of both machines there are pictures, taken as they went on, and they are on the page. Which states they show depends on how
/// fast one follows the other.
fn assert_screens(run: &Run) {
    let entries = std::fs::read_dir(run.path.join("screens")).unwrap().map(Result::unwrap);
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    let shows = |states: &[&str]| {
        states
            .iter()
            .any(|state| names.iter().any(|name| name.ends_with(&format!("-{state}.png"))))
    };
    assert!(
        shows(&["MarkerSeen", "SshStable"]) && shows(&["Verifying"]),
        "{names:?}"
    );
    let page = std::fs::read_to_string(run.path.join("report.html")).unwrap();
    assert_eq!(page.matches("data:image/png;base64,").count(), names.len(), "{names:?}");
    for name in names {
        let png = std::fs::File::open(run.path.join("screens").join(&name)).unwrap();
        let picture = png::Decoder::new(std::io::BufReader::new(png)).read_info();
        assert!(picture.is_ok_and(|picture| picture.info().width >= 640), "{name}");
    }
}

#[test]
fn uefi_on_the_packaged_qemu() {
    assert_whole_gate_passes(&whole(Boots::Uefi), "uefi");
}

#[test]
fn bios_on_the_packaged_qemu() {
    assert_whole_gate_passes(&whole(Boots::Bios), "bios");
}

fn assert_whole_gate_passes_on_qemu10(boots: Boots, row: &str) {
    let Some(qemu) = qemu10() else {
        println!("the packaged QEMU is the newest one here, and the other tests run it");
        return;
    };
    let mut gate = whole(boots);
    gate.put("machine.qemu", qemu.binary.into());
    gate.put("machine.qemu-data", qemu.data.into());
    let run = assert_whole_gate_passes(&gate, row);
    let version = run.result["host"]["qemu_version"].as_str().unwrap();
    assert!(version.contains("version 10."), "{version}");
}

#[test]
fn uefi_on_qemu10() {
    assert_whole_gate_passes_on_qemu10(Boots::Uefi, "uefi-qemu10");
}

#[test]
fn bios_on_qemu10() {
    assert_whole_gate_passes_on_qemu10(Boots::Bios, "bios-qemu10");
}

fn assert_live_system_boots(boots: Boots, attach: &str) {
    let mut gate = whole(boots);
    gate.truncate(1);
    gate.put("image.attach", attach.into());
    let run = run(&gate);
    assert_passed(&run, attach);
    assert_eq!(stages(&run)[0]["reached"], "login");
    assert!(
        run.path_of_states().contains(&("MarkerSeen", "SshStable")),
        "{}",
        run.story()
    );
}

#[test]
fn image_as_ide_cd() {
    assert_live_system_boots(Boots::Bios, "ide");
}

#[test]
fn image_as_usb_stick() {
    assert_live_system_boots(Boots::Uefi, "usb");
}

#[test]
fn image_as_virtio_disk() {
    assert_live_system_boots(Boots::Bios, "virtio");
}

/// A gate whose installed disk is encrypted, and is answered with `answer`.
fn encrypted(answer: &str) -> GateFile {
    let mut gate = GateFile::new(Boots::Kernel);
    gate.set("timeout-scale", "4.0");
    gate.file("installer-passphrase", "correct horse battery\n");
    gate.file("answer", answer);
    gate.set(
        "stage.1.upload",
        "[{ from = 'installer-passphrase', to = '/root/passphrase', mode = '0600' }]",
    );
    gate.set("stage.1.command", "'tiny-install --luks /root/passphrase'");
    gate.set(
        "stage.2.unlock",
        "{ prompt = 'Please enter passphrase for disk', answer = { file = 'answer' } }",
    );
    gate
}

#[test]
fn encrypted_disk_is_unlocked() {
    let run = run(&encrypted("correct horse battery"));
    assert_passed(&run, "encrypted");
    let path = run.path_of_states();
    assert!(path.contains(&("BootingDisk", "Unlocking")), "{}", run.story());
    assert!(path.contains(&("Unlocking", "Verifying")), "{}", run.story());
    assert_eq!(stages(&run)[2]["reached"], "target");
}

#[test]
fn wrong_passphrase_is_told() {
    let run = run(&encrypted("wrong horse battery"));
    run.report("wrong-passphrase", None);
    run.audit();
    let verdict = &run.result["verdict"];
    assert_eq!(verdict["cause"], "passphrase-rejected", "{}", run.story());
    assert_eq!(
        (&verdict["class"], run.exit_code),
        (&"failed".into(), 1),
        "{}",
        run.story()
    );
    assert_eq!(
        (&verdict["stage"], &verdict["state"]),
        (&"installed".into(), &"Unlocking".into())
    );
}
