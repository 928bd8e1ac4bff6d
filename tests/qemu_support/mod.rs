//! The QEMU binaries that the tests of `bootgate::qemu` run.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod machines;
pub(crate) mod started;

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use bootgate::qemu::binary::Qemu;
use bootgate::qemu::feature::{Features, HelpTexts};

/// The installed QEMU, and the QEMU 10.0 that `fixtures/qemu10/unpack.sh` unpacked, if it did.
pub(crate) async fn qemus() -> Vec<Qemu> {
    let installed = Qemu::find(Path::new("qemu-system-x86_64"), Vec::new())
        .await
        .unwrap_or_else(|error| panic!("{error}; this test needs it: {}", error.mend()));
    let mut qemus = vec![installed];
    let tree = cache_dir().join("bootgate/qemu-10.0");
    let unpacked = tree.join("usr/bin/qemu-system-x86_64");
    if unpacked.exists() {
        let share = ["usr/share/qemu", "usr/share/seabios"].map(|dir| tree.join(dir));
        let found = Qemu::find(&unpacked, share.to_vec()).await;
        qemus.push(found.unwrap_or_else(|error| panic!("{error}")));
    }
    qemus
}

fn cache_dir() -> PathBuf {
    std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
        PathBuf::from,
    )
}

/// What a QEMU said of itself when it was recorded.
pub(crate) fn recorded_features(version: &str) -> Features {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/qemu")
        .join(version);
    let text = |name: &str| std::fs::read_to_string(dir.join(format!("{name}.txt"))).unwrap();
    Features::parse(&HelpTexts {
        version: text("version"),
        help: text("help"),
        device: text("device"),
        accel: text("accel"),
        machine: text("machine"),
        sandbox_accepted: true,
    })
    .unwrap()
}

/// Runs `qemu-img BEFORE FILE AFTER`.
pub(crate) fn qemu_img(before: &[&str], file: &Path, after: &[&str]) {
    let status = Command::new("qemu-img").args(before).arg(file).args(after).status();
    let status = status.unwrap_or_else(|error| panic!("qemu-img: {error}; install qemu-utils"));
    assert!(status.success());
}

/// A process that does not outlive its test, even a test that fails.
pub(crate) struct Owned(pub(crate) Child);

impl Owned {
    /// Kills it and waits until it is gone.
    pub(crate) fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.end();
    }
}
