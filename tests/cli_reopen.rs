//! `reopen` of what is no saved machine: told at once, and nothing is made for it.

mod cli_support;

use std::path::Path;

use cli_support::{Seen, bootgate, see};
use nix::sys::stat::Mode;

/// A folder with much that is no bundle, seen by a user who works in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn reopen(&self, what: &str) -> Seen {
        see(bootgate(["reopen", what]).current_dir(self.path()).env_remove("CI"))
    }
}

#[test]
fn what_is_no_saved_machine_is_told_and_nothing_is_made() {
    let folder = Folder::new();
    std::fs::write(folder.path().join("notes.txt"), "no bundle\u{1b}[31m").expect("written");
    std::fs::create_dir(folder.path().join("a-run")).expect("made");
    nix::unistd::mkfifo(&folder.path().join("fifo"), Mode::S_IRWXU).expect("made");
    for (what, problem) in [
        (
            "missing.tar.zst",
            "no such file, and there is no run `missing.tar.zst` in `runs`",
        ),
        ("notes.txt", "`notes.txt` is not a bundle"),
        ("a-run", "the machine of `a-run` was not saved"),
        ("fifo", "no such file, and there is no run `fifo` in `runs`"),
        ("last", "no such file, and there is no run `last` in `runs`"),
    ] {
        let seen = folder.reopen(what);
        assert_eq!(seen.code, Some(2), "{what}: {}", seen.stderr);
        assert!(
            seen.stderr.starts_with(&format!("error: {problem}")),
            "{what}: {}",
            seen.stderr
        );
        assert!(
            seen.stderr.contains("\n  help: name a bundle, or a run"),
            "{what}: {}",
            seen.stderr
        );
        assert_eq!(seen.stdout, "", "{what}");
    }
    assert!(!folder.path().join("runs").exists(), "a directory was made for nothing");
}

#[test]
fn a_bundle_of_evidence_says_that_it_holds_no_machine() {
    let folder = Folder::new();
    let run = folder.path().join("runs/live-1");
    std::fs::create_dir_all(&run).expect("made");
    let info = r#"{"id": "live-1", "uuid": "00000000-0000-0000-0000-000000000001", "gate": "live",
        "started": "2026-01-01T12:00:00Z", "controller": {"pid": 1, "start_ticks": 0}, "bootgate_version": "0.1.0"}"#;
    std::fs::write(run.join("run.json"), info).expect("written");
    std::fs::write(run.join("serial.log"), "Linux version 6.1.0\r\n").expect("written");
    let packed = see(bootgate(["bundle", "last", "-o", "live.evidence.tar.zst"]).current_dir(folder.path()));
    assert_eq!(packed.code, Some(0), "{}", packed.stderr);

    let seen = folder.reopen("live.evidence.tar.zst");
    assert_eq!(seen.code, Some(4), "{}", seen.stderr);
    let expected = "error: the bundle holds no machine, only evidence";
    assert!(seen.stderr.starts_with(expected), "{}", seen.stderr);
    assert!(seen.stderr.contains("tar --zstd -xf"), "{}", seen.stderr);
    let runs = std::fs::read_dir(folder.path().join("runs")).expect("listed").count();
    assert_eq!(runs, 1, "a directory was made for nothing");
    // The run itself is found by its name.
    let seen = folder.reopen("last");
    assert_eq!(seen.code, Some(2), "{}", seen.stderr);
    assert!(seen.stderr.contains("live-1` was not saved"), "{}", seen.stderr);
}
