//! The tutorial, played word for word on the tiny guest.

mod cli_support;
#[path = "support/pages.rs"]
mod pages;
#[allow(dead_code, reason = "the tutorial needs the image alone")]
#[path = "support/tiny.rs"]
mod tiny;

use std::path::Path;
use std::process::{Command, Stdio};

use cli_support::see;
use pages::page;

#[test]
fn the_tutorial_is_played() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&tiny::tiny().iso, folder.path().join("live.iso")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_bootgate"));
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let mut played = 0;
    for command in page("docs/tutorial.md").commands() {
        if command.starts_with("cargo install") {
            // The build that is tested is there already.
            continue;
        }
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &command])
            .current_dir(folder.path())
            .stdin(Stdio::null());
        shell.env("PATH", &path).env_remove("BOOTGATE_RUNS");
        let seen = see(&mut shell);
        assert_eq!(seen.code, Some(0), "`{command}`: {seen:?}");
        played += 1;
    }
    assert!(played >= 7, "{played}");
    assert!(folder.path().join("page.html").is_file());
}
