//! Faults of the host.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use crate::gate::{Boots, GateFile};
use crate::own_mounts::with_own_mounts;
use crate::row::{Expect, seconds};
use crate::run::{Run, program};

/// Runs the rest of the arguments with the folder `$1` on a file system of its own of size `$3`, and copies what it then
/// holds to the folder `$2`, since nobody else can see it.
const ON_A_SMALL_DISK: &str = r#"
runs=$1 kept=$2 size=$3
shift 3
mount -t tmpfs -o "size=$size,mode=0700" tmpfs "$runs"
code=0
"$@" || code=$?
cp -a --sparse=always "$runs/." "$kept"
chown -R --reference="$kept/.." "$kept"
exit "$code"
"#;

/// Fills memory with what can't be compressed, and fails.
const NOISE: &str = "dd if=/dev/urandom of=/noise bs=1M count=160 2>/dev/null; exit 1";
/// Writes more than the small disk has, but not more than the guest's disk.
const INSTALLER: &str = "tr '\\0' x </dev/zero | dd of=/dev/vda bs=1M count=256 iflag=fullblock; echo written";

#[test]
fn host_disk_full() {
    let mut gate = GateFile::new(Boots::Kernel);
    gate.put("gate", "host-disk-full".into());
    // Nobody watches: QEMU is the first to notice.
    gate.set("host.reserve", "'0B'");
    gate.truncate(2);
    gate.put("stage.1.command", INSTALLER.into());
    gate.set("stage.1.pass", "['written']");
    let run = on_a_disk_of("96M", &gate);

    let took = run.verdict_at_us() - run.qmp_event_at_us("BLOCK_IO_ERROR");
    let took = Duration::from_micros(took);
    run.report("host_disk_full", Some(took));
    let expect = Expect {
        class: "infrastructure",
        exit: 4,
        cause: "host-disk-full",
        rule: Some("host-disk-filled-by-the-guest"),
        place: ("install", "Installing"),
        event: "block-io-failed",
        within: Some(seconds(2)),
    };
    expect.check(&run, Some(took));
}

/// Runs a gate whose runs lie on a file system of this size.
fn on_a_disk_of(size: &str, gate: &GateFile) -> Run {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (runs, kept) = (folder.path().join("small"), folder.path().join("runs"));
    for path in [&runs, &kept] {
        std::fs::create_dir(path).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
    }
    let bootgate = program(gate, folder.path(), &runs);
    let words = with_own_mounts(folder.path());
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .args(["sh", "-euc", ON_A_SMALL_DISK, "sh"])
        .arg(&runs)
        .arg(&kept)
        .arg(size);
    command.arg(bootgate.get_program()).args(bootgate.get_args());
    let output = command.output().unwrap();
    Run::read(&kept.join("last"), &output, Vec::new(), folder)
}

/// The memory of the failed guest is more than the disk takes. What was captured before is whole, and the verdict is the
/// one that stood.
#[test]
fn host_disk_full_while_the_machine_is_saved() {
    let mut gate = GateFile::new(Boots::Kernel);
    gate.put("gate", "disk-full-while-saving".into());
    gate.set("host.reserve", "'0B'");
    gate.truncate(2);
    gate.put("stage.1.command", NOISE.into());
    gate.set("stage.1.pass", "['never printed']");
    gate.set("on-failure", "'bundle'");
    let run = on_a_disk_of("128M", &gate);
    let verdict = &run.result["verdict"];
    assert_eq!(
        (verdict["cause"].as_str(), run.exit_code),
        (Some("command-failed"), 1),
        "{verdict}"
    );
    let remarks = run.result["stages"][1]["remarks"].to_string();
    assert!(
        remarks.contains("the machine could not be saved") && remarks.contains("free"),
        "{remarks}"
    );
    let bundle = &run.result["bundle"];
    assert_eq!(bundle["machine"], false, "{bundle}");
    assert!(
        bundle["path"].as_str().unwrap().ends_with(".evidence.tar.zst"),
        "{bundle}"
    );
    for file in [
        "screen-1.png",
        "registers-1.txt",
        "machine-1.json",
        "serial.log",
        "junit.xml",
        "manifest.json",
    ] {
        assert!(!run.read_file(file).is_empty(), "{file}");
    }
    let saved: Vec<_> = std::fs::read_dir(run.path.join("checkpoint"))
        .into_iter()
        .flatten()
        .collect();
    let names = saved
        .into_iter()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(
        names.into_iter().all(|name| name.ends_with(".partial")),
        "what is not whole is named so"
    );
}

/// Runs the rest of the arguments with the folder `$1` on a small file system of its own; tells in the file `$2` what was
/// free there in the end, in bytes, and how many names of disks there were.
const WITH_A_SMALL_SCRATCH: &str = r#"
scratch=$1 left=$2
shift 2
mount -t tmpfs -o size=160M,mode=0700 tmpfs "$scratch"
code=0
"$@" || code=$?
df --output=avail -B1 "$scratch" | tail -n 1 >"$left"
find "$scratch" -name 'target.raw' | wc -l >>"$left"
exit "$code"
"#;

#[test]
fn host_disk_nearly_full() {
    let mut gate = GateFile::new(Boots::Kernel);
    gate.put("gate", "host-disk-nearly-full".into());
    gate.truncate(2);
    gate.put("stage.1.command", INSTALLER.into());
    gate.set("stage.1.pass", "['written']");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let [scratch, runs] = ["scratch", "runs"].map(|name| folder.path().join(name));
    for path in [&scratch, &runs] {
        std::fs::create_dir(path).unwrap();
    }
    let left = folder.path().join("left");
    let place = scratch.display().to_string();
    let bootgate = program(&gate, folder.path(), &runs);
    let words = with_own_mounts(folder.path());
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .args(["sh", "-euc", WITH_A_SMALL_SCRATCH, "sh"])
        .arg(&scratch)
        .arg(&left);
    command.arg(bootgate.get_program()).args(bootgate.get_args());
    let output = command.arg("--scratch").arg(&scratch).output().unwrap();
    let run = Run::read(&runs.join("last"), &output, Vec::new(), folder);

    let expect = Expect {
        class: "infrastructure",
        exit: 4,
        cause: "host-disk-nearly-full",
        rule: None,
        place: ("install", "Installing"),
        event: "host-space-low",
        within: None,
    };
    expect.check(&run, None);
    let detail = run.result["verdict"]["detail"].as_str().unwrap();
    assert!(
        detail.contains(&place) && detail.contains("must stay free") && detail.contains("/s were written last"),
        "{detail}"
    );
    // Paused before QEMU met the end of the disk, and all that was written went to the scratch directory.
    let transcript = String::from_utf8(run.read_file("qmp.jsonl")).unwrap();
    assert!(!transcript.contains("BLOCK_IO_ERROR"), "{}", run.story());
    let left = std::fs::read_to_string(left).unwrap();
    let left: Vec<u64> = left.split_whitespace().map(|number| number.parse().unwrap()).collect();
    println!("{} bytes of the reserve were left: {detail}", left[0]);
    assert!(left[0] > 0 && left[1] == 1, "{left:?}: {detail}");
    assert!(run.path.join("disks").symlink_metadata().unwrap().is_symlink());
    assert!(
        run.stderr.contains("which is the host's memory (tmpfs)"),
        "{}",
        run.stderr
    );
}
