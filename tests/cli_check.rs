//! `check` with a QEMU that only answers questions: the plan, every machine's command line, and nothing started or made.

mod cli_support;

use std::path::{Path, PathBuf};

use cli_support::{Gate, ROOT, Seen, see};
use serde_json::json;

/// Three stages on two machines: a live image that is installed, and the installed system with more memory.
const GATE: &str = r#"
gate = "install"
[image]
iso = "live.iso"
[machine]
firmware = "FIRMWARE"
accelerator = "ACCELERATOR"
memory = "1GiB"
qemu = "./qemu"
qemu-data = ["data"]
[[disk]]
name = "system"
size = "8GiB"
format = "qcow2"
[console]
markers = ["ready"]
[ssh]
user = "root"
password = "canary-of-the-password"
[[stage]]
name = "boot"
kind = "boot"
timeout = "1m"
[[stage]]
name = "install"
kind = "command"
command = "./install"
timeout = "5m"
[[stage]]
name = "installed"
kind = "installed-boot"
target = "Reached target"
timeout = "2m"
memory = "4GiB"
"#;

/// The gate with its image, a QEMU that writes down what it is asked, and a pair of firmware files.
fn gate(firmware: &str, accelerator: &str) -> Gate {
    let gate = Gate::new(&GATE.replace("FIRMWARE", firmware).replace("ACCELERATOR", accelerator));
    gate.file("live.iso", b"not empty");
    let answers = Path::new(ROOT).join("fixtures/qemu/fake/answers");
    let asked = gate.path().join("asked");
    let script = format!(
        "#!/bin/sh\necho \"$*\" >>'{}'\nexec '{}' \"$@\"\n",
        asked.display(),
        answers.display()
    );
    make_executable(&gate.file("qemu", script.as_bytes()));
    let (code, vars) = (gate.file("data/CODE.fd", b"code"), gate.file("data/VARS.fd", b"vars"));
    let flash = |path: &Path| json!({"filename": path, "format": "raw"});
    let descriptor = json!({
        "description": "test", "interface-types": ["uefi"], "features": [], "tags": [],
        "mapping": {"device": "flash", "executable": flash(&code), "nvram-template": flash(&vars)},
        "targets": [{"architecture": "x86_64", "machines": ["pc-q35-*"]}],
    });
    gate.file("data/firmware/10-test.json", descriptor.to_string().as_bytes());
    gate
}

fn make_executable(path: &PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it can be made executable");
}

fn check(gate: &Gate, arguments: &[&str]) -> Seen {
    let mut command = gate.bootgate(&["check", "gate.toml"]);
    see(command
        .args(arguments)
        .env("HOME", gate.path())
        .env_remove("XDG_CONFIG_HOME"))
}

#[test]
fn the_plan_and_every_command_line_are_shown() {
    let uefi = gate("uefi", "auto");
    let before = uefi.names();
    let seen = check(&uefi, &[]);
    insta::assert_snapshot!("uefi", seen.page(&[(uefi.path(), "/gate")]));
    let bios = gate("bios", "kvm");
    insta::assert_snapshot!("bios_with_kvm", check(&bios, &[]).page(&[(bios.path(), "/gate")]));
    assert!(!seen.stdout.contains("canary"), "{}", seen.stdout);
    let mut after = uefi.names();
    after.retain(|name| name != "asked");
    assert_eq!(after, before, "nothing is made");
}

#[test]
fn no_machine_is_started() {
    let gate = gate("uefi", "auto");
    check(&gate, &["--json"]);
    let asked = std::fs::read_to_string(gate.path().join("asked")).expect("it was asked");
    let mut asked: Vec<_> = asked.lines().collect();
    asked.sort_unstable();
    insta::assert_snapshot!(asked.join("\n"), @r"
    --version
    -accel help
    -device help
    -help
    -machine help
    -sandbox on -machine help
    ");
}

#[test]
fn a_program_gets_the_words_of_each_command_line() {
    let gate = gate("uefi", "tcg");
    let seen = check(&gate, &["--json"]);
    assert_eq!((seen.code, &*seen.stderr), (Some(0), ""));
    let json = seen.json();
    assert_eq!(json["plan"]["gate"], "install");
    let machines = json["machines"].as_array().expect("a list");
    let of = |name: &str| machines.iter().map(|machine| machine[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("stage"), ["boot", "installed"]);
    assert_eq!(of("stages"), [json!(["boot", "install"]), json!(["installed"])]);
    assert_eq!(of("boots"), ["the image", "the target disk"]);
    let argv = machines[1]["argv"].as_array().expect("a list");
    assert_eq!(argv[0], *gate.path().join("qemu").to_str().expect("UTF-8"));
    let at = argv.iter().position(|word| word == "-m").expect("memory");
    assert_eq!(argv[at + 1], "4096M");
    assert_eq!(json["warnings"], json!([]));
}

#[test]
fn what_the_host_lacks_is_a_warning() {
    let gate = gate("uefi", "auto");
    for name in ["qemu", "live.iso"] {
        std::fs::remove_file(gate.path().join(name)).expect("removed");
    }
    let seen = check(&gate, &[]);
    assert!(seen.stdout.starts_with("gate        install\n"), "{}", seen.stdout);
    assert!(!seen.stdout.contains("# machine"), "{}", seen.stdout);
    insta::assert_snapshot!(
        "lacking",
        Seen {
            stdout: String::new(),
            ..seen
        }
        .page(&[(gate.path(), "/gate")])
    );
    let json = check(&gate, &["--json"]).json();
    assert_eq!(json["warnings"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["machines"], json!([]));
}
