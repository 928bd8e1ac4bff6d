//! The QEMU 10 that is unpacked beside an older packaged one.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::tiny::repository;

/// A QEMU in a folder of its own, in a gate file's words.
pub(crate) struct Unpacked {
    /// `machine.qemu`
    pub(crate) binary: String,
    /// `machine.qemu-data`
    pub(crate) data: Vec<String>,
}

/// Unpacks it or finds it unpacked. `None`: the packaged one is as new, or this is Ubuntu, which has no other.
pub(crate) fn qemu10() -> Option<Unpacked> {
    let script = repository().join("fixtures/qemu10/unpack.sh");
    let unpacked = Command::new(&script).stderr(Stdio::inherit()).output();
    let unpacked = unpacked.unwrap_or_else(|error| panic!("{} can't be started: {error}", script.display()));
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !unpacked.status.success() && release.lines().any(|line| line == "ID=ubuntu") {
        return None;
    }
    assert!(
        unpacked.status.success(),
        "QEMU 10 can't be unpacked ({}); what is missing stands above, and `make qemu10` installs and unpacks it",
        unpacked.status
    );
    let folder = PathBuf::from(String::from_utf8(unpacked.stdout).unwrap().trim());
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    (folder.parent().is_some()).then(|| Unpacked {
        binary: path("usr/bin/qemu-system-x86_64"),
        data: ["usr/share/qemu", "usr/share/seabios"].map(path).to_vec(),
    })
}
