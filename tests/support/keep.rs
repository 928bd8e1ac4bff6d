//! Keeps what a real run has recorded as a fixture: `make recordings`.

use std::path::Path;

use serde_json::{Value, json};

use crate::run::Run;
use crate::tiny::{repository, tiny};

/// The folder that the fixtures go to; runs are kept only if it is set.
const KEEP: &str = "BOOTGATE_KEEP_RECORDINGS";
/// What of a run a replay reads, by how the file's name begins.
const KEPT: [&str; 8] = [
    "run.json",
    "gate.toml",
    "inputs.jsonl",
    "trace.jsonl",
    "serial",
    "firmware",
    "screen-text",
    "ssh/",
];

/// Keeps the run under its row's name, without the names of this machine.
pub(crate) fn keep(run: &Run, row: &str) {
    let Some(folder) = std::env::var_os(KEEP) else { return };
    let folder = repository().join(folder).join(row.replace('_', "-"));
    let _ = std::fs::remove_dir_all(&folder);
    for name in names(&run.path, "") {
        if KEPT.iter().any(|kept| name.starts_with(kept)) {
            let to = folder.join(&name);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::write(to, without_places(run, &name)).unwrap();
        }
    }
    let result = json!({"verdict": run.result["verdict"]});
    std::fs::write(folder.join("result.json"), format!("{result:#}\n")).unwrap();
}

/// Every file below a folder.
fn names(folder: &Path, below: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join(below)).unwrap();
    let all = entries.flat_map(|entry| {
        let entry = entry.unwrap();
        let name = format!("{below}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            names(folder, &format!("{name}/"))
        } else {
            vec![name]
        }
    });
    all.collect()
}

/// The file's bytes. A text of ours names places of this machine; what the guest wrote does not, and stays as it is.
fn without_places(run: &Run, name: &str) -> Vec<u8> {
    let bytes = run.read_file(name);
    if !name.contains(".json") && !name.contains(".toml") {
        return bytes;
    }
    let mut text = String::from_utf8(bytes).unwrap();
    let guest = tiny().iso.parent().unwrap().display().to_string();
    for (place, stands_for) in [(run.path.display().to_string(), "RUN"), (guest, "tiny")] {
        text = text.replace(&place, stands_for);
    }
    if name == "run.json" {
        let mut info: Value = serde_json::from_str(&text).unwrap();
        info["controller"] = json!({"pid": 1, "start_ticks": 0});
        text = format!("{info:#}\n");
    }
    text.into_bytes()
}
