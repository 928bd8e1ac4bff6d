//! A command whose mounts nobody else sees.

use std::path::Path;
use std::process::Command;

/// What begins it: as root, as a user who may, or as one who may become root.
const WORDS: [&[&str]; 3] = [
    &["unshare", "--mount"],
    &["unshare", "--user", "--map-root-user", "--mount"],
    &["sudo", "--non-interactive", "--preserve-env", "unshare", "--mount"],
];

/// The words that begin a command with mounts of its own; `folder` is where the attempt mounts something.
pub(crate) fn with_own_mounts(folder: &Path) -> &'static [&'static str] {
    let can_mount = |words: &&&[&str]| {
        let mut command = Command::new(words[0]);
        let mount = ["mount", "-t", "tmpfs", "tmpfs"];
        command.args(&words[1..]).args(mount).arg(folder);
        command.output().is_ok_and(|output| output.status.success())
    };
    let words = WORDS.iter().find(can_mount);
    words.expect("a small file system can be mounted: run as root, or allow user namespaces or sudo")
}
