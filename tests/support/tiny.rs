//! The tiny guest, as its own script builds it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The guest's files on this machine.
pub(crate) struct Tiny {
    /// The image, which boots through its own boot loader.
    pub(crate) iso: PathBuf,
    /// The kernel that is on it.
    pub(crate) kernel: PathBuf,
    /// Its initial RAM disk.
    pub(crate) initrd: PathBuf,
    /// The arguments that the image's boot loader gives it.
    pub(crate) append: String,
}

/// Builds the guest or finds the one already built; once in a process.
pub(crate) fn tiny() -> &'static Tiny {
    static TINY: OnceLock<Tiny> = OnceLock::new();
    TINY.get_or_init(|| {
        let iso = built("tiny", "guest");
        let beside = |name: &str| iso.with_file_name(name);
        Tiny {
            kernel: beside("vmlinuz"),
            initrd: beside("initrd"),
            append: std::fs::read_to_string(beside("append")).unwrap().trim().to_owned(),
            iso,
        }
    })
}

/// Builds a guest by its own script, or finds the one already built, and gives its image. `target` is make's word for it.
pub(crate) fn built(guest: &str, target: &str) -> PathBuf {
    let script = repository().join(format!("fixtures/guests/{guest}/build.sh"));
    let built = Command::new(&script)
        .arg("--print-path")
        .stderr(Stdio::inherit())
        .output();
    let built = built.unwrap_or_else(|error| panic!("{} can't be started: {error}", script.display()));
    assert!(
        built.status.success(),
        "the guest {guest} can't be built ({}); what is missing stands above, and `make {target}` installs and builds it",
        built.status
    );
    PathBuf::from(String::from_utf8(built.stdout).unwrap().trim())
}

/// The repository's top folder: where the test runs, or else where it was built.
pub(crate) fn repository() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}
