//! First use, for real: the gate file that `bootgate init` writes for an image runs as it is.

#[path = "support/bench.rs"]
mod bench;
#[path = "support/gate.rs"]
mod gate;
#[path = "support/tiny.rs"]
mod tiny;

use std::path::Path;
use std::process::Command;

use bench::{Bench, Outcome};
use gate::{Boots, GateFile};
use tiny::tiny;

/// `bootgate init IMAGE`, and a run of what it has written, in a folder of its own.
fn first_use(image: &Path) -> (String, Outcome) {
    let bench = Bench::new(&GateFile::new(Boots::Kernel));
    let gate = bench.path().join("gate.toml");
    std::fs::remove_file(&gate).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bootgate"));
    let output = command
        .arg("init")
        .arg(image)
        .current_dir(bench.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(gate).unwrap();
    let outcome = bench.whole();
    (text, outcome)
}

fn assert_reached(text: &str, outcome: &Outcome, level: &str) {
    assert_eq!(outcome.exit_code, 0, "{text}\n{}", outcome.story());
    assert_eq!(outcome.result["stages"][0]["reached"], level, "{}", outcome.story());
}

#[test]
fn an_iso_is_gated_as_it_is() {
    let (text, outcome) = first_use(&tiny().iso);
    assert_reached(&text, &outcome, "marker");
}

#[test]
fn a_disk_that_was_installed_is_gated_as_it_is() {
    let mut install = GateFile::new(Boots::Kernel);
    install.truncate(2);
    install.set("timeout-scale", "4.0");
    install.put("disk.0.keep", true.into());
    let bench = Bench::new(&install);
    let installed = bench.whole();
    assert_eq!(installed.exit_code, 0, "{}", installed.story());
    // What lies in a run's directory is refused as an image unless it is pinned.
    let disk = bench.path().join("disk.raw");
    std::fs::rename(installed.path.join("disks/target.raw"), &disk).unwrap();
    let (text, outcome) = first_use(&disk);
    assert_reached(&text, &outcome, "marker");
    assert!(text.contains("in `Tiny` of `volume 2 (fat):/grub/grub.cfg`"), "{text}");
    // The server is there, and its password is the image's secret.
    assert!(
        text.contains("#[ssh]") && text.contains("a password for `root`"),
        "{text}"
    );
}
