//! The guest debian-live, as its own script builds it.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::gate::GateFile;
use crate::tiny::built;

/// The guest's files on this machine.
pub(crate) struct Live {
    /// The form with sshd enabled.
    pub(crate) debug: PathBuf,
    /// The form as it would be published.
    pub(crate) production: PathBuf,
}

/// Builds the guest or finds the one already built; once in a process.
pub(crate) fn live() -> &'static Live {
    static LIVE: OnceLock<Live> = OnceLock::new();
    LIVE.get_or_init(|| {
        let debug = built("debian-live", "live");
        Live {
            production: debug.with_file_name("production.iso"),
            debug,
        }
    })
}

/// A gate of the repository for this guest, which ends a failed machine.
pub(crate) fn gate(name: &str) -> GateFile {
    let mut gate = GateFile::of(name);
    gate.put("image.iso", text(&live().debug).into());
    if gate.has("image.production") {
        gate.put("image.production", text(&live().production).into());
    }
    gate.set("on-failure", "'discard'");
    gate
}

/// A path in a gate file.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("the cache's path is UTF-8")
}
