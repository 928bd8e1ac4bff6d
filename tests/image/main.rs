//! Debug images are made, and production images judged, by the programs that do it on a user's machine.

mod build;
#[path = "../cli_support/mod.rs"]
mod cli_support;
mod debug;
#[path = "../support/own_mounts.rs"]
mod own_mounts;
#[allow(dead_code, reason = "the image alone is used")]
#[path = "../support/tiny.rs"]
mod tiny;
mod trouble;
mod verify;

/// The SHA-256 of a file, by the system's own program.
fn sha256(path: &std::path::Path) -> String {
    let output = std::process::Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}
