//! A folder like the one in which a reader types a page's commands.

use std::path::Path;
use std::process::Command;

use crate::cli_support::{ROOT, Seen, bootgate, see};
use crate::pages::page;
use crate::table::Place;

pub(crate) struct Sandbox(tempfile::TempDir);

impl Sandbox {
    pub(crate) fn of(place: &Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for run in place.runs {
            let from = Path::new(ROOT).join("fixtures/runs").join(run);
            let info = std::fs::read_to_string(from.join("run.json")).unwrap();
            let info: serde_json::Value = serde_json::from_str(&info).unwrap();
            copy(&from, &folder.path().join("runs").join(info["id"].as_str().unwrap()));
        }
        for (name, source) in place.files {
            std::fs::write(folder.path().join(name), content(source)).unwrap();
        }
        Self(folder)
    }

    /// Runs one command as a shell does.
    pub(crate) fn run(&self, command: &str) -> Seen {
        let program = Path::new(env!("CARGO_BIN_EXE_bootgate"));
        let path = std::env::var("PATH").unwrap();
        // The settings that `bootgate` takes away are taken from the shell.
        let plain = bootgate([""; 0]);
        let mut shell = Command::new("bash");
        for (name, _) in plain.get_envs().filter(|(_, value)| value.is_none()) {
            shell.env_remove(name);
        }
        shell
            .args(["-euo", "pipefail", "-c", command])
            .current_dir(self.0.path());
        shell.stdin(std::process::Stdio::null());
        see(shell.env("PATH", format!("{}:{path}", program.parent().unwrap().display())))
    }
}

/// A file of the repository, or a block of a page.
fn content(source: &str) -> Vec<u8> {
    let Some((name, number)) = source.rsplit_once(':') else {
        return std::fs::read(Path::new(ROOT).join(source)).unwrap();
    };
    let blocks = page(name).blocks().into_iter().filter(|block| block.language == "toml");
    let texts: Vec<_> = blocks.map(|block| block.text).collect();
    texts[number.parse::<usize>().unwrap() - 1].clone().into_bytes()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
